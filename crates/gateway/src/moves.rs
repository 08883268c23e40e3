//! Counts what moves in a lab, so that the lab looks at the service only then: see [`lab_client::moves`].
//!
//! A request that may change something counts once it was answered, also with an error, because a lost response may have changed
//! something. A poll counts once it brings a task.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http_body_util::BodyExt as _;
use hyper::Response;
use tonic::body::Body;

use crate::api::{FRAME_HEADER, WORKFLOWS};

/// How the names of methods begin that change nothing a page shows. A heartbeat, the response to a Query and the end of a worker change
/// nothing there, either.
const READS: [&str; 10] =
    ["Count", "Describe", "Get", "List", "Poll", "Query", "Record", "RespondQuery", "Scan", "ShutdownWorker"];
/// The methods whose response may have a task.
const POLLS: [&str; 2] = ["PollWorkflowTaskQueue", "PollActivityTaskQueue"];
/// The first byte of a response that has a task: its task token is field 1, of bytes. Fields are encoded in order.
const TASK_TOKEN: u8 = (1 << 3) | 2;

/// The counter. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves(Arc<AtomicU64>);

impl Moves {
    /// The number of moves so far.
    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts a request to the method at this path if it may have changed something.
    pub(crate) fn count(&self, path: &str) {
        if method_at(path).is_some_and(may_change) {
            self.add();
        }
    }

    /// Counts a gRPC request that was answered; a poll, once its response brings a task.
    pub(crate) fn watch(&self, path: &str, answer: Response<Body>) -> Response<Body> {
        self.count(path);
        if !method_at(path).is_some_and(|method| POLLS.contains(&method)) {
            return answer;
        }
        let (moves, mut begin) = (self.clone(), Vec::new());
        answer.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let missing = (FRAME_HEADER + 1).saturating_sub(begin.len());
                if let Some(data) = frame.data_ref().filter(|_| missing > 0) {
                    begin.extend_from_slice(&data[..missing.min(data.len())]);
                    if has_task(&begin) {
                        moves.add();
                    }
                }
                frame
            }))
        })
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The name of the method of the workflow service at this path.
fn method_at(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_prefix(WORKFLOWS)?.strip_prefix('/')
}

fn may_change(method: &str) -> bool {
    !READS.iter().any(|word| method.starts_with(word))
}

/// Whether the response to a poll that begins with these bytes has a task. A compressed one counts without being read; the guard has
/// asked for none, and an empty message is never compressed.
fn has_task(begin: &[u8]) -> bool {
    begin.get(FRAME_HEADER).is_some_and(|first| begin[0] != 0 || *first == TASK_TOKEN)
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::workflowservice::v1::{
        PollActivityTaskQueueResponse, PollWorkflowTaskQueueResponse,
    };

    use super::*;
    use crate::api;
    use prost_reflect::prost::Message;

    #[test]
    fn a_request_counts_if_its_method_may_change_something() {
        let moves = |method: &str| {
            assert!(api::method(method).is_some(), "{method}");
            let moves = Moves::default();
            moves.count(&format!("/{WORKFLOWS}/{method}"));
            moves.total()
        };
        for method in [
            "StartWorkflowExecution",
            "RespondWorkflowTaskCompleted",
            "RespondActivityTaskFailed",
            "ResetWorkflowExecution",
            "RequestCancelWorkflowExecution",
            "SetWorkerDeploymentCurrentVersion",
            "StartBatchOperation",
            "PauseActivity",
        ] {
            assert_eq!(moves(method), 1, "{method}");
        }
        for method in [
            "GetWorkflowExecutionHistory",
            "CountWorkflowExecutions",
            "DescribeWorkflowExecution",
            "QueryWorkflow",
            "RespondQueryTaskCompleted",
            "PollWorkflowTaskQueue",
            "PollWorkflowExecutionUpdate",
            "RecordActivityTaskHeartbeat",
            "RecordWorkerHeartbeat",
            "ShutdownWorker",
        ] {
            assert_eq!(moves(method), 0, "{method}");
        }
        let others = Moves::default();
        others.count(&format!("/{}/DeleteNamespace", api::OPERATOR));
        others.count("/");
        assert_eq!(others.total(), 0);
    }

    #[test]
    fn a_response_with_a_task_is_recognized_by_its_first_bytes() {
        let framed = |message: Vec<u8>| {
            let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
            [&[0][..], &length, &message].concat()
        };
        let workflow = |task_token: &[u8]| {
            let task_token = task_token.to_vec();
            PollWorkflowTaskQueueResponse {
                task_token,
                attempt: 1,
                backlog_count_hint: 3,
                ..Default::default()
            }
        };
        let activity = |task_token: &[u8]| {
            let (task_token, activity_id) = (task_token.to_vec(), "withdraw".to_owned());
            PollActivityTaskQueueResponse { task_token, activity_id, ..Default::default() }
        };
        for (token, is_task) in [(&b"token"[..], true), (b"", false)] {
            for message in [workflow(token).encode_to_vec(), activity(token).encode_to_vec()] {
                let bytes = framed(message);
                assert_eq!(has_task(&bytes), is_task, "{bytes:?}");
                assert!(!has_task(&bytes[..FRAME_HEADER]));
            }
        }
        assert!(!has_task(&framed(Vec::new())));
    }
}

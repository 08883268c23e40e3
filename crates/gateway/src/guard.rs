//! What keeps several learners of one namespace apart.
//!
//! A learner has a Task Queue, and what runs on it is the learner's. What is asked for comes through with these changes:
//!
//! - lists, counts and batches go by the learner's own Workflows: their query is narrowed;
//! - orders to a Workflow, such as to end it or to reset it, come through if it is on that Task Queue;
//! - Workflows are started, and tasks are polled for, on that Task Queue alone;
//! - reading comes through, also of others' Workflows, whoever has their ids;
//! - everything else that changes something is refused: it would be somebody else's, or everybody's.
//!
//! It keeps mistakes from doing harm, not attackers: whoever has the profile can ask the service without it.

use std::time::Duration;

use lab_client::class;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value, prost::Message as _};
use tonic::{Code, Status};

use crate::{
    api::{self, WORKFLOWS},
    link::Link,
};

/// How long the question whose a Workflow is may take.
const SOON: Duration = Duration::from_secs(10);

/// What a learner may do; everything where there is no learner.
#[derive(Clone, Debug)]
pub struct Guard {
    learner: Option<String>,
    namespace: String,
    task_queue: String,
}

/// What is done about a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Comes through.
    Pass,
    /// The field of this name is a query, which is narrowed.
    Narrow(&'static str),
    /// A batch: narrowed, and of nothing but a query.
    Batch,
    /// An order to a Workflow, which must be the learner's.
    Own,
    /// Starts a Workflow.
    Start,
    /// Polls for tasks.
    Poll,
    /// Is for nobody.
    Refuse,
}

fn rule(method: &str) -> Rule {
    match method {
        "ListWorkflowExecutions" | "CountWorkflowExecutions" | "ScanWorkflowExecutions" => Rule::Narrow("query"),
        "StartBatchOperation" => Rule::Batch,
        "RequestCancelWorkflowExecution"
        | "SignalWorkflowExecution"
        | "TerminateWorkflowExecution"
        | "ResetWorkflowExecution"
        | "DeleteWorkflowExecution"
        | "UpdateWorkflowExecution"
        | "UpdateWorkflowExecutionOptions"
        | "PauseWorkflowExecution"
        | "UnpauseWorkflowExecution"
        | "PauseActivity"
        | "UnpauseActivity"
        | "ResetActivity"
        | "UpdateActivityOptions"
        // The same in later servers' words.
        | "PauseActivityExecution"
        | "UnpauseActivityExecution"
        | "ResetActivityExecution"
        | "UpdateActivityExecutionOptions"
        // These go by names, without the token of a task.
        | "RecordActivityTaskHeartbeatById"
        | "RespondActivityTaskCompletedById"
        | "RespondActivityTaskFailedById"
        | "RespondActivityTaskCanceledById" => Rule::Own,
        "StartWorkflowExecution" | "SignalWithStartWorkflowExecution" => Rule::Start,
        "PollWorkflowTaskQueue" | "PollActivityTaskQueue" | "PollNexusTaskQueue" => Rule::Poll,
        // They are of tasks that were polled for, or of the worker that did.
        "RespondWorkflowTaskCompleted"
        | "RespondWorkflowTaskFailed"
        | "RespondQueryTaskCompleted"
        | "RespondActivityTaskCompleted"
        | "RespondActivityTaskFailed"
        | "RespondActivityTaskCanceled"
        | "RespondNexusTaskCompleted"
        | "RespondNexusTaskFailed"
        | "RecordActivityTaskHeartbeat"
        | "RecordWorkerHeartbeat"
        | "ShutdownWorker"
        | "ResetStickyTaskQueue"
        | "QueryWorkflow"
        | "PollWorkflowExecutionUpdate" => Rule::Pass,
        // Of all, open or closed, with filters in place of a query: nothing of the lab asks for them.
        "ListOpenWorkflowExecutions" | "ListClosedWorkflowExecutions" | "ListArchivedWorkflowExecutions" => {
            Rule::Refuse
        }
        reading if ["Get", "List", "Describe", "Count"].iter().any(|word| reading.starts_with(word)) => Rule::Pass,
        _ => Rule::Refuse,
    }
}

impl Guard {
    /// The guard of that learner, of no name for none, in that namespace.
    pub fn new(learner: Option<&str>, namespace: &str) -> Guard {
        Guard {
            learner: learner.map(str::to_owned),
            namespace: namespace.to_owned(),
            task_queue: contract::task_queue(learner),
        }
    }

    /// The learner's name.
    pub fn learner(&self) -> Option<&str> {
        self.learner.as_deref()
    }

    /// Whether messages of the method at that path have to be looked at.
    pub(crate) fn is_needed(&self, path: &str) -> bool {
        let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return true };
        let is_of_workflows = service == WORKFLOWS && rule(method) != Rule::Pass;
        // The cluster's own is read by anybody, and changed by nobody.
        let reads = ["Get", "List", "Describe"].iter().any(|word| method.starts_with(word));
        let is_of_cluster = service.starts_with("temporal.api.") && service != WORKFLOWS && !reads;
        self.learner.is_some() && (is_of_workflows || is_of_cluster)
    }

    /// Why a request does not come through.
    pub(crate) fn refusal(&self, path: &str) -> Status {
        let method = path.rsplit('/').next().unwrap_or(path);
        Status::permission_denied(format!(
            "{method} is not for a learner: it would change what all in namespace {} share; ask the instructor",
            self.namespace
        ))
    }

    /// The message as it may come through.
    ///
    /// # Errors
    /// It may not; the sentence says whose it would touch.
    pub(crate) async fn check(
        &self,
        link: &Link,
        method: &MethodDescriptor,
        mut message: DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        if !self.is_needed(&api::path(method)) {
            return Ok(message);
        }
        if method.parent_service().full_name() != WORKFLOWS {
            return Err(self.refusal(&api::path(method)));
        }
        if rule(method.name()) == Rule::Refuse {
            return Err(self.refusal(&api::path(method)));
        }
        let namespace = api::text(&message, &["namespace"]);
        if namespace.as_ref().is_some_and(|namespace| *namespace != self.namespace) {
            return Err(Status::permission_denied(format!(
                "this lab is in namespace {}, and not in {}: name it with --namespace",
                self.namespace,
                namespace.unwrap_or_default()
            )));
        }
        match rule(method.name()) {
            // Those that are refused have been.
            Rule::Pass | Rule::Refuse => {}
            Rule::Narrow(field) => self.narrow(&mut message, field)?,
            Rule::Batch => {
                if has_any(&message, "executions") || api::text(&message, &["visibility_query"]).is_none() {
                    return Err(Status::permission_denied(
                        "a batch of a learner goes by a query, so that it can be narrowed to the learner's own Workflows",
                    ));
                }
                self.narrow(&mut message, "visibility_query")?;
            }
            Rule::Own => self.own(link, &message).await?,
            Rule::Start => {
                self.own_queue(&message)?;
                // By its id it could end, or signal, one that is there.
                let ends = message
                    .get_field_by_name("workflow_id_conflict_policy")
                    .and_then(|policy| policy.as_enum_number());
                let reuses = message
                    .get_field_by_name("workflow_id_reuse_policy")
                    .and_then(|policy| policy.as_enum_number());
                const TERMINATE_EXISTING: i32 = 3;
                const TERMINATE_IF_RUNNING: i32 = 4;
                if method.name() != "StartWorkflowExecution"
                    || ends == Some(TERMINATE_EXISTING)
                    || reuses == Some(TERMINATE_IF_RUNNING)
                {
                    self.own(link, &message).await?;
                }
            }
            Rule::Poll => self.own_poll(&message)?,
        }
        Ok(message)
    }

    fn narrow(&self, message: &mut DynamicMessage, field: &str) -> Result<(), Status> {
        let query = api::text(message, &[field]).unwrap_or_default();
        let narrowed = narrowed(&query, &self.task_queue).ok_or_else(|| {
            Status::invalid_argument(format!(
                "the query {query} closes what it has not opened, or does not close it, or has a comment"
            ))
        })?;
        message.set_field_by_name(field, Value::String(narrowed));
        Ok(())
    }

    /// Whether a Task Queue is the learner's: that of the transfers, or that of the reports.
    fn is_own(&self, queue: &str) -> bool {
        queue == self.task_queue || queue == self.class_queue()
    }

    /// Where the learner's reports are: also a Task Queue of the learner's own, so that nobody else's guard lets them be ended.
    fn class_queue(&self) -> String {
        class::queue(self.learner.as_deref().unwrap_or_default())
    }

    fn own_queue(&self, message: &DynamicMessage) -> Result<(), Status> {
        let queue = api::text(message, &["task_queue", "name"]).unwrap_or_default();
        if self.is_own(&queue) {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "the Task Queue {queue} is not this learner's: transfers of {} are started on {}",
            self.learner.as_deref().unwrap_or_default(),
            self.task_queue
        )))
    }

    fn own_poll(&self, message: &DynamicMessage) -> Result<(), Status> {
        const STICKY: i32 = 2;
        let queue = message.get_field_by_name("task_queue");
        let queue = queue.as_ref().and_then(|queue| queue.as_message());
        let kind = queue.and_then(|queue| queue.get_field_by_name("kind")?.as_enum_number());
        // A worker's own queue has a name by chance, and says for which Task Queue it is.
        let field = if kind == Some(STICKY) { "normal_name" } else { "name" };
        let name = queue.and_then(|queue| api::text(queue, &[field])).unwrap_or_default();
        if self.is_own(&name) {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "the Task Queue {name} is not this learner's: a worker of {} polls {}",
            self.learner.as_deref().unwrap_or_default(),
            self.task_queue
        )))
    }

    /// That the Workflow of an order is the learner's.
    async fn own(&self, link: &Link, message: &DynamicMessage) -> Result<(), Status> {
        let places: [&[&str]; 4] = [
            &["workflow_execution", "workflow_id"],
            &["execution", "workflow_id"],
            &["workflow_id"],
            &["resource_id"],
        ];
        let Some(id) = places.into_iter().find_map(|place| api::text(message, place)) else {
            return Err(Status::permission_denied(
                "this order does not say for which Workflow it is, and a learner's must be for one of their own",
            ));
        };
        match self.queue_of(link, &id).await? {
            // The service says itself that it is not there.
            None => Ok(()),
            Some(queue) if self.is_own(&queue) => Ok(()),
            Some(queue) => Err(Status::permission_denied(format!(
                "{id} is not a transfer of {}: it is on the Task Queue {queue}, so nothing was done to it",
                self.learner.as_deref().unwrap_or_default()
            ))),
        }
    }

    /// The Task Queue of the newest run of a Workflow.
    async fn queue_of(&self, link: &Link, id: &str) -> Result<Option<String>, Status> {
        let method =
            api::method("DescribeWorkflowExecution").ok_or_else(|| Status::internal("no such method"))?;
        let mut question = DynamicMessage::new(method.input());
        question.set_field_by_name("namespace", Value::String(self.namespace.clone()));
        let mut execution = execution(&question)?;
        execution.set_field_by_name("workflow_id", Value::String(id.to_owned()));
        question.set_field_by_name("execution", Value::Message(execution));
        match link.ask(&api::path(&method), question.encode_to_vec(), SOON).await {
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status),
            Ok(answer) => {
                let answer =
                    api::answer(&method, &answer).ok_or_else(|| Status::internal("it cannot be read"))?;
                Ok(Some(api::text(&answer, &["execution_config", "task_queue", "name"]).unwrap_or_default()))
            }
        }
    }
}

/// An empty message of the field `execution`.
fn execution(question: &DynamicMessage) -> Result<DynamicMessage, Status> {
    let field = prost_reflect::ReflectMessage::descriptor(question).get_field_by_name("execution");
    match field.map(|field| field.kind()) {
        Some(prost_reflect::Kind::Message(form)) => Ok(DynamicMessage::new(form)),
        _ => Err(Status::internal("no such field")),
    }
}

fn has_any(message: &DynamicMessage, field: &str) -> bool {
    message.get_field_by_name(field).is_some_and(|list| list.as_list().is_some_and(|list| !list.is_empty()))
}

/// A query for what it is for on that Task Queue alone; nothing of one that could close the bracket around it.
fn narrowed(query: &str, task_queue: &str) -> Option<String> {
    let own = format!("TaskQueue=\"{task_queue}\"");
    // What groups and sorts comes after all conditions.
    let (conditions, rest) = split_off_rest(query)?;
    Some(match (conditions.trim(), rest.trim()) {
        ("", "") => own,
        ("", rest) => format!("{own} {rest}"),
        (conditions, "") => format!("{own} AND ({conditions})"),
        (conditions, rest) => format!("{own} AND ({conditions}) {rest}"),
    })
}

/// The conditions of a query, and its `GROUP BY` or `ORDER BY`, which may stand in no text. The service reads it as MySQL would, with
/// comments, in which a bracket or a quote does not count: there are none in conditions that come through.
fn split_off_rest(query: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut open = 0_u32;
    let bytes = query.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"' | b'\''), b'\\') => at += 1,
            (Some(sign), byte) if byte == sign => quote = None,
            (None, byte @ (b'"' | b'\'' | b'`')) => quote = Some(byte),
            (None, b'#' | b'-' | b'/' | b'@') if is_not_for_a_query(&bytes[at..]) => return None,
            (None, b'(') => open += 1,
            (None, b')') => open = open.checked_sub(1)?,
            (None, b'G' | b'g' | b'O' | b'o') if is_start_of_word(bytes, at) => {
                let rest = &query[at..];
                let mut words = rest.split_ascii_whitespace();
                let first = words.next().unwrap_or_default();
                let is_rest = first.eq_ignore_ascii_case("group") || first.eq_ignore_ascii_case("order");
                if is_rest && words.next().is_some_and(|word| word.eq_ignore_ascii_case("by")) {
                    return (open == 0).then(|| query.split_at(at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    (open == 0 && quote.is_none()).then_some((query, ""))
}

/// Whether a comment begins there, or the name of a variable, in which a quote is a letter.
fn is_not_for_a_query(bytes: &[u8]) -> bool {
    [&b"#"[..], b"--", b"/*", b"//", b"@"].iter().any(|begin| bytes.starts_with(begin))
}

fn is_start_of_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || bytes[at - 1].is_ascii_whitespace() || bytes[at - 1] == b')'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_narrowed_to_the_learners_own() {
        let narrow = |query: &str| narrowed(query, "q").expect("it closes what it opens");
        assert_eq!(narrow(""), r#"TaskQueue="q""#);
        assert_eq!(narrow("A=1 OR B=2"), r#"TaskQueue="q" AND (A=1 OR B=2)"#);
        assert_eq!(
            narrow("A=1 OR B=2 GROUP BY ExecutionStatus"),
            r#"TaskQueue="q" AND (A=1 OR B=2) GROUP BY ExecutionStatus"#
        );
        assert_eq!(narrow("order by StartTime"), r#"TaskQueue="q" order by StartTime"#);
        // A text is a text, whatever stands in it.
        assert_eq!(
            narrow(r#"A=" GROUP BY \" ORDER BY " OR B=' order by '"#),
            r#"TaskQueue="q" AND (A=" GROUP BY \" ORDER BY " OR B=' order by ')"#
        );
    }

    #[test]
    fn nobody_can_close_the_bracket_around_a_query() {
        for query in ["A=1) OR (B=2", "(A=1", "A=1)", "A=\"1", "A='\\'", "A=1) GROUP BY ExecutionStatus"] {
            assert_eq!(narrowed(query, "q"), None, "{query}");
        }
        // What only seems to be in quotes, to who does not know of comments or takes a backslash for more than it is.
        for query in [
            "A=1 /*\"*/) OR (B=2 /*\"*/",
            "A=1 #\"\n) OR (B=2 #\"\n",
            "A=1 -- '\n) OR (B=2 -- '\n",
            "A=1 //'\n) OR (B=2 //'\n",
            "A LIKE \"x\" ESCAPE @@') OR (A LIKE \"x\" ESCAPE @@'",
            "`a\\`=1) OR (`b`=2 AND `\\`=3",
        ] {
            assert_eq!(narrowed(query, "q"), None, "{query}");
        }
        for query in ["(A=1 OR (B=')'))", "A='#' OR A=\"--\" OR A='/*' OR A=-1", "A BETWEEN 1-2 AND 4/2"] {
            assert!(narrowed(query, "q").is_some(), "{query}");
        }
    }

    /// How a service reads the brackets of conditions, as MySQL's words go: the least that are open anywhere, and at the end; none where a
    /// text or a comment goes on beyond it.
    fn brackets(conditions: &str) -> Option<(i32, i32)> {
        let (mut least, mut open) = (0, 0);
        let mut rest = conditions;
        while let Some(first) = rest.chars().next() {
            let behind = &rest[first.len_utf8()..];
            rest = match first {
                '#' => behind.split_once('\n')?.1,
                '-' | '/' if behind.starts_with(first) => behind.split_once('\n')?.1,
                '/' if behind.starts_with('*') => behind[1..].split_once("*/")?.1,
                '@' => behind.trim_start_matches(|c: char| c.is_alphanumeric() || "@'\"`._".contains(c)),
                '`' => behind.split_once('`')?.1,
                '"' | '\'' => {
                    let mut escaped = false;
                    let is_end = |(_, c): &(usize, char)| {
                        let is_end = *c == first && !escaped;
                        escaped = *c == '\\' && !escaped;
                        is_end
                    };
                    let (at, _) = behind.char_indices().find(is_end)?;
                    &behind[at + 1..]
                }
                bracket => {
                    open += i32::from(bracket == '(') - i32::from(bracket == ')');
                    least = least.min(open);
                    behind
                }
            };
        }
        Some((least, open))
    }

    #[test]
    fn what_comes_through_has_its_brackets_for_the_service_too() {
        let words = [
            "(",
            ")",
            "'",
            "\"",
            "`",
            "\\",
            "-",
            "--",
            "#",
            "/",
            "/*",
            "*/",
            "//",
            "@",
            "@@",
            "\n",
            " ",
            "A=1",
            "OR",
            "ü",
            " GROUP BY ",
            " order by ",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        let mut through = 0;
        for _ in 0..300_000 {
            let length = random.usize(1..16);
            let query: String = (0..length).map(|_| words[random.usize(..words.len())]).collect();
            if let Some((conditions, _)) = split_off_rest(&query) {
                assert_eq!(brackets(conditions), Some((0, 0)), "{query:?}");
                through += usize::from(conditions.contains('('));
            }
        }
        assert!(through > 1_000, "only {through} had brackets, and came through");
    }

    #[test]
    fn every_method_that_the_service_has_is_read_or_ruled_on() {
        let any = api::method("GetSystemInfo").expect("there is one");
        let service = any.parent_service();
        for method in service.methods() {
            let name = method.name();
            let reads = ["Get", "List", "Describe", "Count", "Query", "Scan"]
                .iter()
                .any(|word| name.starts_with(word));
            let of_a_task = ["Respond", "Record", "Poll", "Shutdown", "ResetSticky"]
                .iter()
                .any(|word| name.starts_with(word));
            assert!(
                reads || of_a_task || rule(name) != Rule::Pass,
                "{name} changes something, and comes through"
            );
        }
    }

    #[test]
    fn without_a_learner_everything_comes_through() {
        let everybody = Guard::new(None, "default");
        let ada = Guard::new(Some("ada"), "default");
        for method in ["TerminateWorkflowExecution", "ListWorkflowExecutions", "UpdateNamespace"] {
            let path = format!("/{WORKFLOWS}/{method}");
            assert!(!everybody.is_needed(&path) && ada.is_needed(&path), "{method}");
        }
        assert!(ada.is_needed(&format!("/{}/DeleteNamespace", api::OPERATOR)));
        assert!(!ada.is_needed("/grpc.health.v1.Health/Check"));
        assert!(!ada.is_needed(&format!("/{WORKFLOWS}/GetWorkflowExecutionHistory")));
    }
}

//! A worker for one test, in this process.

use std::thread::{self, JoinHandle};

use anyhow::anyhow;
use temporalio_client::Client;
use temporalio_sdk::WorkerOptions;
use tokio::sync::oneshot;
use transfer_kit::host;

/// A polling worker. [`TestWorker::stop`] shuts it down and waits; dropping it only shuts it down.
pub struct TestWorker {
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestWorker {
    /// Starts a worker and waits until the server reports its pollers.
    ///
    /// # Panics
    /// It ends before that.
    pub async fn start(client: &Client, options: WorkerOptions) -> TestWorker {
        let (leave, left) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel::<()>();
        // A thread with its own runtime, because a worker's future is not `Send`.
        let client = client.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let shutdown = async {
                // The worker shuts down when this is sent or dropped.
                let _ = left.await;
            };
            let polls = move || tell.send(()).map_err(|()| anyhow!("the test has ended"));
            runtime.block_on(host::run(client, options, shutdown, polls)).expect("the worker runs");
        });
        told.await.expect("the worker polls");
        TestWorker { leave: Some(leave), thread: Some(thread) }
    }

    /// Shuts the worker down and waits until it has ended.
    pub async fn stop(mut self) {
        drop(self.leave.take());
        let thread = self.thread.take().expect("it is joined only here");
        tokio::task::spawn_blocking(move || thread.join())
            .await
            .expect("joining does not panic")
            .expect("the worker shuts down cleanly");
    }
}

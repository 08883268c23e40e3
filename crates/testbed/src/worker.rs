//! A worker of the test's own, in this process.

use std::thread::{self, JoinHandle};

use temporalio_client::Client;
use temporalio_sdk::WorkerOptions;
use tokio::sync::oneshot;
use transfer_kit::host;

/// A worker that polls. [`TestWorker::stop`] lets it leave in order; dropped, it leaves by itself.
pub struct TestWorker {
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestWorker {
    /// Starts a worker and waits until the server tells that it polls.
    ///
    /// # Panics
    /// Where it ends before.
    pub async fn start(client: &Client, options: WorkerOptions) -> TestWorker {
        let (leave, left) = oneshot::channel::<()>();
        let (tell, polling) = oneshot::channel::<()>();
        // A thread with a runtime of its own: a worker's future stays on one thread.
        let client = client.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let shutdown = async {
                // Sent or dropped, the worker leaves.
                let _ = left.await;
            };
            let on_polling = || {
                // The test may have ended meanwhile.
                let _ = tell.send(());
            };
            runtime.block_on(host::run(client, options, shutdown, on_polling)).expect("the worker runs");
        });
        polling.await.expect("the worker polls");
        TestWorker { leave: Some(leave), thread: Some(thread) }
    }

    /// Lets the worker leave in order and waits until it has.
    pub async fn stop(mut self) {
        drop(self.leave.take());
        let thread = self.thread.take().expect("it is joined only here");
        tokio::task::spawn_blocking(move || thread.join())
            .await
            .expect("joining does not panic")
            .expect("the worker left in order");
    }
}

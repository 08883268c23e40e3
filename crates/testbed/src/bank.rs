//! A bank for one test, in this process.

use std::path::PathBuf;

use account_api::Bank;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::dev_server::free_port;

/// A bank. It closes when dropped.
pub struct TestBank {
    /// Its URL, without a path.
    pub url: String,
    port: u16,
    ledger: Option<TempDir>,
    open: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl TestBank {
    /// Opens a bank with its ledger in memory.
    pub async fn open() -> TestBank {
        TestBank::open_one(None).await
    }

    /// The same with its ledger in a file, so that it can be closed and reopened.
    pub async fn open_keeping() -> TestBank {
        TestBank::open_one(Some(tempfile::tempdir().expect("a temporary folder"))).await
    }

    async fn open_one(ledger: Option<TempDir>) -> TestBank {
        // Only a bank that will be reopened needs a reserved port.
        let port = if ledger.is_some() { free_port() } else { 0 };
        let mut bank = TestBank { url: String::new(), port, ledger, open: None };
        bank.serve().await;
        bank
    }

    /// Closes it, and returns once it no longer responds.
    pub async fn close(&mut self) {
        if let Some((close, served)) = self.open.take() {
            drop(close);
            served.await.expect("the bank closes");
        }
    }

    /// Reopens it at its address, with its ledger.
    ///
    /// # Panics
    /// Its ledger was in memory.
    pub async fn open_again(&mut self) {
        assert!(self.ledger.is_some(), "only a bank with its ledger in a file can be reopened");
        self.close().await;
        self.serve().await;
    }

    async fn serve(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("its port is reserved");
        self.url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let file: Option<PathBuf> = self.ledger.as_ref().map(|folder| folder.path().join("ledger.db"));
        let bank = file.map_or_else(Bank::in_memory, Bank::open).expect("a ledger");
        let (close, closed) = oneshot::channel::<()>();
        let closed = async {
            // The bank closes when this is sent or dropped.
            let _ = closed.await;
        };
        let served = tokio::spawn(async move {
            account_api::serve(listener, bank, closed).await.expect("the bank serves");
        });
        self.open = Some((close, served));
    }
}

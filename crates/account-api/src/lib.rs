//! The bank of the lab: ten accounts in one SQLite file, behind HTTP.
//!
//! It is the world outside of Temporal: it can be slow, fail, lose its answers, or be out of service,
//! and it moves money once for each idempotency key.
//!
//! ```no_run
//! # async fn run() -> anyhow::Result<()> {
//! let bank = account_api::Bank::in_memory()?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! println!("http://{}", listener.local_addr()?);
//! account_api::serve(listener, bank, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Architecture invariant:** only the `ledger` module knows SQL, and only the `ledger_thread`'s thread
//! touches the ledger. This crate knows nothing of Temporal.

mod ledger;
mod ledger_thread;
mod outage;
mod problem;
mod real_world_mode;
mod request;
mod routes;
mod serve;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use ledger::Ledger;
use ledger_thread::LedgerThread;

pub use outage::Outage;
pub use real_world_mode::{RealWorldMode, Strikes};
pub use routes::app;
pub use serve::serve;

/// The bank: its ledger, and what is wrong with it at the moment. Clones are the same bank.
#[derive(Clone)]
pub struct Bank {
    ledger: LedgerThread,
    real_world_mode: Arc<watch::Sender<RealWorldMode>>,
    outage: Arc<watch::Sender<Outage>>,
    closing: Arc<watch::Sender<bool>>,
}

impl Bank {
    /// A bank with its ledger in this file, which is made if there is none.
    ///
    /// # Errors
    /// The file cannot be opened, or is not a ledger of this version. Then it is left as it is.
    pub fn open(path: impl AsRef<Path>) -> anyhow::Result<Bank> {
        Bank::with_ledger(Ledger::open(path.as_ref())?)
    }

    /// A bank whose ledger is gone with it, for tests.
    ///
    /// # Errors
    /// The machine is out of memory or threads.
    pub fn in_memory() -> anyhow::Result<Bank> {
        Bank::with_ledger(Ledger::in_memory()?)
    }

    fn with_ledger(ledger: Ledger) -> anyhow::Result<Bank> {
        Ok(Bank {
            ledger: LedgerThread::start(ledger)?,
            real_world_mode: Arc::default(),
            outage: Arc::default(),
            closing: Arc::default(),
        })
    }

    /// Ends the time-outs under way, finishes what is asked for already, and closes the ledger.
    /// Requests after that are answered with a 503.
    pub async fn close(&self) {
        self.hurry();
        self.ledger.close().await;
    }

    /// Ends the time-outs under way, and those to come.
    fn hurry(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the bank closes.
    async fn closing(&self) {
        // An error would mean that the bank is gone, so it has closed.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

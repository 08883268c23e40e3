//! The bank as a value: its ledger, and what is wrong with it at the moment.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::ledger_thread::LedgerThread;
use crate::outage::Outage;
use crate::real_world_mode::RealWorldMode;

/// The bank: its ledger, and what is wrong with it at the moment. Clones are the same bank.
#[derive(Clone)]
pub struct Bank {
    pub(crate) ledger: LedgerThread,
    pub(crate) real_world_mode: Arc<watch::Sender<RealWorldMode>>,
    pub(crate) outage: Arc<watch::Sender<Outage>>,
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
    pub(crate) fn hurry(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the bank closes.
    pub(crate) async fn closing(&self) {
        // An error would mean that the bank is gone, so it has closed.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

//! The bank as a value: its ledger, and what is wrong with it at the moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
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
    /// Where it notes what is switched on.
    faults_file: Option<Arc<Mutex<PathBuf>>>,
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
            faults_file: None,
        })
    }

    /// The bank, which notes in this file what is switched on, Real World Mode or an outage, as its routes answer it. Without any
    /// there is no file. So whoever starts the next bank can say what its start has ended.
    pub fn with_faults_file(self, path: PathBuf) -> Bank {
        let bank = Bank { faults_file: Some(Arc::new(Mutex::new(path))), ..self };
        bank.note_faults();
        bank
    }

    /// Brings the file up to date.
    pub(crate) fn note_faults(&self) {
        let Some(path) = &self.faults_file else { return };
        let path = path.lock().unwrap_or_else(PoisonError::into_inner);
        let (mode, outage) = (*self.real_world_mode.borrow(), *self.outage.borrow());
        // The bank does its work without the file, so an error is no obstacle.
        let _ = if mode.enabled || outage != Outage::default() {
            fs::write(&*path, json!({ "real_world_mode": mode, "outage": outage }).to_string())
        } else {
            fs::remove_file(&*path)
        };
    }

    /// Ends the time-outs in progress, finishes the requests that have arrived, and closes the ledger.
    /// Requests after that are answered with a 503.
    pub async fn close(&self) {
        self.hurry();
        self.ledger.close().await;
    }

    /// Ends the time-outs in progress, and later ones at once.
    pub(crate) fn hurry(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the bank closes.
    pub(crate) async fn closing(&self) {
        // An error would mean that the bank is gone, so it has closed.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

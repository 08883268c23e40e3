//! The one thread that works on the ledger. It commits whatever is waiting in one transaction, and
//! answers only then: many requests share the price of a commit, and no answer runs ahead of it.

use std::sync::Arc;
use std::thread;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::{Ledger, LedgerError, Refused};

/// How many jobs one transaction takes at most, so that the first of them is not kept waiting.
const BATCH: usize = 256;

/// How many jobs may wait; beyond that, requests wait to be heard.
const QUEUE: usize = 1024;

/// Why an operation failed.
#[derive(Clone, Debug)]
pub(crate) enum NoAnswer {
    /// The bank refuses it.
    Refused(Refused),
    /// SQLite could not read or write. Nothing was changed: a sentence that says why and what to do.
    Broken(Arc<str>),
    /// The ledger is closed.
    Closed,
}

/// A handle of the thread that works on the ledger. Clones are of the same thread.
#[derive(Clone)]
pub(crate) struct LedgerThread {
    orders: mpsc::Sender<Order>,
}

/// A message to the thread.
enum Order {
    /// To do a piece of work.
    Work(Box<dyn Job>),
    /// To close the ledger, and say when that is done.
    Close(oneshot::Sender<()>),
}

/// An operation on the ledger, and where to send its outcome.
trait Job: Send {
    /// Does the work, inside a transaction. An error spoils the whole transaction.
    fn work(&mut self, ledger: &Ledger) -> rusqlite::Result<()>;
    /// Tells the outcome of the work, or why the transaction failed.
    fn answer(self: Box<Self>, committed: Result<(), Arc<str>>);
}

/// The job of one [`LedgerThread::ask`].
struct Question<T, F> {
    /// The work, until it is done.
    work: Option<F>,
    /// What came of it, once it is done.
    outcome: Option<Result<T, Refused>>,
    /// Where to send the outcome, once it is committed.
    answer: oneshot::Sender<Result<T, NoAnswer>>,
}

impl<T, F> Job for Question<T, F>
where
    T: Send,
    F: FnOnce(&Ledger) -> Result<T, LedgerError> + Send,
{
    fn work(&mut self, ledger: &Ledger) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.outcome = match work(ledger) {
                Ok(value) => Some(Ok(value)),
                Err(LedgerError::Refused(refused)) => Some(Err(refused)),
                Err(LedgerError::Broken(error)) => return Err(error),
            };
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Arc<str>>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome.map_err(NoAnswer::Refused),
            (Ok(()), None) => return,
            (Err(reason), _) => Err(NoAnswer::Broken(reason)),
        };
        // Whoever asked may have hung up since.
        let _ = self.answer.send(answer);
    }
}

impl LedgerThread {
    /// Hands the ledger to a new thread.
    pub(crate) fn start(ledger: Ledger) -> anyhow::Result<LedgerThread> {
        let (orders, incoming) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || serve(ledger, incoming))
            .context("cannot start the thread that keeps the ledger")?;
        Ok(LedgerThread { orders })
    }

    /// Has this work done and committed.
    pub(crate) async fn ask<T, F>(&self, work: F) -> Result<T, NoAnswer>
    where
        T: Send + 'static,
        F: FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let question = Question { work: Some(work), outcome: None, answer };
        let order = Order::Work(Box::new(question));
        self.orders.send(order).await.map_err(|_| NoAnswer::Closed)?;
        answered.await.unwrap_or(Err(NoAnswer::Closed))
    }

    /// Finishes what is waiting and closes the ledger, which merges SQLite's log into the file.
    pub(crate) async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.orders.send(Order::Close(closed)).await.is_ok() {
            // An error is as good as an answer: the thread has ended.
            let _ = done.await;
        }
    }
}

/// The thread's loop: runs until it gets a message to close, or all handles are dropped.
fn serve(ledger: Ledger, mut incoming: mpsc::Receiver<Order>) {
    while let Some(first) = incoming.blocking_recv() {
        let mut jobs = Vec::new();
        let mut closed = None;
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Work(job) => jobs.push(job),
                Order::Close(answer) => closed = Some(answer),
            }
            let go_on = jobs.len() < BATCH && closed.is_none();
            next = if go_on { incoming.try_recv().ok() } else { None };
        }

        let committed = commit(&ledger, &mut jobs).map_err(|error| Arc::from(ledger.trouble(&error)));
        for job in jobs {
            job.answer(committed.clone());
        }
        if let Some(closed) = closed {
            drop(ledger);
            let _ = closed.send(());
            return;
        }
    }
}

/// All jobs in one transaction. Any error leaves the ledger as it was before the first.
fn commit(ledger: &Ledger, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let transaction = ledger.begin()?;
    for job in jobs {
        job.work(ledger)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use contract::{Amount, Money};

    use super::*;
    use crate::ledger::{Direction, Movement, Provenance};

    fn deposit(ledger: &Ledger, transfer: &str) -> Result<Money, LedgerError> {
        let movement = Movement {
            direction: Direction::Deposit,
            account: "account_A".to_owned(),
            amount: Amount::from_cents(1).expect("an amount"),
            provenance: Provenance { transfer: Some(transfer.to_owned()), ..Provenance::default() },
        };
        ledger.apply(&movement).map(|moved| moved.new_balance)
    }

    #[tokio::test]
    async fn a_failed_commit_fails_every_job_of_its_batch_and_leaves_the_ledger() {
        let ledger = Ledger::in_memory().expect("a ledger");
        let mut answers = Vec::new();
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        for spoiled in [false, false, true, false] {
            let work = move |ledger: &Ledger| {
                let balance = deposit(ledger, "transfer")?;
                if spoiled { Err(rusqlite::Error::InvalidQuery.into()) } else { Ok(balance) }
            };
            let (answer, answered) = oneshot::channel();
            jobs.push(Box::new(Question { work: Some(work), outcome: None, answer }));
            answers.push(answered);
        }
        let committed = commit(&ledger, &mut jobs).map_err(|error| Arc::from(error.to_string()));
        for job in jobs {
            job.answer(committed.clone());
        }
        for answer in answers {
            assert!(matches!(answer.await, Ok(Err(NoAnswer::Broken(_)))));
        }
        assert_eq!(ledger.balance("account_A").expect("a balance"), Money::from_dollars(1000));
    }

    #[tokio::test]
    async fn a_full_disk_is_answered_as_such_and_the_bank_goes_on() {
        let thread = LedgerThread::start(Ledger::in_memory().expect("a ledger")).expect("a thread");
        thread.ask(|ledger| ledger.limit_size(1)).await.expect("a limit");
        let transfer = "a long name fills the disk sooner ".repeat(10);
        let mut balance = Money::from_dollars(1000);
        let reason = loop {
            let transfer = transfer.clone();
            match thread.ask(move |ledger| deposit(ledger, &transfer)).await {
                Ok(new_balance) => balance = new_balance,
                Err(NoAnswer::Broken(reason)) => break reason,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert!(reason.contains("full"), "{reason}");
        let held = thread.ask(|ledger| ledger.balance("account_A")).await;
        assert_eq!(held.expect("a balance"), balance);

        thread.ask(|ledger| ledger.limit_size(1_000_000)).await.expect("a limit");
        thread.ask(move |ledger| deposit(ledger, &transfer)).await.expect("room again");
    }
}

//! Activities whose idempotency key has the attempt in it, at a bank that loses answers after it has moved the money.

use super::{Code, Drill, Key, NEW_ONES, modules};

/// Until the bank has moved the money of a transfer twice.
async fn begin() -> Drill {
    let drill = Drill::begin("charged-twice").await;
    drill.until_hit().await;
    drill
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_corrections() {
    let mut drill = begin().await;
    drill.until_wrong("every attempt must send the same Idempotency-Key").await;
    drill.until_closed().await;
    drill.stays_open("ledger-is-exact", "add up to").await;
    drill.stays_open(NEW_ONES, "its money is not where it should be").await;
    drill.deploy(modules("reset-workflows")).await;
    drill.until_closed().await;
    // What was charged twice before the fix stays so.
    drill.stays_open("ledger-is-exact", "add up to").await;
    drill.settle().await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn a_key_of_the_run_and_corrections() {
        let mut drill = begin().await;
        drill.deploy(Code { key: Key::OfTheRun, ..Code::default() }).await;
        drill.settle().await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // Corrections again and again, with the same code.
        for _ in 0..2 {
            drill.settle().await;
            drill.burst().await;
        }
        drill.settle().await;
        drill.stays_open(NEW_ONES, "its money is not where it should be").await;
        drill.until_wrong("every attempt must send the same Idempotency-Key").await;
        // One attempt only.
        drill.deploy(Code { key: Key::OfTheAttempt, maximum_attempts: 1, ..Code::default() }).await;
        drill.settle().await;
        drill.stays_open(NEW_ONES, "it failed, and the bank had no reason to refuse it").await;
        // A bank that loses no answer any more.
        drill.end_faults().await;
        drill.deploy(Code { key: Key::OfTheAttempt, ..Code::default() }).await;
        drill.settle().await;
        drill.expect_none_late();
        drill.stays_open(NEW_ONES, "0 of 5 transfers that the incident would have hit have completed").await;
    }
}

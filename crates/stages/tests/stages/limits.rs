//! A limit on attempts: what would have waited for its fix ends as Failed.

use temporalio_common::protos::temporal::api::{
    enums::v1::RetryState, history::v1::history_event::Attributes,
};
use testbed::Testbed;

use crate::{balances, balances_after, events, example, worker};

#[tokio::test]
async fn with_three_attempts_transfers_fail_for_good_and_no_money_moves() {
    let testbed = Testbed::start().await;
    let worker = worker(&testbed, "jerry-limits-retries").await;
    let mut transfers = Vec::new();
    for id in ["limited-1", "limited-2", "limited-3"] {
        transfers.push(testbed.start_transfer(id, example()).await);
    }
    for transfer in &transfers {
        let (message, _) = events::failure(transfer).await;
        for part in [
            "http://127.0.0.1:5005/accounts/account_A/withdraw",
            "called at crates/stages/src/activities/jerry.rs:",
            "no money was taken",
        ] {
            assert!(message.contains(part), "{message}");
        }
        let mut attempts = Vec::new();
        let mut ends = Vec::new();
        for event in events::of(transfer).await {
            match event.attributes {
                Some(Attributes::ActivityTaskStartedEventAttributes(started)) => {
                    attempts.push(started.attempt)
                }
                Some(Attributes::ActivityTaskFailedEventAttributes(failed)) => {
                    ends.push(failed.retry_state())
                }
                _ => {}
            }
        }
        // Both balance checks, the withdrawal, the refund.
        assert_eq!(attempts, [1, 1, 3, 1]);
        assert_eq!(ends, [RetryState::MaximumAttemptsReached]);
    }
    assert_eq!(balances(&testbed).await, balances_after(0));
    worker.stop().await;
}

//! A patch that was removed while three transfers that had recorded it were in progress.

use serde_json::json;

use super::{Code, Confirms, Does, Drill, NEW_ONES, in_progress, modules};

/// The patch that the three have recorded.
const PATCH: &str = "confirm-balance";

/// Until only the three are in progress.
async fn begin() -> Drill {
    let drill = Drill::begin("yesterdays-transfers").await;
    drill.until_hit().await;
    drill
        .until("only the three to be in progress", |facts| match in_progress(facts).len() {
            3 => Ok(()),
            others => Err(others),
        })
        .await;
    drill
}

fn confirms(confirms: Confirms) -> Code {
    Code { confirms, ..Code::default() }
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix() {
    let mut drill = begin().await;
    drill.stays_open("none-is-stuck", "3 in progress that should have closed").await;
    drill.stays_open("replay-is-clean", "the code in place does not replay").await;
    drill.deploy(modules("patch-deprecated")).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn the_shipped_fix_with_transfers_of_today_past_the_step() {
        let mut drill = begin().await;
        drill.put("/outage", json!({ "deposits": true })).await;
        drill.burst().await;
        drill
            .until("the new ones to wait for their deposits", |facts| match in_progress(facts) {
                // Three of yesterday, and five of each kind that the bank does not refuse.
                held if held.len() == 18 && held.iter().all(|one| has_withdrawn(one.last())) => Ok(()),
                held => Err(held.len()),
            })
            .await;
        drill.deploy(modules("patch-deprecated")).await;
        drill.put("/outage", json!({ "deposits": false })).await;
        drill.retry().await;
        drill.until_recovered().await;
    }

    fn has_withdrawn(run: &lab::Run) -> bool {
        run.calls("withdraw").any(|(_, answer)| answer.is_some())
    }

    #[tokio::test]
    async fn the_code_of_yesterday() {
        let mut drill = begin().await;
        drill.deploy(modules("version-workflow")).await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // Code without the step.
        drill.deploy(confirms(Confirms::Never)).await;
        drill.stays_open("replay-is-clean", "the code in place does not replay").await;
        drill.stays_open("none-is-stuck", "3 in progress that should have closed").await;
        // A new patch.
        drill.deploy(confirms(Confirms::Patched("confirm-balance-again"))).await;
        drill.stays_open("replay-is-clean", "the code in place does not replay").await;
        // The three are terminated.
        for id in drill.stuck().await {
            drill.terminate(&id).await;
        }
        drill.deploy(confirms(Confirms::Patched(PATCH))).await;
        drill.stays_open("none-is-lost", "it was ended before it completed").await;
        drill.stays_open("ledger-is-exact", "add up to").await;
        // Code that fails past the step.
        let code = Code {
            special: Some((0..=i64::MAX, contract::step::WITHDRAW, Does::Panic)),
            ..confirms(Confirms::Deprecated(PATCH))
        };
        drill.deploy(code).await;
        drill.stays_open(NEW_ONES, "its code failed").await;
    }
}

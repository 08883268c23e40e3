//! Code that reads the balances in random order, so that each replay succeeds or fails at random.

use lab::{Facts, Transfer};
use testbed::until;

use super::{Balances, Code, Drill, in_progress, modules};

async fn begin() -> Drill {
    let drill = Drill::begin("works-on-retry").await;
    drill.until_hit().await;
    drill
}

/// Stops the worker while transfers are in progress that have read the other balance first.
async fn stop_halfway(drill: &mut Drill) {
    loop {
        drill.stop().await;
        if !reversed(&drill.facts().await).is_empty() {
            return;
        }
        drill.deploy(modules("works-on-retry")).await;
        drill.until_hit().await;
    }
}

/// The transfers in progress whose first step is the second one of the shipped code.
fn reversed(facts: &Facts) -> Vec<&Transfer> {
    let is_reversed = |transfer: &&Transfer| {
        let mut scheduled = transfer.last().events().filter(|event| event.is("ActivityTaskScheduled"));
        scheduled.next().is_some_and(|first| first.text("activityId") == contract::step::CHECK_BALANCE_TO)
    };
    in_progress(facts).into_iter().filter(is_reversed).collect()
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_a_reset_of_what_it_does_not_replay() {
    let mut drill = begin().await;
    drill.stays_open("new-ones-are-safe", "has run only under the code in place, and its code failed").await;
    stop_halfway(&mut drill).await;
    drill.deploy(modules("reset-workflows")).await;
    // What began in the other order stays as it is.
    drill.stays_open("replay-is-clean", "the code in place does not replay").await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    let others = "workflow count --query 'ExecutionStatus=\"Running\" AND TemporalReportedProblems IS NULL'";
    until("the others to be done", || async {
        let printed = drill.type_in(others).await;
        if printed.contains("Total: 0") { Ok(()) } else { Err(printed) }
    })
    .await;
    let query = "ExecutionStatus=\"Running\" AND TemporalReportedProblems IS NOT NULL";
    let reset = "workflow reset --type FirstWorkflowTask --reason order --yes";
    drill.type_in(&format!("{reset} --query '{query}'")).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn another_fixed_order_and_a_reset_of_each_that_was_in_progress() {
        let mut drill = begin().await;
        stop_halfway(&mut drill).await;
        let facts = drill.facts().await;
        drill.deploy(Code { balances: Balances::ByName, ..Code::default() }).await;
        for transfer in in_progress(&facts) {
            drill.reset(&transfer.workflow_id, "FirstWorkflowTask").await;
        }
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // What the fix does not replay is terminated.
        stop_halfway(&mut drill).await;
        for transfer in reversed(&drill.facts().await) {
            drill.terminate(&transfer.workflow_id).await;
        }
        drill.deploy(modules("reset-workflows")).await;
        drill.stays_open("none-is-lost", "it was ended before it completed").await;
        // Another random order.
        drill.deploy(Code { balances: Balances::Random, ..Code::default() }).await;
        drill.stays_open("new-ones-are-safe", "its code failed").await;
    }
}

//! A wrong fix reaches no goal, and the check says what is wrong with it.

use std::collections::BTreeSet;

use lab::{STAGES, Status};
use testbed::until;

use super::{Lab, reached, right::next};
use crate::versioning::withdrawn_under;

/// A wrong fix, and parts of what is reported about it: what can be seen, and the rule.
type Case = (&'static str, &'static str, &'static str);

const SKIPPED_STEPS: [Case; 5] = {
    const SKIP: &str = "must not skip a step";
    [
        ("skips-a-balance", "it called withdraw without reading the balance of account_B", SKIP),
        ("skips-the-withdrawal", "it called deposit without calling withdraw", SKIP),
        ("skips-the-deposit", "it completed without calling deposit", SKIP),
        ("claims-a-success", "it completed without calling withdraw", SKIP),
        ("deposits-first", "it called deposit before it called withdraw", "the steps have an order"),
    ]
};
const INVENTED_RESULTS: [Case; 2] = {
    const INVENTED: &str = "make up its result";
    [
        ("claims-a-balance", "to_account_starting_balance 1, which no check_balance returned", INVENTED),
        ("claims-another-amount", "for a transfer of 25.50 from account_A to account_B", INVENTED),
    ]
};
const INVENTED_ANSWERS: [Case; 3] = {
    const ASK: &str = "ask the bank";
    [
        ("makes-up-the-withdrawal", "the bank's ledger has no withdrawal for this transfer", ASK),
        ("makes-up-the-deposit", "the bank's ledger has no deposit for this transfer", ASK),
        ("sends-no-headers", "the bank's ledger has no withdrawal for this transfer", ASK),
    ]
};
const SECOND_PAYMENTS: [Case; 3] = {
    const ONCE: &str = "must move its money once";
    [
        ("withdraws-twice", "withdraw was called 2 times", ONCE),
        ("deposits-twice", "deposit was called 2 times", ONCE),
        ("sends-another-key", "the bank's ledger has 2 withdrawals for it", ONCE),
    ]
};
const OTHER_MONEY: [Case; 4] = {
    const OTHER: &str = "must not move any money but";
    [
        ("withdraws-less", "withdraw was called with {", OTHER),
        ("takes-from-another", "withdraw was called with {", OTHER),
        ("deposits-to-another", "has a deposit of 25.50 at account_F, for a transfer of 25.50", OTHER),
        ("sends-less", "has a withdrawal of 0.01 at account_A, for a transfer of 25.50", OTHER),
    ]
};
const SWALLOWED_REFUSAL: [Case; 1] = [(
    "swallows-the-withdrawal",
    "it called deposit although withdraw had not succeeded",
    "swallow an error",
)];
const FAILED_DEPOSITS: [Case; 4] = [
    ("swallows-the-deposit", "it completed although deposit had not succeeded", "swallow an error"),
    ("keeps-the-money", "the 25.50 that it took is in no account", "must give the money back"),
    ("makes-up-the-refund", "the 25.50 that it took is in no account", "must give the money back"),
    (
        "claims-a-delivery",
        "the bank's ledger has no deposit for it, or a refund undid it",
        "Activity must not make up its result",
    ),
];
const GIVEN_UP: [Case; 1] =
    [("makes-every-error-final", "withdraw gave up: no bank answers at", "must stay retryable")];
/// Fixes that break no rule and reach no goal either.
const NO_FIXES: [&str; 3] = ["fails-instead", "makes-up-a-refusal", "waits-forever"];
/// Fixes that leave the transfers of Jerry's limit without a way to outlast a fault.
const LIMITS: [&str; 3] = ["keeps-the-limit", "four-attempts", "a-hundred-attempts"];
/// Fixes that do not let old and new transfers run side by side.
const UNVERSIONED: [&str; 2] = ["takes-it-back", "patch-after-the-withdrawal"];

#[test]
fn twenty_wrong_fixes_are_judged() {
    let reported = [
        &SKIPPED_STEPS[..],
        &INVENTED_RESULTS,
        &INVENTED_ANSWERS,
        &SECOND_PAYMENTS,
        &OTHER_MONEY,
        &SWALLOWED_REFUSAL,
        &GIVEN_UP,
        &FAILED_DEPOSITS,
    ];
    let reported = reported.into_iter().flatten().map(|(fix, ..)| *fix);
    let fixes: BTreeSet<&str> = reported.chain(NO_FIXES).chain(LIMITS).chain(UNVERSIONED).collect();
    assert!(fixes.len() >= 20, "{fixes:?}");
}

/// The goals that a transfer reaches only by continuing as it should.
const BY_CONTINUING: [&str; 16] = [
    "goes-on",
    "none-is-stuck",
    "withdraw-succeeds",
    "refusal-is-final",
    "error-classified",
    "new-ones-make-the-step",
    "patch-deprecated",
    "patched-ones-complete",
    "transfer-completes",
    "stuck-ones-complete",
    "old-ones-complete",
    "new-ones-complete",
    "one-is-reset",
    "all-are-reset",
    "withdrawn-once",
    "nothing-is-lost",
];

/// Gets a transfer stuck on Jerry's bug for each of these wrong fixes, runs it to its end with that fix, and asserts
/// what the check reports.
async fn are_reported(lab: &Lab, amount: f64, cases: &[Case]) {
    let jerry = lab.worker("jerry").await;
    let input = serde_json::json!({"from_account": "account_A", "to_account": "account_B", "amount": amount});
    for (fix, ..) in cases {
        lab.testbed.start_transfer(fix, input.clone()).await;
    }
    for (fix, ..) in cases {
        lab.until_reached(fix, "jerry", &["workflow-task-fails"]).await;
    }
    jerry.stop().await;
    let worker = lab.other_worker().await;
    for (fix, what, meaning) in cases {
        let facts = until(&format!("the end of {fix}"), || async {
            let facts = lab.facts(fix).await;
            if facts.transfers[0].last().status == Status::Running { Err("it runs") } else { Ok(facts) }
        })
        .await;
        let wrong = lab::wrong(&facts);
        let is_reported =
            wrong.iter().any(|wrong| wrong.evidence.what.contains(what) && wrong.meaning.contains(meaning));
        assert!(is_reported, "{fix}: {wrong:#?}");
        for stage in STAGES {
            let reached = reached(stage.goals, &facts);
            assert!(
                BY_CONTINUING.iter().all(|goal| !reached.contains(goal)),
                "{fix}, {}: {reached:?}",
                stage.name
            );
        }
    }
    worker.stop().await;
}

#[tokio::test]
async fn skipped_steps() {
    are_reported(&Lab::start().await, 25.5, &SKIPPED_STEPS).await;
}

/// At once: the transfer may be stuck on something else then.
#[tokio::test]
async fn a_step_that_was_skipped_by_a_transfer_in_progress() {
    let lab = Lab::start().await;
    let jerry = lab.worker("jerry").await;
    lab.transfer(&["skips-a-balance"]).await;
    lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    lab.deposits_down(true).await;
    jerry.stop().await;
    let worker = lab.other_worker().await;
    // Not the withdrawal: the bank's entries are read after the histories, which may not have it yet.
    let facts = until("the skipped step", || async {
        let facts = lab.facts("").await;
        if lab::wrong(&facts).is_empty() { Err("none") } else { Ok(facts) }
    })
    .await;
    assert_eq!(facts.transfers[0].last().status, Status::Running);
    let wrong = lab::wrong(&facts);
    assert!(wrong[0].evidence.what.contains("account_B"), "{wrong:?}");
    let goals = lab::stage("jerry").expect("a stage").goals;
    assert_eq!(reached(goals, &facts), ["workflow-task-fails"]);
    let lab::Verdict::Open(next) = (goals[1].check)(&facts) else { panic!("reached") };
    assert!(next.to_string().contains("broke a rule, see below: fix the code"), "{next}");
    worker.stop().await;
}

/// They lose no money, so they break no rule; but they are no fix either.
#[tokio::test]
async fn what_ends_a_transfer_or_never_does() {
    let lab = Lab::start().await;
    let jerry = lab.worker("jerry").await;
    lab.transfer(&NO_FIXES).await;
    for fix in NO_FIXES {
        lab.until_reached(fix, "jerry", &["workflow-task-fails"]).await;
    }
    jerry.stop().await;
    let worker = lab.other_worker().await;
    for fix in &NO_FIXES[..2] {
        let facts = until(&format!("{fix} to fail"), || async {
            let facts = lab.facts(fix).await;
            if facts.transfers[0].last().status == Status::Failed { Ok(facts) } else { Err("it runs") }
        })
        .await;
        assert_eq!(lab::wrong(&facts), []);
        let goals = lab::stage("fix-activity").expect("a stage").goals;
        assert_eq!(reached(goals, &facts), [""; 0], "{fix}");
        let next = next(&facts, "fix-activity", "stuck-ones-complete");
        assert!(
            next.contains("has failed and is closed; only a reset reopens it; start again"),
            "{fix}: {next}"
        );
    }
    let facts = until("the timer", || async {
        let facts = lab.facts(NO_FIXES[2]).await;
        let waits = facts.transfers[0].last().events().any(|event| event.is("TimerStarted"));
        if waits { Ok(facts) } else { Err("none") }
    })
    .await;
    let next = next(&facts, "fix-activity", "stuck-ones-complete");
    assert!(next.contains("is in progress"), "{next}");
    worker.stop().await;
}

/// The recorded retry policy decides, not whether this transfer happened to need more attempts.
#[tokio::test]
async fn any_maximum_attempts() {
    let lab = Lab::start().await;
    let failed = ["out-of-attempts", "no-money-lost"];
    let jerry = lab.worker("jerry-limits-retries").await;
    for fix in LIMITS {
        lab.transfer(&[&format!("{fix}.failed")]).await;
    }
    for fix in LIMITS {
        lab.until_reached(fix, "jerry-limits-retries", &failed).await;
    }
    jerry.stop().await;
    let worker = lab.other_worker().await;
    for (fix, limit) in LIMITS.into_iter().zip([3, 4, 100]) {
        lab.transfer(&[&format!("{fix}.new")]).await;
        lab.until_reached(&format!("{fix}.new"), "pull-the-plug", &["nothing-is-lost"]).await;
        let facts = lab.until_reached(fix, "jerry-limits-retries", &failed).await;
        let next = next(&facts, "jerry-limits-retries", "new-ones-complete");
        assert!(next.contains(&format!("Maximum Attempts set to {limit}, ")), "{next}");
    }
    worker.stop().await;
}

/// One forgets the step, the other breaks the old transfers once more.
#[tokio::test]
async fn what_does_not_tell_old_transfers_from_new_ones() {
    let lab = Lab::start().await;
    let old = UNVERSIONED.map(|fix| format!("{fix}.old"));
    withdrawn_under(&lab.testbed, "reset-workflows", [&old[0], &old[1]]).await;
    let jerry = lab.worker("jerry-adds-step").await;
    let broken = ["history-does-not-fit", "new-ones-make-the-step"];
    for fix in UNVERSIONED {
        lab.transfer(&[&format!("{fix}.under-jerry")]).await;
    }
    for fix in UNVERSIONED {
        lab.until_reached(fix, "jerry-adds-step", &broken).await;
    }
    jerry.stop().await;
    let worker = lab.other_worker().await;
    let mut completed = broken.to_vec();
    completed.push("old-ones-complete");
    for fix in UNVERSIONED {
        lab.until_reached(fix, "jerry-adds-step", &completed).await;
        lab.transfer(&[&format!("{fix}.new")]).await;
        lab.until_reached(&format!("{fix}.new"), "pull-the-plug", &["nothing-is-lost"]).await;
        let facts = lab.until_reached(fix, "jerry-adds-step", &completed).await;
        let next = next(&facts, "jerry-adds-step", "both-at-once");
        assert!(next.contains("did not run the new step"), "{fix}: {next}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn results_that_were_made_up() {
    are_reported(&Lab::start().await, 25.5, &INVENTED_RESULTS).await;
}

#[tokio::test]
async fn answers_that_were_made_up() {
    are_reported(&Lab::start().await, 25.5, &INVENTED_ANSWERS).await;
}

#[tokio::test]
async fn second_payments() {
    are_reported(&Lab::start().await, 25.5, &SECOND_PAYMENTS).await;
}

#[tokio::test]
async fn other_money_than_was_asked_for() {
    are_reported(&Lab::start().await, 25.5, &OTHER_MONEY).await;
}

#[tokio::test]
async fn a_refusal_that_was_swallowed() {
    are_reported(&Lab::start().await, 5000.0, &SWALLOWED_REFUSAL).await;
}

#[tokio::test]
async fn an_error_that_may_pass_and_was_called_final() {
    are_reported(&Lab::start().await, 25.5, &GIVEN_UP).await;
}

#[tokio::test]
async fn a_failed_deposit_that_was_swallowed_or_not_given_back() {
    let lab = Lab::start().await;
    lab.deposits_down(true).await;
    are_reported(&lab, 25.5, &FAILED_DEPOSITS).await;
}

#[tokio::test]
async fn a_transfer_that_was_terminated_between_its_accounts() {
    let lab = Lab::start().await;
    lab.deposits_down(true).await;
    let worker = lab.worker("reset-workflows").await;
    let transfer = lab.testbed.start_transfer("ended", crate::example()).await;
    let task = transfer_kit::stuck::Task::Activity("deposit".to_owned());
    crate::stuck(&lab.testbed, &transfer, task, 1).await;
    transfer.terminate(Default::default()).await.expect("the server ends it");
    let wrong = until("something to be wrong", || async {
        let wrong = lab::wrong(&lab.facts("").await);
        if wrong.is_empty() { Err("nothing is") } else { Ok(wrong) }
    })
    .await;
    assert!(wrong[0].evidence.what.contains("the 25.50 that it took is in no account"), "{wrong:?}");
    assert!(wrong[0].meaning.contains("Workflow Reset"), "{wrong:?}");

    // The way out that it names.
    lab.deposits_down(false).await;
    let reset = ["workflow", "reset", "--workflow-id", "ended", "--reason", "a try"];
    lab.testbed.temporal(&[&reset[..], &["--type", "LastWorkflowTask"]].concat());
    until("nothing to be wrong", || async {
        let facts = lab.facts("").await;
        let wrong = lab::wrong(&facts);
        let completed = facts.transfers[0].last().status == Status::Completed;
        if wrong.is_empty() && completed { Ok(()) } else { Err(wrong) }
    })
    .await;
    worker.stop().await;
}

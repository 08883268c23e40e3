//! A wrong fix is told, in a sentence that says what is wrong with it, and reaches nothing.

use lab::{STAGES, Status};
use testbed::until;

use super::{Lab, reached, right::next};

/// A wrong fix, and a part of what is told of it: what can be seen, and what it means.
type Case = (&'static str, &'static str, &'static str);

/// The goals that a transfer reaches by going on rightly.
const BY_GOING_ON: [&str; 9] = [
    "goes-on",
    "transfer-completes",
    "stuck-ones-complete",
    "old-ones-complete",
    "new-ones-complete",
    "one-is-reset",
    "all-are-reset",
    "withdrawn-once",
    "nothing-is-lost",
];

/// Gets a transfer stuck on Jerry's bug for each of these wrong fixes, lets it go on with that to its end, and
/// holds the check to what it should tell.
async fn are_told(lab: &Lab, amount: f64, cases: &[Case]) {
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
        let is_told =
            wrong.iter().any(|wrong| wrong.evidence.what.contains(what) && wrong.meaning.contains(meaning));
        assert!(is_told, "{fix}: {wrong:#?}");
        for stage in STAGES {
            let reached = reached(stage.goals, &facts);
            assert!(
                BY_GOING_ON.iter().all(|goal| !reached.contains(goal)),
                "{fix}, {}: {reached:?}",
                stage.name
            );
        }
    }
    worker.stop().await;
}

#[tokio::test]
async fn steps_that_were_gone_around() {
    let around = "go around a step";
    let cases = [
        ("skips-a-balance", "it went on to withdraw without reading the balance of account_B", around),
        ("skips-the-withdrawal", "it went on to deposit without calling withdraw", around),
        ("skips-the-deposit", "it has completed without calling deposit", around),
        ("claims-a-success", "it has completed without calling withdraw", around),
    ];
    are_told(&Lab::start().await, 25.5, &cases).await;
}

/// As soon as it has gone around: its transfer may be stuck on something else then.
#[tokio::test]
async fn a_step_that_was_gone_around_by_a_transfer_that_is_still_under_way() {
    let lab = Lab::start().await;
    let jerry = lab.worker("jerry").await;
    lab.transfer(&["skips-a-balance"]).await;
    lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    lab.deposits_down(true).await;
    jerry.stop().await;
    let worker = lab.other_worker().await;
    let facts = until("the withdrawal", || async {
        let facts = lab.facts("").await;
        if facts.entries.is_empty() { Err("none") } else { Ok(facts) }
    })
    .await;
    assert_eq!(facts.transfers[0].last().status, Status::Running);
    let wrong = lab::wrong(&facts);
    assert!(wrong[0].evidence.what.contains("account_B"), "{wrong:?}");
    let goals = lab::stage("jerry").expect("a stage").goals;
    assert_eq!(reached(goals, &facts), ["workflow-task-fails"]);
    let lab::Verdict::Open(next) = (goals[1].check)(&facts) else { panic!("reached") };
    assert!(next.to_string().contains("see what is wrong below"), "{next}");
    worker.stop().await;
}

/// No money was lost by it, so it is not called wrong; but it is no mend either.
#[tokio::test]
async fn a_panic_that_became_a_failure_of_the_transfer() {
    let lab = Lab::start().await;
    let jerry = lab.worker("jerry").await;
    lab.transfer(&["fails-instead"]).await;
    lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
    jerry.stop().await;
    let worker = lab.other_worker().await;
    let next = until("the transfer to fail", || async {
        let facts = lab.until_reached("", "jerry", &["workflow-task-fails"]).await;
        let next = next(&facts, "jerry", "goes-on");
        if facts.transfers[0].last().status == Status::Failed { Ok(next) } else { Err(next) }
    })
    .await;
    assert!(next.starts_with("fails-instead has failed, which is final"), "{next}");
    worker.stop().await;
}

#[tokio::test]
async fn results_that_were_made_up() {
    let made_up = "make up its result";
    let cases = [
        ("claims-a-balance", "to_account_starting_balance 1, which no check_balance has answered", made_up),
        ("claims-another-amount", "for a transfer of 25.50 from account_A to account_B", made_up),
    ];
    are_told(&Lab::start().await, 25.5, &cases).await;
}

#[tokio::test]
async fn answers_that_were_made_up() {
    let ask = "ask the bank";
    let cases = [
        ("makes-up-the-withdrawal", "the bank's ledger has no withdrawal of this transfer", ask),
        ("makes-up-the-deposit", "the bank's ledger has no deposit of this transfer", ask),
        ("sends-no-headers", "the bank's ledger has no withdrawal of this transfer", ask),
    ];
    are_told(&Lab::start().await, 25.5, &cases).await;
}

#[tokio::test]
async fn second_payments() {
    let once = "must move its money once";
    let cases = [
        ("withdraws-twice", "withdraw was called 2 times", once),
        ("deposits-twice", "deposit was called 2 times", once),
        ("sends-another-key", "the bank's ledger has 2 withdrawals of it", once),
    ];
    are_told(&Lab::start().await, 25.5, &cases).await;
}

#[tokio::test]
async fn other_money_than_was_asked_for() {
    let other = "must not move other money";
    let cases = [
        ("withdraws-less", "withdraw was called with {", other),
        ("takes-from-another", "withdraw was called with {", other),
        ("deposits-elsewhere", "has a deposit of 25.50 at account_F, for a transfer of 25.50", other),
        ("sends-less", "has a withdrawal of 0.01 at account_A, for a transfer of 25.50", other),
    ];
    are_told(&Lab::start().await, 25.5, &cases).await;
}

#[tokio::test]
async fn a_refusal_that_was_swallowed() {
    let cases = [(
        "swallows-the-withdrawal",
        "it went on to deposit though withdraw had not succeeded",
        "swallow an error",
    )];
    are_told(&Lab::start().await, 5000.0, &cases).await;
}

#[tokio::test]
async fn a_failed_deposit_that_was_swallowed_or_not_given_back() {
    let lab = Lab::start().await;
    lab.deposits_down(true).await;
    let cases = [
        ("swallows-the-deposit", "it has completed though deposit had not succeeded", "swallow an error"),
        ("keeps-the-money", "the 25.50 that it took are in no account", "must give it back"),
        ("makes-up-the-refund", "the 25.50 that it took are in no account", "must give it back"),
        ("claims-a-delivery", "the bank's ledger has no deposit of it that stands", "make up its answer"),
    ];
    are_told(&lab, 25.5, &cases).await;
}

#[tokio::test]
async fn a_transfer_that_was_ended_by_force_between_its_accounts() {
    let lab = Lab::start().await;
    lab.deposits_down(true).await;
    let worker = lab.worker("fix-activity").await;
    let transfer = lab.testbed.start_transfer("ended", crate::example()).await;
    let task = transfer_kit::stuck::Task::Activity("deposit".to_owned());
    crate::stuck(&lab.testbed, &transfer, task, 1).await;
    transfer.terminate(Default::default()).await.expect("the server ends it");
    let facts = lab.facts("").await;
    let wrong = lab::wrong(&facts);
    assert!(wrong[0].evidence.what.contains("the 25.50 that it took are in no account"), "{wrong:?}");
    assert!(wrong[0].meaning.contains("Workflow Reset"), "{wrong:?}");

    // The way out that it names.
    lab.deposits_down(false).await;
    let reset = ["workflow", "reset", "--workflow-id", "ended", "--reason", "a try"];
    crate::resets::temporal(&lab.testbed, &[&reset[..], &["--type", "LastWorkflowTask"]].concat());
    until("nothing to be wrong", || async {
        let facts = lab.facts("").await;
        let wrong = lab::wrong(&facts);
        let completed = facts.transfers[0].last().status == Status::Completed;
        if wrong.is_empty() && completed { Ok(()) } else { Err(wrong) }
    })
    .await;
    worker.stop().await;
}

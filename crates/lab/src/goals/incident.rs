//! The goals of every incident: by what became of its transfers, and never by how. None says where the bug is.

use crate::{
    Evidence, Facts, Goal, Next, Transfer, Verdict,
    outcome::{Outcome, SAFE},
};

/// Judges a goal by the facts of an incident, and by the outcome that they come to.
type Judge = fn(&Facts, &Outcome<'_>) -> Verdict;

/// A goal that is judged by itself; [`verdicts`] judges all of them by one outcome.
macro_rules! goal {
    ($name:literal, $says:literal, $judge:ident) => {
        Goal {
            name: $name,
            says: $says,
            is_failure: false,
            check: |facts| $judge(facts, &Outcome::of(facts)),
        }
    };
}

pub(crate) const GOALS: &[Goal] = &[
    goal!("new-ones-are-safe", "new transfers get through by themselves", new_ones_are_safe),
    goal!("none-is-stuck", "no transfer is stuck", none_is_stuck),
    goal!(
        "none-is-lost",
        "no transfer is lost: each has completed, or the bank had reason to refuse it",
        none_is_lost
    ),
    goal!("ledger-is-exact", "every account holds what it should, to the cent", ledger_is_exact),
    goal!(
        "replay-is-clean",
        "the code in place replays every transfer that was in progress when it was deployed",
        replay_is_clean
    ),
];

/// The verdicts on the goals, in their order.
pub(crate) fn verdicts(facts: &Facts, outcome: &Outcome<'_>) -> Vec<Verdict> {
    let judges: [Judge; 5] =
        [new_ones_are_safe, none_is_stuck, none_is_lost, ledger_is_exact, replay_is_clean];
    judges.iter().map(|judge| judge(facts, outcome)).collect()
}

fn new_ones_are_safe(_: &Facts, outcome: &Outcome<'_>) -> Verdict {
    if let Some(hit) = outcome.still_hit() {
        let id = &hit.transfer.workflow_id;
        return Verdict::Open(Next::command(
            format!("{id} has run only under the code in place, and {}; look at it: ", what(&hit.sign)),
            format!("cargo xtask temporal workflow show --workflow-id {}", crate::halt::shell_word(id)),
        ));
    }
    if let Some(wrong) = outcome.wrong.first() {
        let id = &wrong.evidence.workflow_id;
        return Verdict::Open(Next::command(
            format!("{id} has run only under the code in place, and broke a rule; look at it: "),
            format!("cargo xtask temporal workflow show --workflow-id {}", crate::halt::shell_word(id)),
        ));
    }
    match outcome.safe.len() {
        safe if safe >= SAFE => Verdict::Reached(outcome.safe.clone()),
        safe => Verdict::Open(Next::command(
            format!(
                "{safe} of {SAFE} transfers that the incident would have hit have completed without help since the last deploy; see \
                 what is running and stuck: "
            ),
            "cargo xtask lab status",
        )),
    }
}

/// What the sign says, to follow an "and".
fn what(sign: &Evidence) -> String {
    if sign.what.starts_with("it ") || sign.what.starts_with("a worker ") {
        sign.what.clone()
    } else {
        format!("its code failed: {}", sign.what)
    }
}

fn none_is_stuck(facts: &Facts, outcome: &Outcome<'_>) -> Verdict {
    match outcome.stuck[..] {
        [] => Verdict::by(closings(facts.transfers.iter(), "closed"), no_transfer()),
        [first, ..] => {
            let stuck = outcome.stuck.len();
            Verdict::Open(Next::command(
                format!("{stuck} in progress that should have closed, such as {}: ", first.workflow_id),
                "cargo xtask lab status",
            ))
        }
    }
}

fn none_is_lost(facts: &Facts, outcome: &Outcome<'_>) -> Verdict {
    match outcome.lost[..] {
        [] => Verdict::by(closings(facts.transfers.iter(), "closed as the bank decided"), no_transfer()),
        [(first, how), ..] => Verdict::Open(Next::command(
            format!("{}: {how}. A closed transfer runs again only from a reset: ", first.workflow_id),
            "cargo xtask temporal workflow reset --help",
        )),
    }
}

fn ledger_is_exact(facts: &Facts, outcome: &Outcome<'_>) -> Verdict {
    let wrong: Vec<&str> = outcome.differences.keys().map(String::as_str).collect();
    if wrong.is_empty() {
        return Verdict::by(closings(facts.transfers.iter(), "its money is where it belongs"), no_transfer());
    }
    Verdict::Open(Next::command(
        format!(
            "{} what {} transfers add up to: {}. What moved: ",
            if wrong.len() == 1 { "one balance is not" } else { "these balances are not" },
            if wrong.len() == 1 { "its" } else { "their" },
            wrong.join(", ")
        ),
        "cargo xtask ledger",
    ))
}

fn replay_is_clean(facts: &Facts, outcome: &Outcome<'_>) -> Verdict {
    let Some(last) = outcome.deploys.last() else { return Verdict::Open(no_transfer()) };
    let since = crate::moment::Moment::of(last.time);
    if let Some(broken) = outcome.unreplayed.first() {
        return Verdict::Open(Next::command(
            format!(
                "the code in place does not replay {}; try any code before you deploy it: ",
                broken.workflow_id
            ),
            "cargo xtask test --mine --replay",
        ));
    }
    if let Some((id, _)) = facts.broken_replay.iter().find(|(id, _)| {
        facts
            .transfers
            .iter()
            .any(|transfer| transfer.workflow_id == **id && transfer.last().close().is_none())
    }) {
        return Verdict::Open(Next::command(
            format!("your last replay failed on {id}; replay again: "),
            "cargo xtask test --mine --replay",
        ));
    }
    // Without a cache, each Workflow Task that the code in place completed is a replay.
    let replayed = facts.runs().filter_map(|(transfer, run)| {
        let task = run.events().find(|event| event.is("WorkflowTaskCompleted") && event.moment() >= since)?;
        Some(Evidence::event(transfer, run, task, "the code in place replayed it"))
    });
    Verdict::by(replayed.collect(), no_transfer())
}

fn closings<'a>(transfers: impl Iterator<Item = &'a Transfer>, what: &str) -> Vec<Evidence> {
    let closed = transfers.filter_map(|transfer| Some((transfer, transfer.last().close()?)));
    closed.map(|(transfer, close)| Evidence::event(transfer, transfer.last(), close, what)).collect()
}

fn no_transfer() -> Next {
    Next::command("no transfer has got that far yet: ", "cargo xtask lab status")
}

//! The table of incidents: code with a bug that no text explains, the bank's condition while it runs, and what shows that new
//! transfers get through.
//!
//! An incident is entered as a stage is, so most of its row is one. It stands outside the course: it has no number, no stage comes after
//! it, and all incidents have the same goals.

use crate::{
    Event, Milestone, Precondition, Run, Stage, Status, goals::incident::GOALS, stage::text, variant::variant,
};

/// An incident of `cargo xtask drill`.
#[derive(Debug)]
pub struct Incident {
    /// What entering it puts in place. Its `fixed_by` names the stage whose code is the shipped fix.
    pub stage: Stage,
    /// The settings of Real World Mode while it lasts, in JSON: the bank is not the learner's, and behaves like this.
    pub bank: Option<&'static str>,
    /// Whether this run met the condition that the incident is about, and got through it by itself. It is asked about runs of one
    /// transfer's only run that ended as the bank decided.
    pub met: fn(&Run) -> bool,
}

/// An incident's row, with what is the same for all.
macro_rules! stage {
    ($name:literal, $workflow:expr, $activities:expr, fixed_by: $fixed_by:literal) => {
        Stage {
            name: $name,
            text: text!(concat!("drills/", $name, ".md")),
            workflow: $workflow,
            activities: $activities,
            shows_diff: false,
            precondition: None,
            starts: 0,
            settles_at: None,
            deposits_down: false,
            has_versions: false,
            look: &[],
            goals: GOALS,
            fixed_by: Some($fixed_by),
        }
    };
}

/// The incidents, in the order in which a random seed counts them.
pub const INCIDENTS: &[Incident] = &[
    Incident {
        stage: stage!(
            "some-never-arrive",
            variant!("workflow", "reference_code"),
            variant!("activities", "fixed"),
            fixed_by: "reset-workflows"
        ),
        bank: None,
        met: |run| amount(run) < 10_00 && is_completed(run),
    },
    Incident {
        stage: stage!(
            "failed-for-good",
            variant!("workflow", "fixed"),
            variant!("activities", "gives_up"),
            fixed_by: "reset-workflows"
        ),
        bank: Some(SOME_ERRORS),
        met: |run| later_attempts(run).next().is_some() && is_completed(run),
    },
    Incident {
        stage: stage!(
            "waiting-customers",
            variant!("workflow", "fixed"),
            variant!("activities", "retries_unknown"),
            fixed_by: "reset-workflows"
        ),
        bank: None,
        met: |run| refusals(run, "check_balance").next().is_some(),
    },
    Incident {
        stage: stage!(
            "slow-afternoon",
            variant!("workflow", "impatient"),
            variant!("activities", "fixed"),
            fixed_by: "reset-workflows"
        ),
        bank: Some(RIGHT_BUT_LATE),
        met: |run| waited_for_the_bank(run) && is_completed(run),
    },
    Incident {
        stage: stage!(
            "fixed-but-waiting",
            variant!("workflow", "waits_an_hour"),
            variant!("activities", "fixed"),
            fixed_by: "reset-workflows"
        ),
        bank: Some(SOME_ERRORS),
        met: |run| {
            later_attempts(run).any(|(scheduled, _)| first_interval(scheduled) < 60.0) && is_completed(run)
        },
    },
    Incident {
        stage: stage!(
            "no-error-anywhere",
            variant!("workflow", "other_queue"),
            variant!("activities", "fixed"),
            fixed_by: "reset-workflows"
        ),
        bank: None,
        met: |run| stayed_on_its_task_queue(run) && is_completed(run),
    },
    Incident {
        stage: stage!(
            "nothing-moves",
            variant!("workflow", "blocks"),
            variant!("activities", "fixed"),
            fixed_by: "reset-workflows"
        ),
        bank: None,
        met: |run| amount(run) >= 40_00 && is_completed(run),
    },
    Incident {
        stage: stage!(
            "works-on-retry",
            variant!("workflow", "any_order"),
            variant!("activities", "fixed"),
            fixed_by: "reset-workflows"
        ),
        bank: None,
        met: is_completed,
    },
    Incident {
        stage: Stage {
            precondition: Some(Precondition {
                stage: "version-workflow",
                transfers: 3,
                milestone: Milestone::HeldAtDeposit,
            }),
            settles_at: Some(Milestone::Broken),
            ..stage!(
                "yesterdays-transfers",
                variant!("workflow", "added_step"),
                variant!("activities", "fixed"),
                fixed_by: "patch-deprecated"
            )
        },
        bank: None,
        met: |_| true,
    },
    Incident {
        stage: stage!(
            "charged-twice",
            variant!("workflow", "fixed"),
            variant!("activities", "key_per_attempt"),
            fixed_by: "reset-workflows"
        ),
        bank: Some(LOST_ANSWERS),
        met: |run| later_attempts(run).any(|(scheduled, _)| moves_money(scheduled)) && is_completed(run),
    },
    Incident {
        stage: stage!(
            "too-much-money",
            variant!("workflow", "deposits_first"),
            variant!("activities", "fixed"),
            fixed_by: "withdraw-first"
        ),
        bank: None,
        met: |run| refusals(run, "withdraw").next().is_some(),
    },
    Incident {
        stage: stage!(
            "fine-after-restart",
            variant!("workflow", "waits_for_funds"),
            variant!("activities", "waits_inside"),
            fixed_by: "reset-workflows"
        ),
        bank: None,
        met: |run| refusals(run, "withdraw").next().is_some(),
    },
    // A new incident comes last, since a seed counts them in this order.
];

/// Fixes of incidents whose code no stage begins with. Each is only found by its name, and never entered.
pub(crate) const FIXES: &[Stage] = &[
    Stage {
        name: "patch-deprecated",
        fixed_by: None,
        ..stage!(
            "yesterdays-transfers",
            variant!("workflow", "deprecated"),
            variant!("activities", "fixed"),
            fixed_by: ""
        )
    },
    Stage {
        name: "withdraw-first",
        fixed_by: None,
        ..stage!(
            "too-much-money",
            variant!("workflow", "withdraws_first"),
            variant!("activities", "fixed"),
            fixed_by: ""
        )
    },
];

/// A bank that answers some requests with an error, and the next ones rightly.
const SOME_ERRORS: &str = r#"{ "enabled": true, "error_rate": 0.3, "timeout_rate": 0, "strikes": "before" }"#;
/// A bank that moves the money, and then answers some requests with an error.
const LOST_ANSWERS: &str = r#"{ "enabled": true, "error_rate": 0.3, "timeout_rate": 0, "strikes": "after" }"#;

/// A bank that answers every request rightly, and takes three seconds for it.
const RIGHT_BUT_LATE: &str =
    r#"{ "enabled": true, "error_rate": 0, "timeout_rate": 0, "slow_rate": 1, "slow_seconds": 3 }"#;

/// The incident of that name.
pub fn incident(name: &str) -> Option<&'static Incident> {
    INCIDENTS.iter().find(|incident| incident.stage.name == name)
}

/// The incident that this seed chooses: the same on every machine.
pub fn incident_of(seed: u64) -> &'static Incident {
    &INCIDENTS[(spread(seed) % INCIDENTS.len() as u64) as usize]
}

/// A number that looks random and follows from this one alone, the same on every machine: neighbors differ in every part.
pub fn spread(seed: u64) -> u64 {
    // SplitMix64's last step.
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Incident {
    /// The first seed that chooses it, for a drill that is started by its name.
    pub fn seed(&self) -> u64 {
        (0..).find(|seed| incident_of(*seed).stage == self.stage).unwrap_or_default()
    }
}

impl Stage {
    /// The incident, if it is one.
    pub fn incident(&self) -> Option<&'static Incident> {
        incident(self.name)
    }
}

/// Whether the run completed.
fn is_completed(run: &Run) -> bool {
    run.status == Status::Completed
}

/// The amount of a transfer, in cents; 0 if its input has none.
fn amount(run: &Run) -> i64 {
    let started = run.events().find(|event| event.is("WorkflowExecutionStarted"));
    let amount = started.and_then(|event| crate::money(&event.payload("input")["amount"]));
    amount.map_or(0, |amount| amount.cents())
}

/// Each Activity that needed more than one attempt, with the event that started the last one.
fn later_attempts(run: &Run) -> impl Iterator<Item = (Event<'_>, Event<'_>)> {
    let started = run.events().filter(|event| event.is("ActivityTaskStarted"));
    let later = started.filter(|started| started.refers_to("attempt") > 1);
    later.filter_map(|started| Some((run.event(started.refers_to("scheduledEventId"))?, started)))
}

/// How many seconds the Retry Policy that the server has recorded for this Activity waits before the second attempt.
fn first_interval(scheduled: Event<'_>) -> f64 {
    let interval = scheduled.attributes()["retryPolicy"]["initialInterval"].as_str();
    interval.and_then(|text| text.strip_suffix('s')?.parse().ok()).unwrap_or(f64::INFINITY)
}

/// Each non-retryable failure of this Activity Type, in a run that failed.
fn refusals<'a>(run: &'a Run, activity: &'a str) -> impl Iterator<Item = Event<'a>> {
    run.refusals(activity).filter(|_| run.status == Status::Failed)
}

/// Whether this event scheduled an Activity that moves money.
fn moves_money(scheduled: Event<'_>) -> bool {
    matches!(scheduled.attributes()["activityType"]["name"].as_str(), Some("withdraw" | "deposit"))
}

/// Whether the bank took longer than 2.5 seconds for a movement of the run, and the attempt waited for it.
fn waited_for_the_bank(run: &Run) -> bool {
    let started = |scheduled: Event<'_>| {
        run.events().find(|event| {
            event.is("ActivityTaskStarted") && event.refers_to("scheduledEventId") == scheduled.id()
        })
    };
    let movements = ["withdraw", "deposit"].into_iter().flat_map(|activity| run.calls(activity));
    movements
        .filter_map(|(scheduled, completed)| completed?.moment().seconds_since(started(scheduled)?.moment()))
        .any(|took| took > 2.5)
}

/// Whether every Activity of the run was scheduled on the Task Queue of the Workflow.
fn stayed_on_its_task_queue(run: &Run) -> bool {
    let queue = |event: Event<'_>| event.attributes()["taskQueue"]["name"].clone();
    let own = run.events().find(|event| event.is("WorkflowExecutionStarted")).map(queue);
    let mut scheduled = run.events().filter(|event| event.is("ActivityTaskScheduled"));
    scheduled.all(|scheduled| Some(queue(scheduled)) == own)
}

//! Learners of a class who are not there: what their labs would report.

use std::time::Duration;

use lab::STAGES;
use lab_client::{
    class::{Drill, Goal, Help, Report, StuckOn},
    supervisor::BuildState,
    time,
};

/// Names that a board has to show in full.
const NAMES: [&str; 8] =
    ["ada", "grace-h", "bjoern", "li-wei", "maximiliane-charlotte-coburg", "oneill", "taro-y", "kofi"];

/// The seed of the drill that some have begun.
const DRILL: u64 = 7;

/// When a lab is stopped, if it is.
const STOPS_AT: u64 = 400;

/// Questions, short and as long as they may be.
const QUESTIONS: [&str; 3] = [
    "which file?",
    "my transfer is stuck at withdraw although I have fixed the port, what do I miss?",
    "I have added the patch as the text says, then I saved, the worker was built and restarted, and now the old transfers complete \
     but the new ones fail with a nondeterminism error at event 11; I have also tried a reset to the first Workflow Task, and then \
     the same happens again. Is <b>my</b> order wrong?",
];

/// The report of the learner with this number, so many seconds after the class has begun at that time. Every learner has a pace of
/// their own, some ask for help, and some get stuck, break a rule, or fall silent: none then.
pub fn simulated_learner(number: u64, begin: Duration, elapsed: u64) -> Option<Report> {
    let stops = number % 23 == 22;
    let elapsed = if stops { elapsed.min(STOPS_AT) } else { elapsed };
    let time = |at: u64| time::rfc3339_exact(begin + Duration::from_secs(at));
    let (name, round) = (NAMES[(number % 8) as usize], number / 8);
    let learner = if round == 0 { name.to_owned() } else { format!("{name}-{}", round + 1) };
    // A few learners never get beyond their first goal.
    let pace = 25 + number * 37 % 80;
    let mut reached = if number % 13 == 5 { (elapsed / pace).min(1) } else { elapsed / pace };
    let since = time(reached * pace);
    let mut done = Vec::new();
    let mut current = &STAGES[0];
    for stage in STAGES {
        current = stage;
        if reached < stage.goals.len() as u64 {
            break;
        }
        done.push(stage.name.to_owned());
        if done.len() < STAGES.len() {
            reached -= stage.goals.len() as u64;
        }
    }
    let goal =
        |(at, goal): (usize, &lab::Goal)| Goal { says: goal.says.to_owned(), reached: (at as u64) < reached };
    let asks_at = 90 + number * 53 % 400;
    let asks = number % 9 == 4 && elapsed >= asks_at;
    let stuck = (reached < 2).then(|| StuckOn {
        workflow_id: format!("transfer-{number}"),
        what: "the Activity withdraw".to_owned(),
        attempt: elapsed / 10,
        since: since.clone(),
        failure: "error sending request for url (http://127.0.0.1:5059/accounts): connection refused"
            .to_owned(),
    });
    let drill = || Drill {
        seed: DRILL,
        incident: lab::incident_of(DRILL).stage.name.to_owned(),
        started: time(elapsed),
        hit: number,
        mitigated: number.is_multiple_of(2).then_some(480),
        recovered: number.is_multiple_of(4).then_some(900),
        hints: number % 3,
        gave_up: false,
    };
    let is_silent = number % 19 == 7 && elapsed >= 200;
    (!is_silent).then(|| Report {
        learner,
        lab: format!("{number:016x}"),
        stage: current.name.to_owned(),
        goals: current.goals.iter().enumerate().map(goal).collect(),
        done,
        drills: (number % 5 == 3).then(drill).into_iter().collect(),
        goal_since: since,
        asked: asks.into(),
        wrong: u64::from(number % 17 == 2 && elapsed >= 300),
        stuck_transfers: stuck.is_some().into(),
        stuck,
        transfers: 1 + number % 3,
        build: Some(if number % 11 == 6 { BuildState::Failed } else { BuildState::Ok }),
        help: asks.then(|| Help::new(QUESTIONS[(number / 9 % 3) as usize], &time(asks_at))).flatten(),
        shared: number == 20,
        worker_polls: false,
        stopped: stops && elapsed == STOPS_AT,
        time: time::rfc3339_exact(time::now()),
    })
}

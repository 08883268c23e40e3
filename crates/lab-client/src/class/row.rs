//! A learner on the board, and why they may need help.

use lab::STAGES;
use serde_json::{Value, json};

use super::{held::Held, report::Report};
use crate::time;

/// After this many seconds without a sign of life, a learner is silent: a lab reports at least every minute, or its worker polls. A poll
/// may last a minute, and the board may have asked for it a minute ago.
pub const SILENT_AFTER: f64 = 150.0;
/// After this many seconds without a new goal, a learner may need help.
pub const NO_NEW_GOAL_AFTER: f64 = 300.0;

/// A learner on the board. All times are seconds ago.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The last report.
    pub report: Report,
    /// Since its last report, or since its worker's last poll.
    pub seen: f64,
    /// Since the last new goal, if the lab reports that.
    pub goal_for: Option<f64>,
    /// Since it got stuck, if it is.
    pub stuck_for: Option<f64>,
    /// Since help was asked for, if it is.
    pub help_for: Option<f64>,
    /// Whether the instructor has acknowledged the question.
    pub coming: bool,
    /// How many seconds the learner's clock is ahead of the service's, if it is wrong; negative if behind.
    pub clock_ahead: Option<f64>,
}

/// Why a learner may need help, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The learner asks for help.
    Help,
    /// A transfer broke a rule.
    RuleBroken,
    /// The lab gives no sign of life.
    Silent,
    /// No new goal for a while.
    NoNewGoal,
    /// Nothing: the learner makes progress, or has stopped the lab.
    Nothing,
    /// Nothing: every goal of the stage is reached.
    Done,
}

impl Need {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Need::Help => "help",
            Need::RuleBroken => "rule-broken",
            Need::Silent => "silent",
            Need::NoNewGoal => "no-new-goal",
            Need::Nothing => "nothing",
            Need::Done => "done",
        }
    }
}

impl Row {
    pub(super) fn of(held: &Held, now: f64) -> Row {
        let ago = |text: &str| time::parse_rfc3339(text).map(|time| (now - held.by_service(time)).max(0.0));
        let seen = (now - held.taken).max(0.0);
        Row {
            seen,
            goal_for: ago(&held.report.goal_since),
            // The only time in a report that is by the service's clock.
            stuck_for: held
                .report
                .stuck
                .as_ref()
                .map(|stuck| time::parse_rfc3339(&stuck.since).map_or(seen, |since| (now - since).max(0.0))),
            help_for: held.report.help.as_ref().map(|help| ago(&help.since).unwrap_or(seen)),
            coming: false,
            clock_ahead: held.clock_ahead(),
            report: held.report.clone(),
        }
    }

    /// `here`, `silent` without a recent sign of life, or `stopped` if the lab reported that.
    pub fn presence(&self) -> &'static str {
        match self {
            Row { report: Report { stopped: true, .. }, .. } => "stopped",
            Row { seen, .. } if *seen > SILENT_AFTER => "silent",
            _ => "here",
        }
    }

    /// Why the learner may need help.
    pub fn need(&self) -> Need {
        let presence = self.presence();
        if self.help_for.is_some() {
            Need::Help
        } else if self.report.wrong > 0 && presence != "stopped" {
            Need::RuleBroken
        } else if presence == "silent" {
            Need::Silent
        } else if self.has_finished(&self.report.stage) {
            Need::Done
        } else if self.has_no_new_goal() {
            Need::NoNewGoal
        } else {
            Need::Nothing
        }
    }

    /// Whether the learner is at work, and has reached no new goal for a while.
    pub fn has_no_new_goal(&self) -> bool {
        self.presence() == "here"
            && !self.has_finished(&self.report.stage)
            && self.goal_for.is_some_and(|time| time >= NO_NEW_GOAL_AFTER)
    }

    /// For how many seconds the learner has needed that, to sort by.
    pub(super) fn needed_for(&self) -> f64 {
        match self.need() {
            Need::Help => self.help_for.unwrap_or_default(),
            Need::Silent => self.seen,
            Need::Done => 0.0,
            Need::RuleBroken | Need::NoNewGoal | Need::Nothing => self.goal_for.unwrap_or_default(),
        }
    }

    /// The number of reached goals of the stage.
    pub fn reached(&self) -> usize {
        self.report.goals.iter().filter(|goal| goal.reached).count()
    }

    /// Whether every goal of this stage is reached, and it is the current one.
    pub fn has_finished(&self, stage: &str) -> bool {
        let goals = &self.report.goals;
        self.report.stage == stage && !goals.is_empty() && goals.iter().all(|goal| goal.reached)
    }

    /// Whether every goal of this stage was reached once.
    pub fn is_done_with(&self, stage: &str) -> bool {
        self.report.done.iter().any(|done| done == stage) || self.has_finished(stage)
    }

    /// The number of goals reached in all stages.
    pub fn reached_in_all(&self) -> usize {
        let reached = |stage: &lab::Stage| match () {
            () if self.is_done_with(stage.name) => stage.goals.len(),
            () if self.report.stage == stage.name => self.reached().min(stage.goals.len()),
            () => 0,
        };
        STAGES.iter().map(reached).sum()
    }

    pub(super) fn to_json(&self) -> Value {
        let seconds = |time: f64| time.round() as u64;
        let mut row = self.report.to_json();
        row["presence"] = json!(self.presence());
        row["need"] = json!(self.need().name());
        row["reached"] = json!(self.reached());
        row["of"] = json!(self.report.goals.len());
        row["seen_s"] = json!(seconds(self.seen));
        row["has_no_new_goal"] = json!(self.has_no_new_goal());
        row["no_new_goal_s"] = json!(self.goal_for.map(seconds));
        row["coming"] = json!(self.coming);
        row["clock_ahead_s"] = json!(self.clock_ahead.map(|ahead| ahead.round() as i64));
        for (name, time) in [("stuck", self.stuck_for), ("help", self.help_for)] {
            if let Some(time) = time {
                row[name]["for_s"] = json!(seconds(time));
            }
        }
        row
    }
}

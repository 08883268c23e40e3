//! The numbers of a drill at one moment: its clock and its transfers.

use lab::{Facts, Outcome, SAFE, Stage, Status};
use serde_json::{Value, json};

use crate::{
    progress::{Drill, Progress},
    time,
};

/// A drill at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct DrillStatus {
    /// The incident.
    pub stage: &'static Stage,
    /// The drill.
    pub drill: Drill,
    /// When it began, in the server's format.
    pub began: String,
    /// For how many seconds it has been on, or was until it ended.
    pub seconds: f64,
    /// How many hints were shown.
    pub hints: usize,
    /// How many transfers are in progress.
    pub in_progress: usize,
    /// How many the incident has hit.
    pub hit: usize,
    /// How many the incident would have hit and that got through by themselves since the last deploy.
    pub safe: usize,
}

impl DrillStatus {
    /// The drill in these facts; none if they are of a stage, or if the drill was not made ready.
    pub fn of(progress: &Progress, facts: &Facts) -> Option<DrillStatus> {
        let drill = progress.drill.clone()?;
        progress.stage.incident()?;
        let outcome = Outcome::of(facts);
        let end = drill.ended.as_ref().and_then(|(ended, _)| time::parse_rfc3339(ended));
        let end = end.unwrap_or_else(|| time::now().as_secs_f64());
        let is_running = |transfer: &&lab::Transfer| transfer.last().status == Status::Running;
        Some(DrillStatus {
            stage: progress.stage,
            began: progress.entered.clone(),
            seconds: end - time::parse_rfc3339(&progress.entered).unwrap_or(end),
            hints: progress.hints,
            in_progress: facts.transfers.iter().filter(is_running).count(),
            hit: outcome.hits.len(),
            safe: outcome.safe.len().min(SAFE),
            drill,
        })
    }

    /// Whether the learner has not ended it.
    pub fn is_on(&self) -> bool {
        self.drill.ended.is_none()
    }

    /// For a program.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.stage.name,
            "title": self.stage.title(),
            "seed": self.drill.seed,
            "began": self.began,
            "seconds": self.seconds,
            "ended": self.drill.ended.as_ref().map(|(time, _)| time),
            "gave_up": self.drill.ended.as_ref().is_some_and(|(_, gave_up)| *gave_up),
            "hints": self.hints,
            "in_progress": self.in_progress,
            "hit": self.hit,
            "safe": self.safe,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_has_a_clock_that_stops_when_it_ends_and_a_stage_has_none() {
        let facts = Facts::default();
        let drill = Drill { seed: 7, last_entry: 10, ended: Some(("2026-11-22T12:05:01Z".to_owned(), true)) };
        let progress = Progress {
            entered: "2026-11-22T12:00:00Z".to_owned(),
            drill: Some(drill),
            hints: 1,
            ..Progress::begin(&lab::INCIDENTS[0].stage)
        };
        let status = DrillStatus::of(&progress, &facts).expect("a drill");
        assert!(!status.is_on());
        let json = status.to_json();
        assert_eq!(
            (&json["seconds"], &json["gave_up"], &json["hints"]),
            (&json!(301.0), &json!(true), &json!(1))
        );
        assert_eq!((&json["in_progress"], &json["hit"], &json["safe"]), (&json!(0), &json!(0), &json!(0)));
        assert_eq!(DrillStatus::of(&Progress { drill: None, ..progress.clone() }, &facts), None);
        assert_eq!(DrillStatus::of(&Progress { stage: &lab::STAGES[0], ..progress }, &facts), None);
    }
}

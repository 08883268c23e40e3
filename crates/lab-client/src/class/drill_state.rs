//! How far a learner is with a drill, as the board shows it.

use serde_json::{Value, json};

use super::{drill::Drill, row::Row};
use crate::time;

/// How far a learner is with the drill of the class, or without one with the last drill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrillState<'a> {
    /// The drill; none if the learner has not started the class's.
    pub drill: Option<&'a Drill>,
    /// One of [`DrillState::NAMES`].
    pub name: &'static str,
    /// For how many seconds the learner has been working, or after how many it was mitigated or recovered.
    pub seconds: Option<f64>,
}

impl<'a> DrillState<'a> {
    /// The names of the states.
    pub const NAMES: [&'static str; 5] = ["not started", "working", "mitigated", "recovered", "gave up"];

    /// The state of this learner in a class whose drill has this seed; none in a class without a drill if the learner has done none.
    pub(super) fn of(row: &'a Row, class: Option<u64>) -> Option<DrillState<'a>> {
        let drills = &row.report.drills;
        let drill = match class {
            Some(seed) => drills.iter().find(|drill| drill.seed == seed),
            None => Some(drills.last()?),
        };
        let seconds = |seconds: u64| Some(seconds as f64);
        let [not_started, working, mitigated, recovered, gave_up] = DrillState::NAMES;
        let (name, seconds) = match drill {
            None => (not_started, None),
            Some(drill) if drill.gave_up => (gave_up, None),
            Some(Drill { recovered: Some(after), .. }) => (recovered, seconds(*after)),
            Some(Drill { mitigated: Some(after), .. }) => (mitigated, seconds(*after)),
            Some(drill) => {
                // Both are by the learner's clock.
                let began = time::parse_rfc3339(&drill.started).zip(time::parse_rfc3339(&row.report.time));
                (working, began.map(|(began, reported)| (reported - began).max(0.0) + row.seen))
            }
        };
        Some(DrillState { drill, name, seconds })
    }

    /// The JSON of a learner's drill on the board.
    pub fn to_json(&self) -> Value {
        let mut json = self.drill.map_or_else(|| json!({}), Drill::to_json);
        json["state"] = json!(self.name);
        json["seconds"] = json!(self.seconds.map(|seconds| seconds.round() as u64));
        json["title"] = json!(self.drill.map(Drill::title));
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Report;

    #[test]
    fn a_learner_is_where_the_report_of_the_classs_drill_says() {
        let drill = |seed| Drill { seed, started: "2031-01-01T00:00:00Z".to_owned(), ..Drill::default() };
        let mut row = Row { seen: 5.0, ..Row::default() };
        assert_eq!(DrillState::of(&row, None), None);
        let state = |row: &Row, seed| {
            let state = DrillState::of(row, seed).expect("there is a drill");
            (state.name, state.seconds.map(|seconds| seconds as u64), state.to_json()["seed"].as_u64())
        };
        assert_eq!(state(&row, Some(7)), ("not started", None, None));
        let time = "2031-01-01T00:01:00Z".to_owned();
        row.report = Report { drills: vec![drill(7), drill(9)], time, ..Report::default() };
        assert_eq!(state(&row, Some(7)), ("working", Some(65), Some(7)));
        assert_eq!(state(&row, None), ("working", Some(65), Some(9)));
        assert_eq!(state(&row, Some(8)), ("not started", None, None));
        row.report.drills[0].mitigated = Some(40);
        assert_eq!(state(&row, Some(7)), ("mitigated", Some(40), Some(7)));
        row.report.drills[0].recovered = Some(50);
        assert_eq!(state(&row, Some(7)), ("recovered", Some(50), Some(7)));
        row.report.drills[0].gave_up = true;
        assert_eq!(state(&row, Some(7)), ("gave up", None, Some(7)));
    }
}

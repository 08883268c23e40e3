//! A learner's drill, as the lab reports it.

use serde_json::{Value, json};

use super::text::{LONGEST_STAGE, line};

/// A drill, as the lab reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drill {
    /// The seed of its traffic.
    pub seed: u64,
    /// The name of its incident.
    pub incident: String,
    /// When it began, by the learner's clock.
    pub started: String,
    /// How many transfers the incident hit.
    pub hit: u64,
    /// After how many seconds new transfers were safe, if they are.
    pub mitigated: Option<u64>,
    /// After how many seconds every goal was reached, if all are.
    pub recovered: Option<u64>,
    /// How many hints were shown.
    pub hints: u64,
    /// Whether the learner gave up.
    pub gave_up: bool,
}

impl Drill {
    /// The JSON for a memo.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "seed": self.seed,
            "incident": self.incident,
            "started": self.started,
            "transfers_hit": self.hit,
            "mitigated_seconds": self.mitigated,
            "recovered_seconds": self.recovered,
            "hints": self.hints,
            "gave_up": self.gave_up,
        })
    }

    /// Reads the JSON of [`to_json`](Drill::to_json).
    pub(super) fn from_json(value: &Value) -> Option<Drill> {
        let number = |name: &str| value[name].as_u64();
        Some(Drill {
            seed: number("seed")?,
            incident: line(&value["incident"], LONGEST_STAGE),
            started: line(&value["started"], LONGEST_STAGE),
            hit: number("transfers_hit").unwrap_or_default(),
            mitigated: number("mitigated_seconds"),
            recovered: number("recovered_seconds"),
            hints: number("hints").unwrap_or_default(),
            gave_up: value["gave_up"] == true,
        })
    }

    /// The title of its incident; its name if this version of the lab does not have it.
    pub fn title(&self) -> &str {
        lab::incident(&self.incident).map_or(&self.incident, |incident| incident.stage.title())
    }
}

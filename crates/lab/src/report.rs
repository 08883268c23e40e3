//! How far a learner is at a stage: what `check` and the page report.

use serde_json::{Value, json};

use crate::{
    Evidence, Facts, Next, Outcome, STAGES, Stage, Verdict, Wrong, goals::incident::verdicts, wrong,
};

/// A stage and the verdicts on its goals.
#[derive(Debug)]
pub struct Report {
    /// The stage.
    pub stage: &'static Stage,
    /// The verdict on each of its goals, in their order.
    pub verdicts: Vec<Verdict>,
    /// The rules that transfers broke, which hold at every stage.
    pub wrong: Vec<Wrong>,
    /// How many transfers were judged.
    pub transfers: usize,
    /// Whether the code that was saved last does not build.
    pub build_failed: bool,
}

impl Report {
    /// Judges by these facts, which say nothing about the build.
    pub fn of(stage: &'static Stage, facts: &Facts) -> Report {
        let (verdicts, wrong) = match stage.incident() {
            Some(_) => {
                let outcome = Outcome::of(facts);
                let verdicts = verdicts(facts, &outcome);
                // What is wrong with the incident's own code is for the learner to find.
                (verdicts, if outcome.is_answered() { outcome.wrong } else { Vec::new() })
            }
            None => (stage.goals.iter().map(|goal| (goal.check)(facts)).collect(), wrong(facts)),
        };
        Report { stage, verdicts, wrong, transfers: facts.transfers.len(), build_failed: false }
    }

    /// Whether every goal is reached and no rule is broken.
    pub fn is_reached(&self) -> bool {
        self.wrong.is_empty() && self.verdicts.iter().all(Verdict::is_reached)
    }

    /// The stage after this one.
    pub fn next_stage(&self) -> Option<&'static Stage> {
        let at = STAGES.iter().position(|stage| stage == self.stage)?;
        STAGES.get(at + 1)
    }

    /// The JSON of `check --json`.
    pub fn to_json(&self) -> Value {
        let goals = self.stage.goals.iter().zip(&self.verdicts).map(|(goal, verdict)| {
            let (evidence, next) = match verdict {
                Verdict::Reached(evidence) => (evidence.iter().map(evidence_json).collect(), None),
                Verdict::Open(next) => (Vec::new(), Some(next)),
            };
            json!({
                "name": goal.name,
                "goal": goal.says,
                "reached": verdict.is_reached(),
                "evidence": evidence,
                "next": next.map(Next::to_string),
                "next_step": next.map(next_json),
            })
        });
        let wrong = self.wrong.iter().map(|wrong| {
            let mut json = evidence_json(&wrong.evidence);
            json["meaning"] = json!(wrong.meaning);
            json
        });
        json!({
            "stage": self.stage.name,
            "number": self.stage.number(),
            "title": self.stage.title(),
            "reached": self.is_reached(),
            "goals": goals.collect::<Vec<_>>(),
            "wrong": wrong.collect::<Vec<_>>(),
            "transfers": self.transfers,
            "build_failed": self.build_failed,
        })
    }
}

fn next_json(next: &Next) -> Value {
    json!({ "before": next.before(), "command": next.to_type(), "after": next.after() })
}

fn evidence_json(evidence: &Evidence) -> Value {
    json!({
        "workflow_id": evidence.workflow_id,
        "run_id": evidence.run_id,
        "event_id": evidence.event_id,
        "time": evidence.time,
        "what": evidence.what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::INCIDENTS;

    #[test]
    fn without_a_transfer_no_goal_is_reached_and_each_says_what_is_next() {
        for stage in STAGES.iter().chain(INCIDENTS.iter().map(|incident| &incident.stage)) {
            let report = Report::of(stage, &Facts::default());
            assert!(!report.is_reached(), "{}", stage.name);
            assert!(report.verdicts.iter().all(|verdict| !verdict.is_reached()), "{}", stage.name);
            let json = report.to_json();
            assert_eq!(json["goals"].as_array().map(Vec::len), Some(stage.goals.len()));
            assert!(
                json["goals"][0]["next"].as_str().is_some_and(|next| next.contains("cargo xtask")),
                "{json}"
            );
            for verdict in &report.verdicts {
                let Verdict::Open(next) = verdict else { continue };
                assert!(next.to_type().is_none_or(|line| line.starts_with("cargo xtask ")), "{next:?}");
                // A command that is a part of the sentence could not be copied.
                assert!(!next.before().contains(": cargo xtask"), "{next:?}");
                assert!(!next.after().contains("cargo xtask"), "{next:?}");
            }
        }
    }
}

//! Following the explanations of the incidents in a shadow of the checkout, as a learner would who knows the answer.

use std::time::{Duration, Instant};

use anyhow::Result;
use lab::{Block, Facts, Incident, Outcome};
use lab_client::{
    facts::{LATE, Reader},
    progress::Progress,
    supervisor,
};

use super::{
    CHECK, Failure, Followed, POLL_INTERVAL, about, compare::Ids, follow_command, put_fix_in_place, status,
    with_goals, write,
};
use crate::shadow::{Printed, Shadow};

/// How long an incident may take to hit a transfer, and to be recovered from after its explanation has been followed.
const TIMEOUT: Duration = Duration::from_secs(90);
/// Before the fix, a transfer that takes longer than this was hit: less than what the judge allows, so that a play is short.
const SEEN_LATE: Duration = Duration::from_secs(6);
/// What an adjusted account is told.
const REASON: &str = "as the explanation says";

/// Enters an incident, waits until its transfers are hit, does what its explanation says, and ends the drill once everything has
/// recovered.
///
/// # Errors
/// A command of the explanation fails or prints something else, or the incident hits nothing or is not recovered from.
pub fn follow(shadow: &Shadow, incident: &Incident) -> Followed {
    let stage = &incident.stage;
    xtask(shadow, incident, &["drill", stage.name, "--seed", &incident.seed().to_string()])?;
    let is_seen = |outcome: &Outcome<'_>| !outcome.hits.is_empty() && !outcome.is_recovered();
    Judge::new(shadow, incident, SEEN_LATE)?.wait("no transfer was hit", is_seen)?;
    let mut judge = Judge::new(shadow, incident, LATE)?;
    let mut ids = Ids::default();
    for block in stage.text.blocks() {
        match block {
            Block::Commands(commands) => {
                for command in &commands {
                    follow_command(shadow, stage.text.file, command, &mut ids)?;
                }
            }
            Block::Fix => put_fix_in_place(shadow, stage)?,
            Block::Write(module, name) => write(shadow, stage, &module, &name)?,
            Block::Settle => settle(shadow, incident, &mut judge)?,
        }
    }
    judge.wait("it is not recovered from at the end of its explanation", |outcome| outcome.is_recovered())?;
    xtask(shadow, incident, &["drill", "finish"])?;
    let report = xtask(shadow, incident, &["drill", "report", "--json"])?;
    match report.json() {
        Some(report) if report["outcome"] == "recovered" => Ok(()),
        _ => {
            let failure =
                about(stage, "the report of the drill does not say that it is recovered".to_owned());
            Err(Box::new(Failure { printed: report.lines, ..*failure }))
        }
    }
}

/// Corrects each account that is off, once no transfer that was hit can still move money.
fn settle(shadow: &Shadow, incident: &Incident, judge: &mut Judge<'_>) -> Followed {
    // Before the fix has run, the transfers that were hit still count as those of the code in place.
    let is_at_rest = |outcome: &Outcome<'_>| outcome.is_answered() && outcome.stuck.is_empty();
    judge.wait("transfers are still stuck when the accounts are to be corrected", is_at_rest)?;
    let facts = judge.facts()?;
    for (account, more) in Outcome::of(&facts).differences {
        let correction = contract::Money::from_cents(-more.cents()).to_string();
        xtask(shadow, incident, &["adjust", &account, &correction, "--reason", REASON])?;
    }
    Ok(())
}

/// Types a command of `cargo xtask` that is to succeed.
fn xtask(shadow: &Shadow, incident: &Incident, words: &[&str]) -> Result<Printed, Box<Failure>> {
    let says = |says: String| Failure {
        typed: Some(format!("cargo xtask {}", words.join(" "))),
        ..*about(&incident.stage, says)
    };
    match shadow.xtask(words) {
        Ok(printed) if printed.ok => Ok(printed),
        Ok(printed) => Err(Box::new(Failure { printed: printed.lines, ..says("it fails".to_owned()) })),
        Err(error) => Err(Box::new(says(format!("{error:#}")))),
    }
}

/// Judges the lab of a shadow.
struct Judge<'a> {
    shadow: &'a Shadow,
    incident: &'a Incident,
    reader: Reader,
}

impl<'a> Judge<'a> {
    fn new(shadow: &'a Shadow, incident: &'a Incident, late: Duration) -> Result<Judge<'a>, Box<Failure>> {
        let state = shadow.state().map_err(|error| about(&incident.stage, format!("{error:#}")))?;
        Ok(Judge { shadow, incident, reader: Reader::new(&state.endpoints()).with_late(late) })
    }

    /// What is known now.
    fn facts(&mut self) -> Result<Facts, Box<Failure>> {
        let progress = Progress::read(&self.shadow.project.lab);
        let status = status(self.shadow);
        let read = status.and_then(|status| self.reader.read(&progress, supervisor::services(&status)));
        read.map_err(|error| about(&self.incident.stage, format!("{error:#}")))
    }

    /// Waits until the outcome is so.
    fn wait(&mut self, else_says: &str, is_so: impl Fn(&Outcome<'_>) -> bool) -> Followed {
        let begin = Instant::now();
        loop {
            match self.facts() {
                Ok(facts) if is_so(&Outcome::of(&facts)) => return Ok(()),
                // On a busy machine a part of the lab may not answer once.
                Err(failure) if begin.elapsed() > TIMEOUT => return Err(failure),
                _ => {}
            }
            if begin.elapsed() > TIMEOUT {
                let stage = &self.incident.stage;
                let check = self
                    .shadow
                    .xtask(&CHECK)
                    .map_err(|error| about(stage, format!("{else_says}: {error:#}")))?;
                return Err(with_goals(stage, else_says, &check));
            }
            let paused = self.shadow.pause(POLL_INTERVAL);
            paused.map_err(|error| about(&self.incident.stage, format!("{error:#}")))?;
        }
    }
}

//! The report of a drill: how fast it was mitigated and recovered, what it cost, its timeline, and a review to fill in.
//!
//! Its times are the server's and the bank's, so nobody has to write anything down during a drill. The journal adds which commands were
//! typed. Once a drill has ended, the report is about the moment it ended, whatever the lab has done since.

mod clock;
mod html;
mod markdown;
mod report;
mod review;
#[cfg(test)]
mod tests;
mod timeline;

use std::borrow::Cow;

use contract::Money;
use lab::{Entry, Facts, Goal, Outcome, Report, SAFE, Status, Transfer, Verdict, in_transit, money};
use serde_json::{Value, json};

use crate::{
    facts::{LATE, is_late},
    progress::Progress,
    time::parse_rfc3339,
};

use clock::{Clock, first_sign};
use timeline::Ends;

pub use report::{Conclusion, DrillReport, HINT};
pub use timeline::Moment;

/// The longest timeline in a terminal, in lines.
const LONGEST_TIMELINE: usize = 14;
/// The longest part of the explanation in a terminal, in lines.
const LONGEST_ANSWER: usize = 10;
impl DrillReport {
    /// The report by these facts. The journal has the time of each command, in the lab's format, and the command.
    pub fn of(progress: &Progress, facts: &Facts, journal: &[(String, String)]) -> DrillReport {
        let ended = progress.drill.as_ref().and_then(|drill| drill.ended.as_ref());
        let facts = match ended {
            Some((end, _)) => Cow::Owned(at_the_end(facts, end)),
            None => Cow::Borrowed(facts),
        };
        let clock = Clock::since(&progress.entered);
        let outcome = Outcome::of(&facts);
        let conclusion = match ended {
            None => Conclusion::InProgress,
            Some((_, false)) => Conclusion::Recovered,
            Some((_, true)) => Conclusion::GaveUp,
        };
        let ended = ended.and_then(|(end, _)| clock.seconds(end));
        let corrections = corrections(&clock, &facts, journal);
        let goals = Report::of(progress.stage, &facts);
        let recovered = Some(&goals)
            .filter(|goals| goals.is_reached() && conclusion != Conclusion::GaveUp)
            .and_then(|_| recovered(&clock, &facts, &outcome, &corrections));
        // A drill ends as recovered only if every goal is reached.
        let recovered = recovered.or(ended.filter(|_| conclusion == Conclusion::Recovered));
        let mitigated = outcome.mitigated().and_then(|time| clock.seconds(time));
        let mut report = DrillReport {
            incident: progress.stage,
            seed: progress.drill.as_ref().map(|drill| drill.seed),
            hints: progress.hints,
            conclusion,
            started: progress.entered.clone(),
            ended,
            first_sign: first_sign(&clock, &outcome, mitigated).map(|(_, seconds)| seconds),
            mitigated,
            recovered,
            transfers: facts.transfers.len(),
            hits: outcome.hits.len(),
            money_at_risk: money_at_risk(&outcome),
            at_risk: at_risk(&facts, &outcome),
            corrections: facts.corrections.len(),
            goals,
            timeline: Vec::new(),
        };
        let ends = Ends {
            mitigated: report.mitigated,
            recovered: report.recovered,
            ended: report.ended.map(|seconds| (seconds, conclusion == Conclusion::GaveUp)),
        };
        report.timeline = timeline::of(&clock, &facts, &outcome, &corrections, journal, &ends);
        report
    }

    /// A review to fill in, in Markdown. What the server and the ledger know is filled in.
    pub fn review(&self) -> String {
        review::markdown(self)
    }

    /// The report as one HTML file.
    pub fn html(&self) -> String {
        html::page_of(self)
    }

    /// The JSON of `drill report --json`.
    pub fn to_json(&self) -> Value {
        json!({
            "incident": self.incident.name,
            "title": self.incident.title(),
            "seed": self.seed,
            "hints": self.hints,
            "score": self.score(),
            "outcome": self.conclusion.name(),
            "started": self.started,
            "ended_seconds": self.ended,
            "first_sign_seconds": self.first_sign,
            "mitigated_seconds": self.mitigated,
            "recovered_seconds": self.recovered,
            "transfers": self.transfers,
            "transfers_hit": self.hits,
            "money_at_risk": self.money_at_risk.0,
            "transfers_at_risk": self.money_at_risk.1,
            "at_risk_seconds": self.at_risk,
            "corrections": self.corrections,
            "goals": self.goals().map(goal_json).collect::<Vec<_>>(),
            "rules_broken": self.goals.wrong.iter().map(|wrong| wrong.evidence.what.clone()).collect::<Vec<_>>(),
            "timeline": self.timeline.iter().map(Moment::to_json).collect::<Vec<_>>(),
            "explanation": self.explanation(),
            "review": self.review(),
        })
    }

    /// The report for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.name(), self.headline(), String::new()];
        let facts = self.facts();
        let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        lines.extend(facts.iter().map(|(name, value)| format!("  {name:width$}  {value}")));
        let open: Vec<String> = self.open().collect();
        if !open.is_empty() {
            lines.extend([String::new(), "open".to_owned()]);
            lines.extend(open.iter().map(|goal| format!("  {goal}")));
        }
        if !self.timeline.is_empty() {
            lines.extend([String::new(), "timeline".to_owned()]);
            lines.extend(timeline::shortened(&self.timeline, LONGEST_TIMELINE));
        }
        if let Some(answer) = self.explanation().as_deref().map(good_answer) {
            lines.extend([String::new(), "what a good answer looks like".to_owned()]);
            let answer = markdown::plain(answer);
            let most = answer.lines().count().min(LONGEST_ANSWER);
            lines.extend(answer.lines().take(most).map(|line| format!("  {line}")));
            if most < answer.lines().count() {
                lines.push("  …".to_owned());
            }
        }
        lines.extend([
            String::new(),
            "all of it, with a review to fill in: cargo xtask drill report --html report.html".to_owned(),
        ]);
        lines
    }
}

/// The facts at the moment a drill ended: what the lab did after it changes no report.
fn at_the_end(facts: &Facts, end: &str) -> Facts {
    let Some(unix) = parse_rfc3339(end) else { return facts.clone() };
    with_late(facts.clone().until(end, unix as u64), unix)
}

/// The facts with the transfers that were late at this moment in Unix seconds.
fn with_late(facts: Facts, unix: f64) -> Facts {
    let is_late = |transfer: &&Transfer| transfer.runs.iter().any(|run| is_late(run, LATE, unix));
    let late = facts.transfers.iter().filter(is_late).map(|transfer| transfer.workflow_id.clone());
    Facts { late: late.collect(), ..facts }
}

/// The seconds until every goal was reached: the latest of what recovery takes.
fn recovered(clock: &Clock, facts: &Facts, outcome: &Outcome<'_>, corrections: &[f64]) -> Option<f64> {
    let mitigated = outcome.mitigated()?;
    let mut safe: Vec<f64> =
        outcome.safe.iter().filter_map(|safe| clock.seconds(safe.time.as_deref()?)).collect();
    safe.sort_by(f64::total_cmp);
    let older = facts.transfers.iter().filter(|transfer| !outcome.is_new(transfer));
    let closes = older.filter_map(|transfer| clock.seconds(transfer.last().close()?.time()));
    let moments = safe.get(SAFE - 1).into_iter().chain(corrections).copied().chain(closes);
    moments.chain(clock.seconds(mitigated)).max_by(f64::total_cmp)
}

/// The seconds until each correction. The bank records whole seconds; a command that was typed in that second was first.
fn corrections(clock: &Clock, facts: &Facts, journal: &[(String, String)]) -> Vec<f64> {
    let typed = journal.iter().filter(|(_, command)| command.contains(" adjust "));
    let typed: Vec<f64> = typed.filter_map(|(time, _)| clock.seconds(time)).collect();
    let moment = |entry: &Entry| {
        let second = clock.until(entry.time as f64);
        typed.iter().copied().filter(|typed| (second..second + 1.0).contains(typed)).fold(second, f64::max)
    };
    facts.corrections.iter().map(moment).collect()
}

/// The amounts of the transfers at risk, and how many those are.
fn money_at_risk(outcome: &Outcome<'_>) -> (Money, usize) {
    let at_risk = outcome.hits.iter().filter(|hit| hit.at_risk);
    let amounts = at_risk.map(|hit| money(&hit.transfer.input()["amount"]).unwrap_or_default().cents());
    let amounts: Vec<i64> = amounts.collect();
    (Money::from_cents(amounts.iter().sum()), amounts.len())
}

/// The seconds from the first entry of a transfer at risk, or from the beginning of the drill, until all of them were settled, corrections included; none while one is not.
fn at_risk(facts: &Facts, outcome: &Outcome<'_>) -> Option<f64> {
    let at_risk = || outcome.hits.iter().filter(|hit| hit.at_risk).map(|hit| hit.transfer);
    let is_in_transit = at_risk().any(|transfer| {
        transfer.last().status == Status::Running && in_transit(facts.entries_of(transfer)) != Money::ZERO
    });
    if is_in_transit || !outcome.differences.is_empty() {
        return None;
    }
    let entries = || at_risk().flat_map(|transfer| facts.entries_of(transfer));
    let times = || entries().map(|entry| entry.time.max(facts.entered_at));
    let Some(first) = times().min() else { return Some(0.0) };
    let corrections = facts.corrections.iter().map(|entry| entry.time);
    let last = times().chain(corrections).max().unwrap_or(first);
    Some(last.saturating_sub(first) as f64)
}

fn goal_json((goal, verdict): (&Goal, &Verdict)) -> Value {
    let next = match verdict {
        Verdict::Reached(_) => None,
        Verdict::Open(next) => Some(next.to_string()),
    };
    json!({ "name": goal.name, "goal": goal.says, "reached": verdict.is_reached(), "next": next })
}

/// The part of an explanation that says what a good answer looks like: below that heading or from that sentence on; else its beginning.
fn good_answer(explanation: &str) -> &str {
    let is_named = |text: &str| text.to_lowercase().contains("good answer");
    let mut paragraphs = explanation.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
    let first = explanation.trim().split("\n\n").next().unwrap_or_default();
    let Some(named) = paragraphs.find(|text| is_named(text.lines().next().unwrap_or_default())) else {
        return first;
    };
    match named.strip_prefix('#') {
        // The text below the heading: in the same paragraph, or in the next one.
        Some(heading) => {
            heading.split_once('\n').map(|(_, text)| text).or(paragraphs.next()).unwrap_or(first)
        }
        None => named,
    }
}

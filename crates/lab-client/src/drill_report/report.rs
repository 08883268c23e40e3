//! What a report of a drill knows, and how it says it.

use contract::Money;
use lab::{Goal, Report, Stage, Verdict, sections};

use super::{clock::span, markdown, timeline::Moment};

/// How many points a hint costs.
pub const HINT: u64 = 10;
/// What a score begins with, and what a minute costs.
const FULL_SCORE: u64 = 100;
const MINUTE: u64 = 1;

/// A drill, in progress or ended.
#[derive(Debug)]
pub struct DrillReport {
    /// The incident.
    pub incident: &'static Stage,
    /// The seed of its traffic, once it is ready.
    pub seed: Option<u64>,
    /// How many hints were shown.
    pub hints: usize,
    /// How far it is.
    pub conclusion: Conclusion,
    /// When it began, in the server's format.
    pub started: String,
    /// The seconds until it ended, by the learner's word.
    pub ended: Option<f64>,
    /// The seconds until the histories first showed that something is wrong.
    pub first_sign: Option<f64>,
    /// The seconds until the deploy under which new transfers get through by themselves.
    pub mitigated: Option<f64>,
    /// The seconds until every goal was reached.
    pub recovered: Option<f64>,
    /// How many transfers there are.
    pub transfers: usize,
    /// How many of them the incident hit.
    pub hits: usize,
    /// The amounts of the transfers whose money was not where it belongs, and how many those are.
    pub money_at_risk: (Money, usize),
    /// For how many seconds money was at risk; none for as long as some is.
    pub at_risk: Option<f64>,
    /// How many entries of the ledger belong to no transfer.
    pub corrections: usize,
    /// The goals and the broken rules.
    pub goals: Report,
    /// What happened, and when; repeated events are one.
    pub timeline: Vec<Moment>,
}

/// How far a drill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The learner has not ended it.
    InProgress,
    /// It ended with every goal reached.
    Recovered,
    /// The learner ended it before that.
    GaveUp,
}

impl Conclusion {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Conclusion::InProgress => "in progress",
            Conclusion::Recovered => "recovered",
            Conclusion::GaveUp => "gave up",
        }
    }
}

impl DrillReport {
    /// The score: none before the drill is recovered or given up.
    pub fn score(&self) -> Option<u64> {
        if self.conclusion == Conclusion::GaveUp {
            return Some(0);
        }
        let minutes = (self.recovered? / 60.0) as u64;
        Some(FULL_SCORE.saturating_sub(HINT * self.hints as u64 + MINUTE * minutes))
    }

    /// What happened and what to learn from it, in Markdown; none while the drill is in progress.
    pub fn explanation(&self) -> Option<String> {
        if self.conclusion == Conclusion::InProgress {
            return None;
        }
        let (_, sections) = sections(self.incident.text.source);
        let (_, text) = sections.into_iter().find(|(title, _)| *title == "Explanation")?;
        // Comments are for `play`.
        let lines = text.lines().filter(|line| !line.starts_with("<!--"));
        Some(lines.collect::<Vec<_>>().join("\n").replace("\n\n\n", "\n\n"))
    }

    /// The explanation for a terminal.
    pub fn explanation_lines(&self) -> Vec<String> {
        let text = self.explanation().unwrap_or_default();
        markdown::plain(text.trim()).lines().map(str::to_owned).collect()
    }

    /// The incident, by its symptom, its name and its seed.
    pub(super) fn name(&self) -> String {
        let seed = self.seed.map_or(String::new(), |seed| format!(", seed {seed}"));
        format!("{} ({}{seed})", self.incident.title(), self.incident.name)
    }

    /// How it went, in a line.
    pub fn headline(&self) -> String {
        let score = self.score().map_or(String::new(), |score| format!(", score {score}"));
        let hints = match self.hints {
            0 => String::new(),
            1 => " (1 hint)".to_owned(),
            hints => format!(" ({hints} hints)"),
        };
        let after = |seconds: Option<f64>| seconds.map_or(String::new(), |s| format!(" after {}", span(s)));
        match (self.conclusion, self.recovered, self.mitigated) {
            (Conclusion::GaveUp, ..) => format!("gave up{}{score}{hints}", after(self.ended)),
            (Conclusion::Recovered, ..) => format!("recovered{}{score}{hints}", after(self.recovered)),
            (Conclusion::InProgress, Some(_), _) => {
                let after = after(self.recovered);
                format!("recovered{after}{score}{hints}; end the drill: cargo xtask drill finish")
            }
            (Conclusion::InProgress, None, Some(_)) => {
                format!("in progress: mitigated{}, not yet recovered{hints}", after(self.mitigated))
            }
            (Conclusion::InProgress, None, None) => format!("in progress: not yet mitigated{hints}"),
        }
    }

    /// The times and the damage, each with its name.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let at = |seconds: Option<f64>| seconds.map_or("not yet".to_owned(), span);
        let (money, at_risk) = self.money_at_risk;
        let money = match (at_risk, self.at_risk) {
            (0, _) => "none".to_owned(),
            (_, Some(seconds)) => format!("${money} in {}, for {}", transfers(at_risk), span(seconds)),
            (_, None) => format!("${money} in {}, and not all of it is settled yet", transfers(at_risk)),
        };
        let first_sign = match (self.first_sign, self.mitigated) {
            (None, Some(_)) => "none before the fix".to_owned(),
            (sign, _) => at(sign),
        };
        let mut facts = vec![
            ("first sign", first_sign),
            ("mitigated", at(self.mitigated)),
            ("recovered", at(self.recovered)),
            ("transfers hit", format!("{} of {}", self.hits, self.transfers)),
            ("money at risk", money),
        ];
        if self.corrections > 0 {
            facts.push(("corrections", self.corrections.to_string()));
        }
        facts
    }

    /// The goals and the verdicts on them.
    pub(super) fn goals(&self) -> impl Iterator<Item = (&'static Goal, &Verdict)> {
        self.incident.goals.iter().zip(&self.goals.verdicts)
    }

    /// The goals that are not reached and the rules that are broken.
    pub(super) fn open(&self) -> impl Iterator<Item = String> {
        let goals = self.goals().filter(|(_, verdict)| !verdict.is_reached());
        let goals = goals.map(|(goal, _)| format!("✗ {}", goal.says));
        let wrong = &self.goals.wrong;
        let broken = wrong.first().map(|first| format!("✗ broken rule: {}", first.evidence.what));
        let more = (wrong.len() > 1).then(|| format!("✗ {} more broken rules", wrong.len() - 1));
        goals.chain(broken).chain(more)
    }
}

fn transfers(count: usize) -> String {
    if count == 1 { "1 transfer".to_owned() } else { format!("{count} transfers") }
}

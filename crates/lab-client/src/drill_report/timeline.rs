//! The timeline of a drill: the server's, the bank's and the journal's events in one order, with repeated ones as one.

use contract::Money;
use lab::{Entry, Facts, Outcome};
use serde_json::{Value, json};

use super::clock::{Clock, first_sign, stamp};
use crate::{class::clean, journal::ON_PAGE, time::rfc3339_exact};

/// How the first sign begins.
pub(super) const SIGN: &str = "first sign: ";
/// The longest description of an event.
const LONGEST: usize = 160;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// When, in the server's format; of repeated events, the first.
    pub time: String,
    /// The seconds since the drill began.
    pub seconds: f64,
    /// What.
    pub what: String,
    /// The transfer, if it is about one.
    pub workflow_id: Option<String>,
    /// How often.
    pub count: usize,
    /// The seconds until the last of repeated events.
    pub until: f64,
    kind: Kind,
}

/// What can be repeated.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Nothing that is: each counts.
    Single,
    Reset,
    /// What the bank added in all, and what it took.
    Correction(Money, Money),
    /// A command, by the words before its first value.
    Command(String),
}

/// The seconds after which the goals were reached, and after which the drill ended, with whether it was given up.
pub(super) struct Ends {
    pub(super) mitigated: Option<f64>,
    pub(super) recovered: Option<f64>,
    pub(super) ended: Option<(f64, bool)>,
}

impl Moment {
    pub(super) fn to_json(&self) -> Value {
        let mut json = json!({ "time": self.time, "seconds": self.seconds, "what": self.what });
        if let Some(id) = &self.workflow_id {
            json["workflow_id"] = json!(id);
        }
        if self.count > 1 {
            json["count"] = json!(self.count);
            json["until_seconds"] = json!(self.until);
        }
        json
    }

    /// What happened, and to which transfer.
    pub(super) fn words(&self) -> String {
        let id = self.workflow_id.as_ref().map_or(String::new(), |id| format!(" ({})", clean(id, LONGEST)));
        let until =
            if self.until > self.seconds { format!(", until {}", stamp(self.until)) } else { String::new() };
        format!("{}{id}{until}", self.what)
    }

    /// Whether the other one repeats it; then it is both.
    fn takes(&mut self, other: &Moment) -> bool {
        let count = self.count + 1;
        let what = match (&self.kind, &other.kind) {
            (Kind::Reset, Kind::Reset) => format!("{count} Workflow Resets"),
            (Kind::Correction(added, taken), Kind::Correction(also_added, also_taken)) => {
                let sum = |one: &Money, other: &Money| Money::from_cents(one.cents() + other.cents());
                let (added, taken) = (sum(added, also_added), sum(taken, also_taken));
                self.kind = Kind::Correction(added, taken);
                format!("{count} corrections by the bank: ${added} added, ${taken} taken")
            }
            (Kind::Command(words), Kind::Command(others)) if words == others => {
                let is_same = self.what.split(" (×").next() == Some(&other.what);
                let command = if is_same { other.what.clone() } else { did(&format!("{words} …")) };
                format!("{command} (×{count})")
            }
            _ => return false,
        };
        if self.workflow_id != other.workflow_id {
            self.workflow_id = None;
        }
        (self.what, self.count, self.until) = (what, count, other.until);
        true
    }
}

/// The timeline of a drill, whose corrections were made after so many seconds.
pub(super) fn of(
    clock: &Clock,
    facts: &Facts,
    outcome: &Outcome<'_>,
    corrections: &[f64],
    journal: &[(String, String)],
    ends: &Ends,
) -> Vec<Moment> {
    let mut all = Vec::new();
    let mut add = |seconds: f64, kind: Kind, what: String, workflow_id: Option<&str>| {
        let time = std::time::Duration::try_from_secs_f64(clock.start() + seconds).unwrap_or_default();
        all.push(Moment {
            time: rfc3339_exact(time),
            seconds,
            what: clean(&what, LONGEST),
            workflow_id: workflow_id.map(str::to_owned),
            count: 1,
            until: seconds,
            kind,
        });
    };
    for (time, command) in journal {
        if let Some(seconds) = clock.seconds(time) {
            add(seconds, Kind::Command(leading_words(command)), did(command), None);
        }
    }
    for deploy in &outcome.deploys {
        if let Some(seconds) = clock.seconds(deploy.time) {
            add(
                seconds,
                Kind::Single,
                format!("the worker runs the code with Build ID {}", deploy.build_id),
                None,
            );
        }
    }
    if let Some((hit, seconds)) = first_sign(clock, outcome, ends.mitigated) {
        let what = format!("{SIGN}{}", hit.sign.what);
        add(seconds, Kind::Single, what, Some(&hit.transfer.workflow_id));
    }
    for transfer in &facts.transfers {
        let mut resets: Vec<&str> = transfer
            .runs
            .iter()
            .flat_map(|run| run.events().filter(|event| event.is_reset()).map(|event| event.time()))
            .collect();
        // A reset of a run that a reset has started copies the earlier reset.
        resets.sort_unstable();
        resets.dedup();
        for seconds in resets.into_iter().filter_map(|time| clock.seconds(time)) {
            add(seconds, Kind::Reset, "a Workflow Reset".to_owned(), Some(&transfer.workflow_id));
        }
    }
    for (entry, seconds) in facts.corrections.iter().zip(corrections) {
        let Entry { account, amount, .. } = entry;
        let (kind, what) = match entry.signed() < Money::ZERO {
            true => {
                (Kind::Correction(Money::ZERO, *amount), format!("a correction: ${amount} from {account}"))
            }
            false => {
                (Kind::Correction(*amount, Money::ZERO), format!("a correction: ${amount} to {account}"))
            }
        };
        add(*seconds, kind, what, None);
    }
    let gave_up = ends.ended.is_some_and(|(_, gave_up)| gave_up);
    let ends = [
        (ends.mitigated, "mitigated: from here on, new transfers get through by themselves"),
        (ends.recovered, "recovered: every goal is reached"),
        (
            ends.ended.map(|(seconds, _)| seconds),
            if gave_up { "the drill was given up" } else { "the drill was ended" },
        ),
    ];
    for (seconds, what) in ends {
        if let Some(seconds) = seconds {
            add(seconds, Kind::Single, what.to_owned(), None);
        }
    }
    // What came before the drill is not part of it.
    all.retain(|moment| moment.seconds >= 0.0);
    all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    folded(all)
}

/// With repeated events as one.
fn folded(all: Vec<Moment>) -> Vec<Moment> {
    let mut folded: Vec<Moment> = Vec::new();
    for moment in all {
        // A command that is typed once per transfer alternates with what it does.
        let recent = folded.len().saturating_sub(2);
        let is_repair =
            is_repair(&moment.kind) && folded[recent..].iter().all(|moment| is_repair(&moment.kind));
        let recent = if is_repair { recent } else { folded.len().saturating_sub(1) };
        if !folded[recent..].iter_mut().rev().any(|before| before.takes(&moment)) {
            folded.push(moment);
        }
    }
    folded
}

/// Whether it repairs a transfer, or is a command that does.
fn is_repair(kind: &Kind) -> bool {
    match kind {
        Kind::Single => false,
        Kind::Reset | Kind::Correction(..) => true,
        Kind::Command(words) => words.ends_with(" adjust") || words.ends_with(" reset"),
    }
}

/// What the journal says: a command as it was typed, or what was done on the page.
fn did(command: &str) -> String {
    if command.starts_with(ON_PAGE) { command.to_owned() } else { format!("$ {command}") }
}

/// The words of a command before its first flag or value.
fn leading_words(command: &str) -> String {
    let is_word = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && !word.contains(|c: char| c == '_' || c.is_ascii_digit())
    };
    command.split_whitespace().take_while(is_word).collect::<Vec<_>>().join(" ")
}

/// The timeline for a terminal, in at most so many lines.
pub(super) fn shortened(all: &[Moment], most: usize) -> Vec<String> {
    let line = |moment: &Moment| format!("  {:>6}  {}", stamp(moment.seconds), moment.words());
    if all.len() <= most {
        return all.iter().map(line).collect();
    }
    // How it ended matters as much as how it began.
    let (head, tail) = (most / 2, most - most / 2 - 1);
    let left_out = all.len() - head - tail;
    let (head, tail) = (all[..head].iter().map(line), all[all.len() - tail..].iter().map(line));
    head.chain([format!("       …  {left_out} more")]).chain(tail).collect()
}

//! Which of the typed commands are written to the journal of a drill: those that change something.

use std::env;

use checkout::Project;
use clap::{ArgMatches, parser::ValueSource};
use lab::shell_word;
use lab_client::journal;
use terminal::stderrln;

/// The commands that only report, with their groups. The last ones work in checkouts and labs of their own.
const REPORTS: &[&str] = &[
    "check",
    "ledger",
    "doctor",
    "drill status",
    "drill report",
    "lab status",
    "lab logs",
    "lab env",
    "test",
    "without-temporal",
    "help-me",
    "prefetch",
    "play",
    "chaos",
    "bench",
    "tidy",
    "class",
];

/// The commands that only report unless an argument says what to do, and the arguments that say so of none.
const REPORTS_WITHOUT_ARGUMENTS: &[&str] =
    &["stage", "stage restore", "drill", "outage", "real-world-mode", "lab watch"];
const OF_REPORTS: &[&str] = &["json", "diff"];

/// The words of the Temporal CLI that only report.
const TEMPORAL_REPORTS: &[&str] = &[
    "list",
    "show",
    "describe",
    "count",
    "query",
    "trace",
    "stack",
    "result",
    "metadata",
    "health",
    "help",
    "--help",
    "-h",
    "--version",
];

/// Writes what was typed to the journal, if a drill is in progress and this is a command that changes something.
pub(crate) fn note(project: &Project, arguments: &ArgMatches) {
    if !changes(arguments) {
        return;
    }
    let words = env::args_os().skip(1).map(|word| shell_word(&word.to_string_lossy()));
    let command =
        ["cargo", "xtask"].map(str::to_owned).into_iter().chain(words).collect::<Vec<_>>().join(" ");
    if let Err(error) = journal::note(&project.lab, &command) {
        stderrln!("warning: the report of the drill will lack this command: {error:#}");
    }
}

/// Whether these arguments of the command line are a command that changes something.
fn changes(arguments: &ArgMatches) -> bool {
    let (mut name, mut arguments) = (String::new(), arguments);
    while let Some((word, inner)) = arguments.subcommand() {
        name = if name.is_empty() { word.to_owned() } else { format!("{name} {word}") };
        arguments = inner;
    }
    if name == "temporal" {
        let words = arguments.get_many::<String>("arguments").into_iter().flatten();
        return !words.take(3).any(|word| TEMPORAL_REPORTS.contains(&word.as_str()));
    }
    let is_in = |group: &&str| name == **group || name.starts_with(&format!("{group} "));
    if REPORTS.iter().any(is_in) {
        return false;
    }
    let is_typed = |id: &str| arguments.value_source(id) == Some(ValueSource::CommandLine);
    let mut typed = arguments.ids().map(clap::Id::as_str).filter(|id| is_typed(id));
    !REPORTS_WITHOUT_ARGUMENTS.contains(&name.as_str())
        || typed.clone().all(|id| id != "diff") && typed.any(|id| !OF_REPORTS.contains(&id))
}

#[cfg(test)]
mod tests {
    use crate::commands::command_line;

    fn changes(typed: &str) -> bool {
        let words = ["cargo xtask"].into_iter().chain(typed.split(' '));
        super::changes(&command_line().try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}")))
    }

    #[test]
    fn what_changes_something_is_written_and_what_only_reports_is_not() {
        for typed in [
            "transfer account_A account_B 5",
            "lab deploy",
            "lab restart worker",
            "lab watch off",
            "retry",
            "reset --yes",
            "outage deposits down",
            "real-world-mode off",
            "stage jerry",
            "stage restore mine",
            "hint",
            "drill hint",
            "drill finish",
            "adjust account_A -5 --reason twice",
            "temporal workflow reset --workflow-id a --type LastWorkflowTask --reason fixed",
            "temporal workflow terminate --query list",
        ] {
            assert!(changes(typed), "{typed}");
        }
        for typed in [
            "check --watch",
            "lab status --json",
            "lab logs worker",
            "lab watch",
            "outage",
            "real-world-mode --json",
            "stage",
            "stage --json",
            "stage jerry --diff",
            "stage restore",
            "drill",
            "drill status",
            "drill report --html report.html",
            "ledger --uneven",
            "test --mine",
            "temporal workflow list",
            "temporal workflow show --workflow-id reset",
            "temporal workflow reset --help",
        ] {
            assert!(!changes(typed), "{typed}");
        }
    }
}

//! Checks the tasks of the texts: both forms, what completes them, and the links, placeholders and commands of the form for the page.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use clap::Command;
use lab::{CARD_PARTS, Condition, Goal, PLACEHOLDERS, Stage, Task, Text};
use regex_lite::Regex;

use crate::{commands, complaint::Complaint, markdown::Markdown};

const PAGE: &str = "crates/transfer-web/page/index.html";

/// The elements of the page that a task can link to, by their ids.
pub(super) struct Parts(BTreeSet<String>);

impl Parts {
    /// The ids in the page, and the parts of a card.
    pub(super) fn read(root: &Path) -> Result<Parts> {
        let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("could not read {PAGE}"))?;
        let ids = Regex::new(r#"\bid="([a-z0-9-]+)""#)?;
        let ids = ids.captures_iter(&page).filter_map(|found| Some(found.get(1)?.as_str().to_owned()));
        Ok(Parts(ids.chain(CARD_PARTS.map(str::to_owned)).collect()))
    }
}

/// Checks the tasks of these stages.
pub(super) fn rows(stages: &[Stage], parts: &Parts, command_line: &Command) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for stage in stages {
        complaints.extend(text(&stage.text, stage.goals, parts, command_line)?);
    }
    Ok(complaints)
}

/// Checks the tasks of a text whose stage has these goals.
pub(super) fn text(
    text: &Text,
    goals: &[Goal],
    parts: &Parts,
    command_line: &Command,
) -> Result<Vec<Complaint>> {
    let tasks = text.tasks();
    if tasks.is_empty() {
        let to_do = "in its section `## Do`, begin each task with a heading: ### Start a transfer";
        return Ok(vec![Complaint::of_file(text.file, "it has no tasks", to_do)]);
    }
    let mut complaints = Vec::new();
    for task in &tasks {
        complaints.extend(check(text.file, task, goals, parts, command_line)?);
    }
    Ok(complaints)
}

fn check(
    file: &str,
    task: &Task,
    goals: &[Goal],
    parts: &Parts,
    command_line: &Command,
) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut complain = |line: usize, what: String, to_do: &str| {
        complaints.push(Complaint::at(file, line, what, to_do));
    };
    let title = &task.title;
    if task.terminal.trim().is_empty() {
        complain(
            task.line,
            format!("the task {title:?} has no form for the terminal"),
            "write it below the heading",
        );
    }
    let Some(page) = task.page.as_ref().filter(|page| !page.text.trim().is_empty()) else {
        let to_do = "end it with a comment: <!-- page until=GOAL, what to do on the page, and --> on a line of its own";
        complain(task.line, format!("the task {title:?} has no form for the page"), to_do);
        return Ok(complaints);
    };
    if Condition::named(&page.until).is_none() && !goals.iter().any(|goal| goal.name == page.until) {
        let names = goals.iter().map(|goal| goal.name).chain(Condition::ALL.map(|(name, _)| name));
        let to_do = format!("name one of: {}", names.collect::<Vec<_>>().join(", "));
        complain(
            page.line,
            format!("until={} is neither a goal of the stage nor a condition", page.until),
            &to_do,
        );
    }
    let link = Regex::new(r"\]\(#([^)]*)\)")?;
    let placeholder = Regex::new(r"\{([a-z_]+)\}")?;
    for (at, line) in page.text.lines().enumerate() {
        let number = page.line + 1 + at;
        for id in link.captures_iter(line).filter_map(|found| found.get(1)) {
            if !parts.0.contains(id.as_str()) {
                let to_do = format!("link to an id of {PAGE}, or to one of: {}", CARD_PARTS.join(", "));
                complain(number, format!("the page has no #{}", id.as_str()), &to_do);
            }
        }
        for name in placeholder.captures_iter(line).filter_map(|found| found.get(1)) {
            if !PLACEHOLDERS.contains(&name.as_str()) {
                let to_do = format!("use one of: {}", PLACEHOLDERS.join(", "));
                complain(number, format!("there is no placeholder {{{}}}", name.as_str()), &to_do);
            }
        }
    }
    // The commands of the page form, with a value for each placeholder.
    let filled = placeholder.replace_all(&page.text, "1").into_owned();
    for mut complaint in commands::check(&Markdown::new(file.to_owned(), filled), command_line) {
        complaint.line = complaint.line.map(|line| line + page.line);
        complaints.push(complaint);
    }
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::stage;

    fn reported(source: &'static str) -> Vec<(usize, String)> {
        let parts = Parts(["submit".to_owned(), "retry".to_owned()].into());
        let row = stage("first", "lab/01-first.md", source);
        let command_line = Command::new("cargo xtask").subcommand(Command::new("check"));
        let complaints = rows(&[row], &parts, &command_line).expect("the patterns are valid");
        complaints.into_iter().map(|one| (one.line.unwrap_or_default(), one.what)).collect()
    }

    #[test]
    fn a_task_with_both_forms_is_accepted() {
        let source = "# 1. First\n\n## Do\n\n### Press it\n\nType it.\n\n<!-- page until=done\nPress [it](#submit) or \
                      [Retry now](#retry) of `{workflow_id}`.\n\n```console\n$ cargo xtask check\n```\n-->\n";
        assert_eq!(reported(source), []);
    }

    #[test]
    fn what_is_missing_or_unknown_is_reported_with_its_line() {
        assert_eq!(reported("# 1. First\n\n## Do\n\nType it.\n"), [(0, "it has no tasks".to_owned())]);
        let source = "# 1. First\n\n## Do\n\n### Type it\n\nType it.\n\n### Press it\n\n<!-- page until=sometime\nPress [it](#nothing) \
                      of {nobody}.\n\n```console\n$ cargo xtask chekc\n```\n-->\n";
        let reported = reported(source);
        let expected = [
            (5, "the task \"Type it\" has no form for the page"),
            (9, "the task \"Press it\" has no form for the terminal"),
            (11, "until=sometime is neither a goal of the stage nor a condition"),
            (12, "the page has no #nothing"),
            (12, "there is no placeholder {nobody}"),
        ];
        for (line, what) in expected {
            assert!(reported.contains(&(line, what.to_owned())), "{what} in {reported:#?}");
        }
        assert!(reported.iter().any(|(line, what)| *line == 15 && what.contains("chekc")), "{reported:#?}");
        assert_eq!(reported.len(), 6, "{reported:#?}");
    }
}

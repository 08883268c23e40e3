//! What a stage is made of: its row, its text, its variants.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use lab::{Block, STAGES, Stage, Text};
use regex_lite::Regex;

use crate::{complaint::Complaint, folder::names, order::TABLE};
use checkout::project::Project;

const DECLARED: &str = "crates/stages/src/lib.rs";
/// From a vague one to the plainest, with at least one in between.
const HINTS: usize = 3;

/// What the rows lack.
pub(super) fn rows(stages: &[Stage]) -> Vec<Complaint> {
    stages.iter().flat_map(row).collect()
}

fn row(stage: &Stage) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let text = &stage.text;
    let mut complain = |file: &str, what: String, to_do: &str| {
        complaints.push(Complaint::of_file(file, what, to_do));
    };
    let hints = text.hints().len();
    if hints < HINTS {
        let what = format!("it has {hints} hints, and a learner needs {HINTS} or more");
        complain(text.file, what, "end it with a `## Hints`, a numbered list from a vague one to the line");
    }
    if text.blocks().contains(&Block::Fix) && stage.fixed_by.is_none() {
        let what = format!("it has the code fixed, and no stage has the fix of {}", stage.name);
        complain(text.file, what, &format!("name that stage as its fixed_by in {TABLE}"));
    }
    if stage.goals.is_empty() {
        let what = format!("{} has no goals, so nothing tells whether it is reached", stage.name);
        complain(TABLE, what, "give its row the goals of a file in crates/lab/src/goals");
    }
    complaints.extend(without_commands(text));
    complaints
}

/// A text in which there is nothing to type.
pub(super) fn without_commands(text: &Text) -> Option<Complaint> {
    let is_played = |block: &Block| matches!(block, Block::Commands(commands) if !commands.is_empty());
    let to_do = "write what to type into a ```console block, each command after a `$ `";
    let complaint = || Complaint::of_file(text.file, "it has no command, so nothing plays it", to_do);
    (!text.blocks().iter().any(is_played)).then(complaint)
}

/// What of the files belongs to no row, and what of the rows has no file.
pub(super) fn files(stages: &[Stage], project: &Project) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for name in names(&project.root.join("lab"), "md")? {
        let file = format!("lab/{name}");
        let is_introduction = file == lab::WITHOUT_TEMPORAL.file;
        if !is_introduction && !stages.iter().any(|stage| stage.text.file == file) {
            let to_do = format!("give it a row in {TABLE}, or delete it");
            complaints.push(Complaint::of_file(file, "it is the text of no stage", to_do));
        }
    }
    let source = fs::read_to_string(project.root.join(DECLARED))
        .with_context(|| format!("could not read {DECLARED}"))?;
    let written: Vec<(String, String)> = stages
        .iter()
        .flat_map(|stage| stage.text.blocks())
        .filter_map(|block| match block {
            Block::Write(module, name) => Some((module, name)),
            _ => None,
        })
        .collect();
    for kind in ["workflow", "activities"] {
        let used: BTreeSet<&str> = stages
            .iter()
            .map(|stage| if kind == "workflow" { stage.workflow.name } else { stage.activities.name })
            .chain(written.iter().filter(|(module, _)| module == kind).map(|(_, name)| &**name))
            .collect();
        let folder = format!("crates/stages/src/{kind}");
        for name in names(&project.root.join(&folder), "rs")? {
            if !used.contains(name.trim_end_matches(".rs")) {
                let to_do = format!("name it in a row of {TABLE}, or delete it");
                complaints.push(Complaint::of_file(
                    format!("{folder}/{name}"),
                    "no stage runs it and no text has it written",
                    to_do,
                ));
            }
        }
        let declared = declared(&source, kind);
        for name in used.iter().filter(|&&name| !declared.contains(name)) {
            let what = format!("{kind}/{name}.rs is a stage's, and is not compiled here");
            let to_do = format!("add {name} to the list `{kind}:` of `modules!`");
            complaints.push(Complaint::of_file(DECLARED, what, to_do));
        }
    }
    Ok(complaints)
}

/// The variants of that kind that the list of `modules!` has.
fn declared<'a>(source: &'a str, kind: &str) -> BTreeSet<&'a str> {
    let Ok(list) = Regex::new(&format!(r"\b{kind}:\s*([a-z0-9_]+(?:,\s*[a-z0-9_]+)*),?\s*;")) else {
        return BTreeSet::new();
    };
    let lists = list.captures_iter(source).filter_map(|found| found.get(1));
    lists.flat_map(|list| list.as_str().split(',')).map(str::trim).collect()
}

/// The live modules that are not as they are shipped.
pub fn live_modules(project: &Project) -> Vec<Complaint> {
    let shipped = &STAGES[0];
    let live = [(lab::LIVE_WORKFLOW, &shipped.workflow), (lab::LIVE_ACTIVITIES, &shipped.activities)];
    let edited = live.into_iter().filter(|(path, variant)| {
        fs::read(project.root.join(path)).ok().as_deref() != Some(variant.source.as_bytes())
    });
    let complaint = |(path, _): (&str, _)| {
        let what = format!("it is not that of the stage {}, which a lab begins with", shipped.name);
        Complaint::of_file(path, what, format!("bring that back: cargo xtask stage {}", shipped.name))
    };
    edited.map(complaint).collect()
}

/// Whether somebody has used the lab on this checkout.
pub fn is_used(project: &Project) -> bool {
    ["stage.json", "ports.json"].iter().any(|name| Path::exists(&project.in_lab(name)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::example::stage;

    fn told(complaints: &[Complaint]) -> Vec<String> {
        complaints.iter().map(|complaint| format!("{}: {}", complaint.file, complaint.what)).collect()
    }

    #[test]
    fn a_row_without_text_hints_or_goals_is_told() {
        let rows = [stage("first", "lab/01-first.md", "# First\n\n<!-- fix -->\n")];
        let told = told(&super::rows(&rows));
        for expected in [
            "lab/01-first.md: it has no command, so nothing plays it",
            "lab/01-first.md: it has 0 hints, and a learner needs 3 or more",
            "lab/01-first.md: it has the code fixed, and no stage has the fix of first",
            "crates/lab/src/stage.rs: first has no goals, so nothing tells whether it is reached",
        ] {
            assert!(told.contains(&expected.to_owned()), "{expected} in {told:#?}");
        }
    }

    #[test]
    fn files_that_no_row_uses_and_variants_that_are_not_compiled_are_told() {
        let root = std::env::temp_dir().join(format!("xtask-tidy-{}", std::process::id()));
        let write = |file: &str, content: &str| {
            let path: PathBuf = root.join(file);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(path, content).expect("it can be written");
        };
        write(lab::WITHOUT_TEMPORAL.file, "");
        write("lab/01-first.md", "");
        write("lab/09-forgotten.md", "");
        write("crates/stages/src/workflow/jerry.rs", "");
        write("crates/stages/src/workflow/forgotten.rs", "");
        write(DECLARED, "modules! {\n    workflow: fixed,\n        jerry;\n    activities: fixed;\n}\n");
        let project = Project { lab: root.join(".lab"), root: root.clone() };
        let complaints = files(&[stage("first", "lab/01-first.md", "")], &project).expect("all can be read");
        let expected = [
            "lab/09-forgotten.md: it is the text of no stage",
            "crates/stages/src/workflow/forgotten.rs: no stage runs it and no text has it written",
            "crates/stages/src/lib.rs: activities/jerry.rs is a stage's, and is not compiled here",
        ];
        assert_eq!(told(&complaints), expected);
        fs::remove_dir_all(root).expect("it is there");
    }
}

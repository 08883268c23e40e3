//! Checks each stage's row and text, and that every text and variant belongs to a row.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use lab::{Block, Incident, Milestone, STAGES, Stage, Text};
use regex_lite::Regex;

use crate::{complaint::Complaint, folder::names, incidents, order::TABLE};
use checkout::project::Project;

const DECLARED: &str = "crates/stages/src/lib.rs";
/// The minimum number of hints: from a vague one to an exact one, with at least one in between.
const HINTS: usize = 3;

/// Checks the rows.
pub(super) fn check(stages: &[Stage]) -> Vec<Complaint> {
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
        let what = format!("it has {hints} hints; a learner needs at least {HINTS}");
        complain(
            text.file,
            what,
            "end it with `## Hints`, a numbered list from a vague hint to the exact line",
        );
    }
    if text.blocks().contains(&Block::Fix) && stage.fixed_by.is_none() {
        let what = format!("it has <!-- fix -->, but no stage is the fixed_by of {}", stage.name);
        complain(text.file, what, &format!("set fixed_by in {TABLE}"));
    }
    if text.blocks().contains(&Block::Settle) {
        let what = "it has <!-- settle -->, which is for the text of an incident".to_owned();
        complain(text.file, what, "have the learner fix the transfers themselves");
    }
    if stage.goals.is_empty() {
        let what = format!("{} has no goals", stage.name);
        complain(TABLE, what, "set the goals of its row to a list in crates/lab/src/goals");
    }
    let is_paused = stage.precondition.is_some_and(|before| before.milestone == Milestone::PausedAtDeposit);
    if stage.has_versions != is_paused {
        let what = format!("{} has only one of has_versions and the milestone PausedAtDeposit", stage.name);
        complain(TABLE, what, "the milestone of its precondition deploys version 1: set both or neither");
    }
    complaints.extend(without_commands(text));
    complaints
}

/// A text without a command to play.
pub(super) fn without_commands(text: &Text) -> Option<Complaint> {
    let is_played = |block: &Block| matches!(block, Block::Commands(commands) if !commands.is_empty());
    let to_do = "put commands into a ```console block, each after a `$ `";
    let complaint = || Complaint::of_file(text.file, "it has no command to play", to_do);
    (!text.blocks().iter().any(is_played)).then(complaint)
}

/// Files without a row, and rows without a file.
pub(super) fn files(stages: &[Stage], incidents: &[Incident], project: &Project) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for (folder, table, kind) in [("lab", TABLE, "stage"), (incidents::TEXTS, incidents::TABLE, "incident")] {
        for name in names(&project.root.join(folder), "md")? {
            let file = format!("{folder}/{name}");
            let is_introduction = file == lab::WITHOUT_TEMPORAL.file;
            if !is_introduction && !rows(stages, incidents).any(|row| row.text.file == file) {
                let to_do = format!("add a row in {table}, or delete it");
                complaints.push(Complaint::of_file(file, format!("no {kind} has this text"), to_do));
            }
        }
    }
    let source = fs::read_to_string(project.root.join(DECLARED))
        .with_context(|| format!("could not read {DECLARED}"))?;
    let written: Vec<(String, String)> = rows(stages, incidents)
        .flat_map(|row| row.text.blocks())
        .filter_map(|block| match block {
            Block::Write(module, name) => Some((module, name)),
            _ => None,
        })
        .collect();
    for kind in ["workflow", "activities"] {
        let fixes = rows(stages, incidents).filter_map(|row| lab::stage(row.fixed_by?));
        let used: BTreeSet<&str> = rows(stages, incidents)
            .chain(fixes)
            .map(|row| if kind == "workflow" { row.workflow.name } else { row.activities.name })
            .chain(written.iter().filter(|(module, _)| module == kind).map(|(_, name)| &**name))
            .collect();
        let folder = format!("crates/stages/src/{kind}");
        for name in names(&project.root.join(&folder), "rs")? {
            if !used.contains(name.trim_end_matches(".rs")) {
                let to_do = format!("use it in a row of {TABLE} or {}, or delete it", incidents::TABLE);
                let file = format!("{folder}/{name}");
                complaints.push(Complaint::of_file(
                    file,
                    "no stage or incident uses it, and no text has the learner write it",
                    to_do,
                ));
            }
        }
        let declared = declared(&source, kind);
        for name in used.iter().filter(|&&name| !declared.contains(name)) {
            let what = format!("{kind}/{name}.rs belongs to a stage or incident, but is not compiled");
            let to_do = format!("add {name} to the list `{kind}:` of `modules!`");
            complaints.push(Complaint::of_file(DECLARED, what, to_do));
        }
    }
    Ok(complaints)
}

/// The rows of both tables.
fn rows<'a>(stages: &'a [Stage], incidents: &'a [Incident]) -> impl Iterator<Item = &'a Stage> {
    stages.iter().chain(incidents.iter().map(|incident| &incident.stage))
}

/// The variants of this kind in the list of `modules!`.
fn declared<'a>(source: &'a str, kind: &str) -> BTreeSet<&'a str> {
    let Ok(list) = Regex::new(&format!(r"\b{kind}:\s*([a-z0-9_]+(?:,\s*[a-z0-9_]+)*),?\s*;")) else {
        return BTreeSet::new();
    };
    let lists = list.captures_iter(source).filter_map(|found| found.get(1));
    lists.flat_map(|list| list.as_str().split(',')).map(str::trim).collect()
}

/// The live modules that differ from the shipped ones.
pub fn live_modules(project: &Project) -> Vec<Complaint> {
    let shipped = &STAGES[0];
    let live = [(lab::LIVE_WORKFLOW, &shipped.workflow), (lab::LIVE_ACTIVITIES, &shipped.activities)];
    let edited = live.into_iter().filter(|(path, variant)| {
        fs::read(project.root.join(path)).ok().as_deref() != Some(variant.source.as_bytes())
    });
    let complaint = |(path, _): (&str, _)| {
        let what = format!("it differs from the stage {}, the first one", shipped.name);
        Complaint::of_file(path, what, format!("type: cargo xtask stage {}", shipped.name))
    };
    edited.map(complaint).collect()
}

/// Whether a lab has been used in this checkout.
pub fn is_used(project: &Project) -> bool {
    ["stage.json", "ports.json"].iter().any(|name| Path::exists(&project.in_lab(name)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::example::{incident, stage};

    fn reported(complaints: &[Complaint]) -> Vec<String> {
        complaints.iter().map(|complaint| format!("{}: {}", complaint.file, complaint.what)).collect()
    }

    #[test]
    fn a_row_without_text_hints_or_goals_is_reported() {
        let rows = [stage("first", "lab/01-first.md", "# First\n\n<!-- fix -->\n")];
        let reported = reported(&super::check(&rows));
        for expected in [
            "lab/01-first.md: it has no command to play",
            "lab/01-first.md: it has 0 hints; a learner needs at least 3",
            "lab/01-first.md: it has <!-- fix -->, but no stage is the fixed_by of first",
            "crates/lab/src/stage.rs: first has no goals",
        ] {
            assert!(reported.contains(&expected.to_owned()), "{expected} in {reported:#?}");
        }
    }

    #[test]
    fn versions_without_the_milestone_that_deploys_the_first_are_reported() {
        let mut one = stage("first", "lab/01-first.md", "");
        let are_reported = |one: &Stage| reported(&row(one)).iter().any(|what| what.contains("has_versions"));
        assert!(!are_reported(&one));
        one.has_versions = true;
        assert!(are_reported(&one));
        let milestone = Milestone::PausedAtDeposit;
        one.precondition = Some(lab::Precondition { stage: "other", transfers: 1, milestone });
        assert!(!are_reported(&one));
        one.has_versions = false;
        assert!(are_reported(&one));
    }

    #[test]
    fn unused_files_and_variants_that_are_not_compiled_are_reported() {
        let root = std::env::temp_dir().join(format!("xtask-tidy-{}", std::process::id()));
        let write = |file: &str, content: &str| {
            let path: PathBuf = root.join(file);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(path, content).expect("it can be written");
        };
        write(lab::WITHOUT_TEMPORAL.file, "");
        write("lab/01-first.md", "");
        write("lab/09-forgotten.md", "");
        write("lab/drills/broken.md", "");
        write("lab/drills/forgotten.md", "");
        write("crates/stages/src/workflow/jerry.rs", "");
        write("crates/stages/src/workflow/forgotten.rs", "");
        write("crates/stages/src/workflow/fixed.rs", "");
        write(DECLARED, "modules! {\n    workflow: fixed,\n        jerry;\n    activities: fixed;\n}\n");
        let project = Project { lab: root.join(".lab"), root: root.clone() };
        let mut broken = incident("broken", "");
        broken.stage.workflow = lab::Variant { name: "fixed", source: "" };
        let complaints =
            files(&[stage("first", "lab/01-first.md", "")], &[broken], &project).expect("all can be read");
        let expected = [
            "lab/09-forgotten.md: no stage has this text",
            "lab/drills/forgotten.md: no incident has this text",
            "crates/stages/src/workflow/forgotten.rs: no stage or incident uses it, and no text has the learner write it",
            "crates/stages/src/lib.rs: activities/jerry.rs belongs to a stage or incident, but is not compiled",
        ];
        assert_eq!(reported(&complaints), expected);
        fs::remove_dir_all(root).expect("it is there");
    }
}

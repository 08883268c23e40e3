//! Checks the order of the stages outside the table: the numbers in the texts' file names and headings, and the next stage at the end
//! of each text. Texts and goals refer to stages by name, which stays right when a stage is added.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use lab::Stage;
use regex_lite::Regex;

use crate::{complaint::Complaint, folder::names, markdown::Markdown};

/// The file with the table.
pub(super) const TABLE: &str = "crates/lab/src/stage.rs";
/// The folders whose sources may mention the text of a stage.
const SOURCES: [&str; 2] = ["crates/lab/src", "crates/lab/src/goals"];

/// The file name of a stage's text, by its index in the table.
pub(super) fn file(at: usize, stage: &Stage) -> String {
    format!("lab/{:02}-{}.md", at + 1, stage.name)
}

/// The texts whose file name, heading or next stage differs from the table.
pub(super) fn rows(stages: &[Stage]) -> Vec<Complaint> {
    stages.iter().enumerate().flat_map(|(at, stage)| row(at, stage, stages.get(at + 1))).collect()
}

fn row(at: usize, stage: &Stage, next: Option<&Stage>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let (is, number) = (stage.text.file, at + 1);
    let file = file(at, stage);
    if is != file {
        let what = format!("it is the text of {}, which is number {number} in {TABLE}", stage.name);
        let row = file.trim_start_matches("lab/");
        let to_do = format!("type: git mv {is} {file}, and in the row of {}: text!(\"{row}\")", stage.name);
        complaints.push(Complaint::of_file(is, what, to_do));
    }
    let text = Markdown::new(is.to_owned(), stage.text.source.to_owned());
    let heading = text.lines().find(|line| line.block.is_none() && line.text.starts_with("# "));
    match heading {
        None => {
            let to_do = format!("start it with # {number}. and the title");
            complaints.push(Complaint::at(is, 1, "it has no heading", to_do));
        }
        Some(line) if !line.text.starts_with(&format!("# {number}. ")) => {
            let words = line.text.trim_start_matches("# ");
            let title = words.split_once(". ").filter(|(begin, _)| begin.parse::<u32>().is_ok());
            let what = format!("the number in its heading should be that of {}, {number}", stage.name);
            let to_do = format!("write: # {number}. {}", title.map_or(words, |(_, title)| title));
            complaints.push(Complaint::at(is, line.number, what, to_do));
        }
        Some(_) => {}
    }
    let end = match next {
        Some(next) => format!("all reached; the next stage: cargo xtask stage {}", next.name),
        None => "all reached; that was the last stage".to_owned(),
    };
    let ends = ["all reached; the next stage: ", "all reached; that was the last stage"];
    for line in text.lines().filter(|line| ends.iter().any(|begin| line.text.starts_with(begin))) {
        if line.text.trim_end() != end {
            let what = format!("it names the wrong stage after {}", stage.name);
            complaints.push(Complaint::at(is, line.number, what, format!("write: {end}")));
        }
    }
    complaints
}

/// The lines of texts that refer to a stage by number, or to a stage's text with a wrong number.
pub(super) fn texts(stages: &[Stage], texts: &[Markdown]) -> Result<Vec<Complaint>> {
    let numbered = Regex::new(r"(?i)\bstages?\s+[0-9]")?;
    let mut complaints = Vec::new();
    for text in texts {
        // The authors' guide adds a stage after all others.
        let added = text.lines().filter(|line| line.block == Some("rust"));
        let added = added.filter_map(|line| line.text.trim().strip_prefix("name: \"")?.strip_suffix("\","));
        let added: Vec<&str> = added.collect();
        let mut begun: Option<(usize, String)> = None;
        for line in text.lines() {
            complaints.extend(misnumbered(stages, &added, &text.file, line.number, line.text)?);
            if line.block.is_some() {
                continue;
            }
            // The number may be on the next line, unless it starts a list item.
            let item = line
                .text
                .trim_start()
                .split_once(". ")
                .is_some_and(|(begin, _)| begin.parse::<u32>().is_ok());
            let before = begun.take().filter(|(number, _)| number + 1 == line.number && !item);
            let prose = format!("{} {}", before.map_or(String::new(), |(_, word)| word), line.text.trim());
            if numbered.is_match(&prose) {
                let to_do = "use its name, because its number changes when a stage is added";
                complaints.push(Complaint::at(
                    &text.file,
                    line.number,
                    "it refers to a stage by number",
                    to_do,
                ));
            }
            begun = prose.rsplit(' ').next().map(|word| (line.number, word.to_owned()));
        }
    }
    Ok(complaints)
}

/// The lines of sources that refer to a stage's text with a wrong number.
pub(super) fn sources(stages: &[Stage], root: &Path) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for folder in SOURCES {
        for name in names(&root.join(folder), "rs")? {
            let file = format!("{folder}/{name}");
            let source =
                fs::read_to_string(root.join(&file)).with_context(|| format!("could not read {file}"))?;
            // A row's own text is reported with its file.
            for (at, line) in source.lines().enumerate().filter(|(_, line)| !line.contains("text!(")) {
                complaints.extend(misnumbered(stages, &[], &file, at + 1, line)?);
            }
        }
    }
    Ok(complaints)
}

/// The wrong names of stages' texts in a line; stages that the file adds come after all others.
fn misnumbered(
    stages: &[Stage],
    added: &[&str],
    file: &str,
    number: usize,
    line: &str,
) -> Result<Vec<Complaint>> {
    let names = Regex::new(r"\b[0-9][0-9]-([a-z0-9-]+)\.md\b")?;
    let wrong = names.captures_iter(line).filter_map(|found| {
        let at = stages.iter().position(|stage| stage.name == &found[1]);
        let at = at.or_else(|| added.contains(&&found[1]).then_some(stages.len()))?;
        let name = format!("{:02}-{}.md", at + 1, &found[1]);
        let what = format!("it names {}, the text of a stage that is number {}", &found[0], at + 1);
        (name != found[0]).then(|| Complaint::at(file, number, what, format!("write: {name}")))
    });
    Ok(wrong.collect())
}

#[cfg(test)]
mod tests {
    use lab::STAGES;

    use super::*;
    use crate::{example::stage, readme};

    const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    const NEW: &str = "jerry-renames";

    fn reported(complaints: &[Complaint]) -> Vec<String> {
        complaints.iter().map(Complaint::to_string).collect()
    }

    /// Read at run time, because the file is missing where only programs are built.
    fn shipped_readme() -> String {
        fs::read_to_string(Path::new(PROJECT).join("README.md")).expect("the project has a README")
    }

    fn leaked(text: String) -> &'static str {
        Box::leak(text.into_boxed_str())
    }

    /// An index with stages before and after it.
    fn middle() -> usize {
        STAGES.iter().position(|stage| stage.name == "version-workflow").expect("there is such a stage")
    }

    /// The shipped table with a stage between two others.
    fn with_one_in_the_middle(at: usize) -> Vec<Stage> {
        let mut stages: Vec<Stage> =
            STAGES.iter().map(|row| stage(row.name, row.text.file, row.text.source)).collect();
        let next = format!("all reached; the next stage: cargo xtask stage {}", stages[at].name);
        let source = format!("# {}. Renamed\n\n```console\n$ cargo xtask check\n{next}\n```\n", at + 1);
        stages.insert(at, stage(NEW, leaked(format!("lab/{:02}-{NEW}.md", at + 1)), leaked(source)));
        stages
    }

    fn all(stages: &[Stage], readme: &str) -> Vec<Complaint> {
        let readme = [Markdown::new("README.md".to_owned(), readme.to_owned())];
        let mut complaints = rows(stages);
        complaints.extend(texts(stages, &readme).expect("the expressions are right"));
        complaints.extend(readme::stages(stages, &readme));
        complaints
    }

    #[test]
    fn everything_that_a_stage_in_the_middle_changes_is_reported() {
        let at = middle();
        let stages = with_one_in_the_middle(at);
        let mut complaints = all(&stages, &shipped_readme());
        complaints.extend(sources(&stages, Path::new(PROJECT)).expect("they can be read"));
        let reported = reported(&complaints);
        for (number, row) in (at + 2..).zip(&STAGES[at..]) {
            let (old, name) = (row.text.file, row.name);
            let new = format!("{number:02}-{name}.md");
            let title = row
                .text
                .source
                .lines()
                .next()
                .and_then(|line| line.split_once(". "))
                .expect("it is numbered")
                .1;
            for expected in [
                format!(
                    "{old}: it is the text of {name}, which is number {number} in {TABLE}; \
                     type: git mv {old} lab/{new}, and in the row of {name}: text!(\"{new}\")"
                ),
                format!(
                    "{old}:1: the number in its heading should be that of {name}, {number}; write: # {number}. {title}"
                ),
                format!("the text of a stage that is number {number}; write: {new}"),
            ] {
                assert!(reported.iter().any(|line| line.contains(&expected)), "{expected} in {reported:#?}");
            }
        }
        let before = &STAGES[at - 1];
        for expected in [
            format!("{}:", before.text.file),
            format!("write: all reached; the next stage: cargo xtask stage {NEW}"),
            format!("its table of stages lacks {NEW}; add after the row of {}: ", before.name),
            format!("{TABLE}:"),
        ] {
            assert!(reported.iter().any(|line| line.contains(&expected)), "{expected} in {reported:#?}");
        }
        assert!(
            STAGES[..at - 1].iter().all(|row| !reported.iter().any(|line| line.starts_with(row.text.file))),
            "{reported:#?}"
        );
    }

    #[test]
    fn following_the_reports_adds_a_stage_in_the_middle() {
        let at = middle();
        let mut stages = with_one_in_the_middle(at);
        let mut readme = shipped_readme();
        for (place, row) in stages.iter_mut().enumerate() {
            let (old, new) = (row.text.file, file(place, row));
            let source = row.text.source.replacen(&format!("# {place}. "), &format!("# {}. ", place + 1), 1);
            readme = readme.replace(old, &new);
            row.text.file = leaked(new);
            row.text.source = leaked(source);
        }
        let (end, end_now) = (
            format!("next stage: cargo xtask stage {}", STAGES[at].name),
            format!("next stage: cargo xtask stage {NEW}"),
        );
        stages[at - 1].text.source = leaked(stages[at - 1].text.source.replace(&end, &end_now));
        let row = format!("| [`{}`](", STAGES[at].name);
        readme = readme.replace(&row, &format!("| [`{NEW}`](lab/{:02}-{NEW}.md) | more |\n{row}", at + 1));
        assert_eq!(reported(&all(&stages, &readme)), [""; 0]);
    }

    #[test]
    fn a_wrong_number_in_a_file_name_or_a_heading_is_reported() {
        let rows = [
            stage("first", "lab/01-first.md", "# First\n"),
            stage("b", "lab/1-b.md", "# 3. B\n\nall reached; the next stage: cargo xtask stage first\n"),
            stage("c", "lab/03-c.md", ""),
        ];
        let expected = [
            "lab/01-first.md:1: the number in its heading should be that of first, 1; write: # 1. First",
            "lab/1-b.md: it is the text of b, which is number 2 in crates/lab/src/stage.rs; \
             type: git mv lab/1-b.md lab/02-b.md, and in the row of b: text!(\"02-b.md\")",
            "lab/1-b.md:1: the number in its heading should be that of b, 2; write: # 2. B",
            "lab/1-b.md:3: it names the wrong stage after b; write: all reached; the next stage: cargo xtask stage c",
            "lab/03-c.md:1: it has no heading; start it with # 3. and the title",
        ];
        assert_eq!(reported(&super::rows(&rows)), expected);
    }

    #[test]
    fn a_text_that_refers_to_a_stage_by_number_is_reported() {
        let text = "You will see, in stage 6, why.\n\nMore of it in\nStage\n2, and stages 3 to 5.\n\nFor each stage\n\
                    1. one\n2. two\n\n```sh\n# stage 4\n```\nSee 02-first.md, and 09-other.md.\n\
                    ```rust\n    name: \"other\",\n```\n";
        let texts = [Markdown::new("docs/a.md".to_owned(), text.to_owned())];
        let rows = [stage("first", "lab/01-first.md", "")];
        let complaints = super::texts(&rows, &texts).expect("the expressions are right");
        let lines: Vec<_> = complaints.iter().map(|complaint| complaint.line.unwrap_or_default()).collect();
        assert_eq!(lines, [1, 5, 14, 14], "{complaints:#?}");
        assert!(complaints[2].to_string().ends_with("write: 01-first.md"), "{complaints:#?}");
        assert!(complaints[3].to_string().ends_with("write: 02-other.md"), "{complaints:#?}");
    }
}

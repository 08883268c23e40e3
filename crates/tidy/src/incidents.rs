//! Checks each incident's row and text.

use lab::{Block, Incident, blocks, sections};

use crate::complaint::Complaint;

/// The file with the table.
pub(super) const TABLE: &str = "crates/lab/src/incident.rs";
/// The folder of the texts.
pub(super) const TEXTS: &str = "lab/drills";
/// The sections of a text, in their order. What is before the last one is read before the incident is resolved.
const SECTIONS: [&str; 3] = ["Ticket", "Hints", "Explanation"];
/// The number of hints: from where to look first to the exact line.
const HINTS: usize = 4;
/// How many lines a ticket may have.
const TICKET_LINES: std::ops::RangeInclusive<usize> = 3..=6;

/// Checks the rows.
pub(super) fn check(incidents: &[Incident]) -> Vec<Complaint> {
    incidents.iter().flat_map(row).collect()
}

fn row(incident: &Incident) -> Vec<Complaint> {
    let stage = &incident.stage;
    let (name, text) = (stage.name, &stage.text);
    let mut complaints = Vec::new();
    let mut complain = |file: &str, what: String, to_do: &str| {
        complaints.push(Complaint::of_file(file, what, to_do));
    };
    if stage.fixed_by.and_then(lab::stage).is_none() {
        let what = format!("no stage or incident is the fixed_by of {name}");
        complain(TABLE, what, "set fixed_by to the name of the one whose code is the fix");
    }
    let is_settings =
        |json: &str| serde_json::from_str(json).is_ok_and(|json: serde_json::Value| json.is_object());
    if incident.bank.is_some_and(|bank| !is_settings(bank)) {
        let what = format!("the bank of {name} is not a JSON object");
        complain(TABLE, what, "write it as the body of PUT /real-world-mode");
    }
    let title = stage.title();
    if title == name || title.is_empty() {
        complain(text.file, "it has no heading".to_owned(), "start it with # and the symptom");
    }
    let (before, sections) = sections(text.source);
    let titles: Vec<&str> = sections.iter().map(|(title, _)| *title).collect();
    if !before.is_empty() || titles != SECTIONS {
        let what = format!("its sections are not {}", SECTIONS.join(", "));
        complain(text.file, what, "put everything in these sections, in this order");
    }
    let section =
        |title: &str| sections.iter().find(|(known, _)| *known == title).map_or("", |(_, body)| *body);
    let lines = section(SECTIONS[0]).lines().filter(|line| !line.trim().is_empty()).count();
    if !TICKET_LINES.contains(&lines) {
        let (least, most) = TICKET_LINES.into_inner();
        let what = format!("its ticket has {lines} lines, and needs {least} to {most}");
        complain(text.file, what, "write what support heard from customers: the symptoms, and no cause");
    }
    let hints = text.hints().len();
    if hints != HINTS {
        let what = format!("it has {hints} hints, and needs {HINTS}");
        complain(text.file, what, "number them, from where to look first to the exact line");
    }
    let explained = blocks(section(SECTIONS[2]));
    if explained.len() != text.blocks().len() {
        let what = "commands or a fix are outside its explanation".to_owned();
        complain(text.file, what, "move them there: only the explanation is played");
    }
    let changes_code = |block: &Block| matches!(block, Block::Fix | Block::Write(..));
    if !explained.iter().any(changes_code) {
        let what = "its explanation does not say where to fix the code".to_owned();
        complain(text.file, what, "mark it with <!-- fix -->");
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::incident;

    const TEXT: &str = "# It is late\n\n## Ticket\n\nOne.\nTwo.\nThree.\n\n## Hints\n\n1. a\n2. b\n3. c\n4. d\n\n\
                        ## Explanation\n\n```console\n$ cargo xtask lab status\n```\n\n<!-- fix -->\n";

    fn reported(incident: &Incident) -> Vec<String> {
        row(incident).iter().map(|complaint| format!("{}: {}", complaint.file, complaint.what)).collect()
    }

    #[test]
    fn a_complete_row_is_accepted() {
        assert_eq!(reported(&incident("late", TEXT)), [""; 0]);
    }

    #[test]
    fn a_row_that_lacks_something_is_reported() {
        let mut broken = incident("late", "## Hints\n\n1. a\n\n## Ticket\n\n```console\n```\n");
        (broken.stage.fixed_by, broken.bank) = (Some("nobody"), Some("error_rate: 1"));
        let expected = [
            "crates/lab/src/incident.rs: no stage or incident is the fixed_by of late",
            "crates/lab/src/incident.rs: the bank of late is not a JSON object",
            "lab/drills/late.md: it has no heading",
            "lab/drills/late.md: its sections are not Ticket, Hints, Explanation",
            "lab/drills/late.md: its ticket has 2 lines, and needs 3 to 6",
            "lab/drills/late.md: it has 1 hints, and needs 4",
            "lab/drills/late.md: commands or a fix are outside its explanation",
            "lab/drills/late.md: its explanation does not say where to fix the code",
        ];
        assert_eq!(reported(&broken), expected);
    }

    #[test]
    fn the_seeds_for_instructors_choose_these_incidents() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/instructor/drills.md");
        let page = std::fs::read_to_string(page).expect("the page is there");
        for Incident { stage, .. } in lab::INCIDENTS {
            let row = page.lines().find_map(|line| line.strip_prefix(&format!("| `{}` | ", stage.name)));
            let seed = row.and_then(|rest| rest.split_once(" | ")?.0.parse().ok());
            let is_chosen = |seed: &u64| lab::incident_of(*seed).stage.name == stage.name;
            let first = (1..).find(is_chosen).unwrap_or_default();
            assert!(seed.as_ref().is_some_and(is_chosen), "write in the row of {}: {first}", stage.name);
        }
    }

    #[test]
    fn what_the_learner_reads_first_has_no_commands_to_play() {
        let text = TEXT.replace("Three.", "Three.\n<!-- fix -->").leak();
        assert_eq!(
            reported(&incident("late", text)),
            ["lab/drills/late.md: commands or a fix are outside its explanation"]
        );
    }
}

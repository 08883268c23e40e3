//! Checks the README's tables of commands and stages.

use clap::Command;
use lab::Stage;
use regex_lite::Regex;

use crate::{commands, complaint::Complaint, markdown::Markdown, order};

const FILE: &str = "README.md";

/// The first cell of a row, and its line.
struct Row<'a> {
    line: usize,
    cell: &'a str,
}

/// The table with this first column: its header's line, and its rows.
fn table<'a>(texts: &'a [Markdown], column: &str) -> Option<(Row<'a>, Vec<Row<'a>>)> {
    let readme = texts.iter().find(|text| text.file == FILE)?;
    let mut rows = readme.lines().filter(|line| line.block.is_none()).map(|line| {
        let cells = line.text.strip_prefix('|')?.split('|');
        Some(Row { line: line.number, cell: cells.map(str::trim).next()? })
    });
    let heading = rows.by_ref().flatten().find(|row| row.cell == column)?;
    // A row of dashes follows the header.
    Some((heading, rows.map_while(|row| row).skip(1).collect()))
}

fn no_table(of: &str, column: &str) -> Vec<Complaint> {
    let to_do = format!("write one: | {column} | … |");
    vec![Complaint::of_file(FILE, format!("it has no table of {of}"), to_do)]
}

/// The commands missing in its table, and rows with invalid commands.
pub(super) fn commands(texts: &[Markdown], command_line: &Command) -> Vec<Complaint> {
    let Some((heading, rows)) = table(texts, "command") else { return no_table("commands", "command") };
    let spans: Vec<(usize, &str)> = rows
        .iter()
        .flat_map(|row| row.cell.split('`').skip(1).step_by(2).map(|span| (row.line, span)))
        .collect();
    let mut complaints = Vec::new();
    for &(line, span) in &spans {
        if let Some(wrong) = commands::wrong_with_spoken(command_line, span) {
            let what = format!("its table of commands has `{span}`, which does not work: {wrong}");
            complaints.push(Complaint::at(FILE, line, what, "fix or delete the row; see cargo xtask --help"));
        }
    }
    let is_listed = |name: &str| spans.iter().any(|(_, span)| span.split(' ').next() == Some(name));
    let shown = command_line.get_subcommands().filter(|command| !command.is_hide_set());
    for command in shown.filter(|command| command.get_name() != "help" && !is_listed(command.get_name())) {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let what = format!("its table of commands lacks {name}");
        complaints.push(Complaint::at(
            FILE,
            heading.line,
            what,
            format!("add a row: | `{name}` | {about} |"),
        ));
    }
    complaints
}

/// The rows of its table of stages that are missing, unknown, or in the wrong order.
pub(super) fn stages(stages: &[Stage], texts: &[Markdown]) -> Vec<Complaint> {
    let Some((heading, rows)) = table(texts, "stage") else { return no_table("stages", "stage") };
    let mut complaints = Vec::new();
    let mut complain = |line, what, to_do| complaints.push(Complaint::at(FILE, line, what, to_do));
    // The index of each row's stage in the table of stages.
    let mut places: Vec<usize> = Vec::new();
    let link = Regex::new(r"^\[`([^`]*)`\]\(([^)]*)\)$").ok();
    for row in &rows {
        let found = link.as_ref().and_then(|link| link.captures(row.cell));
        let Some((found, at)) = found.and_then(|found| {
            let at = stages.iter().position(|stage| stage.name == &found[1])?;
            Some((found, at))
        }) else {
            let what = format!("its table of stages has {}, which is not a stage", row.cell);
            complain(row.line, what, "delete the row, or write a stage as [`NAME`](FILE)".to_owned());
            continue;
        };
        let (name, file) = (stages[at].name, order::file(at, &stages[at]));
        // The rule of the order reports a link with only a wrong number.
        if found[2] != file && !found[2].ends_with(&format!("-{name}.md")) {
            let what = format!("the link of {name} leads to {}", &found[2]);
            complain(row.line, what, format!("write: [`{name}`]({file})"));
        }
        if places.contains(&at) {
            complain(row.line, format!("its table of stages has {name} twice"), "delete the row".to_owned());
        } else if let Some(&before) = places.last().filter(|&&before| before > at) {
            let what = format!("{name} must come before {}", stages[before].name);
            complain(row.line, what, format!("move the row, as in {}", order::TABLE));
        }
        places.push(at);
    }
    for (at, stage) in stages.iter().enumerate().filter(|(at, _)| !places.contains(at)) {
        let after = match at.checked_sub(1) {
            Some(before) => format!("add after the row of {}", stages[before].name),
            None => "add as the first row".to_owned(),
        };
        let row = format!("| [`{}`]({}) | {} |", stage.name, order::file(at, stage), stage.title());
        complain(
            heading.line,
            format!("its table of stages lacks {}", stage.name),
            format!("{after}: {row}"),
        );
    }
    complaints
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;
    use crate::example::stage;

    fn readme(text: &str) -> [Markdown; 1] {
        [Markdown::new(FILE.to_owned(), text.to_owned())]
    }

    fn reported(complaints: &[Complaint]) -> Vec<String> {
        complaints.iter().map(Complaint::to_string).collect()
    }

    #[test]
    fn the_table_of_commands_is_compared_with_the_program() {
        let command_line = Command::new("cargo xtask")
            .subcommand(Command::new("lab").subcommand(Command::new("start")).subcommand_required(true))
            .subcommand(Command::new("check").about("Says how far you are"))
            .subcommand(Command::new("hint").arg(Arg::new("of").required(true)))
            .subcommand(Command::new("secret").hide(true));
        let text = "| command | what it does |\n| --- | --- |\n| `lab start`, `lab stop` | starts |\n\
                    | `hint NAME` | `none` |\n| `greet` | greets |\n\n| `other` | table |\n";
        let reported = reported(&commands(&readme(text), &command_line));
        let expected = [
            "README.md:3: its table of commands has `lab stop`, which does not work: ",
            "README.md:5: its table of commands has `greet`, which does not work: ",
            "README.md:1: its table of commands lacks check; add a row: | `check` | Says how far you are |",
        ];
        assert_eq!(reported.len(), expected.len(), "{reported:#?}");
        for (line, expected) in reported.iter().zip(expected) {
            assert!(line.starts_with(expected), "{expected} in {reported:#?}");
        }
        assert_eq!(commands(&readme("# No table\n"), &command_line).len(), 1);
    }

    #[test]
    fn the_table_of_stages_is_compared_with_the_stages() {
        let rows = ["a", "b", "c", "d"].map(|name| stage(name, "", ""));
        let text = "| stage | what happens |\n| --- | --- |\n| [`b`](lab/02-b.md) | |\n| [`a`](lab/01-b.md) | |\n\
                    | [`c`](lab/03-c.md) | |\n| [`c`](lab/03-c.md) | |\n| [`e`](lab/04-e.md) | |\n";
        let expected = [
            "README.md:4: the link of a leads to lab/01-b.md; write: [`a`](lab/01-a.md)",
            "README.md:4: a must come before b; move the row, as in crates/lab/src/stage.rs",
            "README.md:6: its table of stages has c twice; delete the row",
            "README.md:7: its table of stages has [`e`](lab/04-e.md), which is not a stage; \
             delete the row, or write a stage as [`NAME`](FILE)",
            "README.md:1: its table of stages lacks d; add after the row of c: | [`d`](lab/04-d.md) | d |",
        ];
        assert_eq!(reported(&stages(&rows, &readme(text))), expected);
    }
}

//! The commands in a text: each has to be one.
//!
//! Looked at are the lines after `$ ` of a `console` block, every `cargo xtask` in an `sh` block, and spans of
//! code that begin with `cargo xtask`.

use clap::{
    Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Complaint, markdown::Markdown};
use rehearsal::play::Typed;

const XTASK: &str = "cargo xtask";
/// Where a command of a shell ends.
const SHELL_ENDS: [&str; 6] = ["|", "||", "&", "&&", ";", ">"];

/// The commands of this file that are none.
pub(super) fn check(text: &Markdown, command_line: &Command) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |line: usize, typed: &str, wrong: Option<String>| {
        if let Some(wrong) = wrong {
            let what = format!("`{typed}` does not work: {wrong}");
            complaints.push(Complaint::at(
                &text.file,
                line,
                what,
                "fix it, or see what there is: cargo xtask --help",
            ));
        }
    };
    for (line, span) in text.spans() {
        let words = span.strip_prefix(XTASK).filter(|rest| rest.starts_with(' '));
        // As in a list of all commands: what is left out or in brackets is no word to type.
        if let Some(words) = words.filter(|words| !words.contains('…')) {
            complain(line, &span, wrong_with(Some(text), command_line, words, Where::Span));
        }
    }
    // The parts of a command that goes on after a backslash.
    let mut begun: Option<(usize, String)> = None;
    for line in text.lines() {
        let Some(block @ ("console" | "sh")) = line.block else { continue };
        let (number, typed) = match (begun.take(), block) {
            (Some((number, begin)), _) => (number, begin + line.text.trim_start()),
            (None, "sh") => (line.number, line.text.to_owned()),
            (None, _) => match line.text.strip_prefix("$ ") {
                Some(typed) => (line.number, typed.to_owned()),
                None => continue,
            },
        };
        if let Some(begin) = typed.strip_suffix('\\') {
            begun = Some((number, begin.to_owned()));
            continue;
        }
        if let Some((_, words)) = typed.split_once(XTASK) {
            complain(number, typed.trim(), wrong_with(Some(text), command_line, words, Where::Block));
        }
        // A text of a stage is followed by programs, without a shell.
        if block == "console" && text.file.starts_with("lab/") {
            let followed = Typed::parse(&typed).and_then(|typed| typed.check());
            complain(number, typed.trim(), followed.err().map(|error| format!("{error:#}")));
        }
    }
    complaints
}

/// What is wrong with this span, a command without the `cargo xtask` before it, if anything is.
pub(super) fn wrong_with_span(span: &str, command_line: &Command) -> Option<String> {
    wrong_with(None, command_line, span, Where::Span)
}

/// Where a command stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// To be typed.
    Block,
    /// Spoken of, maybe without all of its words.
    Span,
}

/// What is wrong with these words of a `cargo xtask`, if anything is.
fn wrong_with(text: Option<&Markdown>, command_line: &Command, words: &str, place: Where) -> Option<String> {
    let Some(words) = shlex::split(words) else { return Some("a quote in it is not closed".to_owned()) };
    let words = words
        .iter()
        .take_while(|word| !SHELL_ENDS.contains(&word.as_str()))
        .map(|word| word.trim_matches(['[', ']']).trim_end_matches(';'))
        .map(|word| if is_placeholder(word) { stand_in(word) } else { word })
        .filter(|word| !word.is_empty());
    match command_line.clone().try_get_matches_from([XTASK].into_iter().chain(words)) {
        Ok(_) => None,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp => None,
            ErrorKind::InvalidValue if text.is_some_and(|text| adds_stage(text, &error)) => None,
            ErrorKind::InvalidSubcommand if text.is_some_and(|text| adds_command(text, &error)) => None,
            // A group of commands, or a command without what it needs: that can be spoken of.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
                if place == Where::Span =>
            {
                None
            }
            _ => {
                let text = error.render().to_string();
                let line = text.lines().next().unwrap_or_default();
                Some(line.trim_start_matches("error: ").to_owned())
            }
        },
    }
}

/// Whether the text itself adds the stage that it names, as the authors' guide does.
fn adds_stage(text: &Markdown, error: &Error) -> bool {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidValue) else { return false };
    let row = format!("name: \"{name}\",");
    text.lines().any(|line| line.block == Some("rust") && line.text.trim() == row)
}

/// Whether the text itself adds the command that it names.
fn adds_command(text: &Markdown, error: &Error) -> bool {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return false };
    let call = format!("Command::new(\"{name}\")");
    text.lines().any(|line| line.block == Some("rust") && line.text.trim() == call)
}

/// Such as `NAME`: a reader types something else there.
fn is_placeholder(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// Something that could be typed there.
fn stand_in(placeholder: &str) -> &'static str {
    match placeholder {
        "NAME" | "STAGE" => lab::STAGES[0].name,
        "FROM" => "account_A",
        "TO" => "account_B",
        _ => "1",
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn complaints(file: &str, text: &str) -> Vec<(usize, String)> {
        let word = |name: &'static str| Arg::new(name).required(true);
        let command_line = Command::new(XTASK)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Command::new("lab")
                    .subcommand_required(true)
                    .arg_required_else_help(true)
                    .subcommand(Command::new("start")),
            )
            .subcommand(Command::new("stage").arg(Arg::new("name").value_parser(["jerry", "fix-workflow"])))
            .subcommand(Command::new("transfer").args(["from", "to", "amount"].map(word)));
        let told = check(&Markdown::new(file.to_owned(), text.to_owned()), &command_line);
        told.into_iter().map(|complaint| (complaint.line.unwrap_or_default(), complaint.what)).collect()
    }

    #[test]
    fn what_works_is_left_alone() {
        let text = "All are `cargo xtask …`: `cargo xtask stage NAME`, `cargo xtask transfer FROM TO AMOUNT`, `cargo\n\
                    xtask lab`, `cargo xtask stage [NAME]`, `cargo xtask transfer`, `cargo build`.\n\
                    ```sh\nnix develop --command cargo xtask lab start   # here\ncargo xtask stage jerry && x\n```\n\
                    ```console\n$ cargo xtask transfer account_A \\\n    account_B 1\nstarted by cargo xtask nonsense\n```\n";
        assert_eq!(complaints("README.md", text), []);
    }

    #[test]
    fn what_does_not_parse_is_told_with_its_line() {
        let text = "see `cargo xtask lab\nstatsu`\n\n```console\n$ cargo xtask stage fix-worklow\n$ cargo xtask lab\n```\n\
                    ```sh\ncargo xtask transfer a\n```\n";
        let told = complaints("README.md", text);
        let lines: Vec<usize> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 5, 6, 9], "{told:?}");
        assert!(told[1].1.contains("invalid value 'fix-worklow'"), "{told:?}");
    }

    #[test]
    fn a_command_or_a_stage_that_the_text_itself_adds_is_left_alone() {
        let rust = "```rust\n    name: \"more\",\n    Command::new(\"greet\")\n```\n";
        let typed = "`cargo xtask greet`, `cargo xtask greets`, `cargo xtask stage more`\n";
        let told = complaints("docs/a.md", &format!("{typed}{rust}"));
        assert!(told.len() == 1 && told[0].1.contains("greets"), "{told:?}");
    }

    #[test]
    fn what_a_stages_text_has_typed_needs_no_shell() {
        let text =
            "```console\n$ curl localhost:5050/accounts | jq .\n$ curl localhost:5050/accounts\n$ ls\n```\n";
        assert_eq!(complaints("README.md", text), []);
        let lines: Vec<usize> = complaints("lab/01-x.md", text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 4]);
    }
}

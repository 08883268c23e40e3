//! Checks that the commands in a text exist and parse.
//!
//! It checks lines after `$ ` in `console` blocks, every `cargo xtask` in `sh` blocks, and code spans that start with `cargo xtask`.

use clap::{
    Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{complaint::Complaint, markdown::Markdown};
use rehearsal::play::Typed;

pub(super) const XTASK: &str = "cargo xtask";
/// The characters that end a shell command.
const SHELL_ENDS: [&str; 6] = ["|", "||", "&", "&&", ";", ">"];

/// The invalid commands in a file.
pub(super) fn check(text: &Markdown, command_line: &Command) -> Vec<Complaint> {
    let added = added_by(text);
    let mut complaints = Vec::new();
    let mut complain = |line: usize, typed: &str, wrong: Option<String>| {
        if let Some(wrong) = wrong {
            let what = format!("`{typed}` does not work: {wrong}");
            complaints.push(Complaint::at(
                &text.file,
                line,
                what,
                "fix it; for the list of commands: cargo xtask --help",
            ));
        }
    };
    for (line, span) in text.spans() {
        let words = span.strip_prefix(XTASK).filter(|rest| rest.starts_with(' '));
        // In a list of commands, `…` and words in brackets are not typed.
        if let Some(words) = words.filter(|words| !words.contains('…')) {
            complain(line, &span, wrong_with(command_line, &added, words, Where::Span));
        }
    }
    // The parts of a command that continues after a backslash.
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
            complain(number, typed.trim(), wrong_with(command_line, &added, words, Where::Block));
        }
        // `play` runs a stage's commands without a shell.
        if block == "console" && text.file.starts_with("lab/") {
            let followed = Typed::parse(&typed).and_then(|typed| typed.check());
            complain(number, typed.trim(), followed.err().map(|error| format!("{error:#}")));
        }
    }
    complaints
}

/// The context of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// A command to type.
    Block,
    /// A mention, possibly without all arguments.
    Span,
}

/// The error in the arguments of a mentioned `cargo xtask`, if any.
pub(super) fn wrong_with_spoken(command_line: &Command, words: &str) -> Option<String> {
    wrong_with(command_line, &[], words, Where::Span)
}

/// The error in the arguments of a `cargo xtask`, if any, in a text that adds these stages.
fn wrong_with(command_line: &Command, added: &[&str], words: &str, place: Where) -> Option<String> {
    let Some(words) = shlex::split(words) else { return Some("it has an unclosed quote".to_owned()) };
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
            ErrorKind::InvalidValue if names_one(added, ContextKind::InvalidValue, &error) => None,
            ErrorKind::InvalidSubcommand if names_one(added, ContextKind::InvalidSubcommand, &error) => None,
            // A mention may be a group of commands, or lack required arguments.
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

/// The stages, incidents and commands that a text adds, such as the authors' guide.
fn added_by(text: &Markdown) -> Vec<&str> {
    text.lines().filter(|line| line.block == Some("rust")).filter_map(|line| added_in(line.text)).collect()
}

/// The name of what is added in a line of Rust. That of an incident has a line of its own, as the first part of `stage!`.
fn added_in(line: &str) -> Option<&str> {
    let begins = ["name: \"", "Command::new(\""];
    let of_a_stage = begins.into_iter().find_map(|begin| Some(line.split_once(begin)?.1));
    let of_an_incident = || line.trim().strip_prefix('"').filter(|rest| rest.ends_with("\","));
    of_a_stage.or_else(of_an_incident)?.split('"').next()
}

/// Whether the invalid value is one of these names.
fn names_one(added: &[&str], what: ContextKind, error: &Error) -> bool {
    matches!(error.get(what), Some(ContextValue::String(name)) if added.contains(&name.as_str()))
}

/// A placeholder such as `NAME`.
fn is_placeholder(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// A valid value for a placeholder.
fn stand_in(placeholder: &str) -> &'static str {
    match placeholder {
        "NAME" | "STAGE" => lab::STAGES[0].name,
        "FROM" => "account_A",
        "TO" => "account_B",
        _ => "1",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Arg;

    use super::*;

    /// A small command line, for tests of texts that name commands.
    pub(crate) fn example() -> Command {
        let word = |name: &'static str| Arg::new(name).required(true);
        Command::new(XTASK)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Command::new("lab")
                    .subcommand_required(true)
                    .arg_required_else_help(true)
                    .subcommand(Command::new("start"))
                    .subcommand(Command::new("status").arg(Arg::new("json").long("json").num_args(0))),
            )
            .subcommand(Command::new("test"))
            .subcommand(Command::new("stage").arg(Arg::new("name").value_parser(["jerry", "fix-workflow"])))
            .subcommand(Command::new("transfer").args(["from", "to", "amount"].map(word)))
    }

    fn complaints(file: &str, text: &str) -> Vec<(usize, String)> {
        let reported = check(&Markdown::new(file.to_owned(), text.to_owned()), &example());
        reported.into_iter().map(|complaint| (complaint.line.unwrap_or_default(), complaint.what)).collect()
    }

    #[test]
    fn valid_commands_are_accepted() {
        let text = "All are `cargo xtask …`: `cargo xtask stage NAME`, `cargo xtask transfer FROM TO AMOUNT`, `cargo\n\
                    xtask lab`, `cargo xtask stage [NAME]`, `cargo xtask transfer`, `cargo build`.\n\
                    ```sh\nnix develop --command cargo xtask lab start   # here\ncargo xtask stage jerry && x\n```\n\
                    ```console\n$ cargo xtask transfer account_A \\\n    account_B 1\nstarted by cargo xtask nonsense\n```\n";
        assert_eq!(complaints("README.md", text), []);
    }

    #[test]
    fn an_invalid_command_is_reported_with_its_line() {
        let text = "see `cargo xtask lab\nstatsu`\n\n```console\n$ cargo xtask stage fix-worklow\n$ cargo xtask lab\n```\n\
                    ```sh\ncargo xtask transfer a\n```\n";
        let reported = complaints("README.md", text);
        let lines: Vec<usize> = reported.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 5, 6, 9], "{reported:?}");
        assert!(reported[1].1.contains("invalid value 'fix-worklow'"), "{reported:?}");
    }

    #[test]
    fn commands_and_stages_that_the_text_adds_are_accepted() {
        let rust = "```rust\n    name: \"more\",\n    Command::new(\"greet\")\n```\n";
        let typed = "`cargo xtask greet`, `cargo xtask greets`, `cargo xtask stage more`\n";
        let reported = complaints("docs/a.md", &format!("{typed}{rust}"));
        assert!(reported.len() == 1 && reported[0].1.contains("greets"), "{reported:?}");
    }

    #[test]
    fn the_commands_of_a_stages_text_need_no_shell() {
        let text =
            "```console\n$ curl localhost:5050/accounts | jq .\n$ curl localhost:5050/accounts\n$ ls\n```\n";
        assert_eq!(complaints("README.md", text), []);
        let lines: Vec<usize> = complaints("lab/01-x.md", text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 4]);
    }
}

//! The commands of a text: which programs they call, and with what.
//!
//! There is no shell: a text whose commands need none can be followed with any, and what a rehearsal runs is
//! known word by word before it runs.

use anyhow::{Context, Result, bail};

/// What a text may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `cargo xtask`.
    Xtask,
    /// To call the bank.
    Curl,
    /// To end a service of the lab the hard way.
    Kill,
}

/// A command of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// What is called.
    pub program: Program,
    /// The words behind it.
    pub words: Vec<String>,
}

/// What a shell would act on.
const SHELL_ONLY: [&str; 8] = ["|", "||", "&", "&&", ";", ">", ">>", "<"];

/// The commands that compile what a rehearsal has not.
const COMPILING: [&str; 5] = ["bench", "play", "prefetch", "run-workflow", "test"];
/// With this flag a test does what the worker of a rehearsal can do, too.
const REPLAY: &str = "--replay";

/// The commands that only show something, by how they begin.
const READING: [(Program, &[&str]); 10] = [
    (Program::Xtask, &["lab", "status"]),
    (Program::Xtask, &["lab", "logs"]),
    (Program::Xtask, &["check"]),
    (Program::Xtask, &["temporal", "workflow", "list"]),
    (Program::Xtask, &["temporal", "workflow", "show"]),
    (Program::Xtask, &["temporal", "workflow", "describe"]),
    (Program::Xtask, &["temporal", "workflow", "count"]),
    (Program::Xtask, &["temporal", "workflow", "query"]),
    (Program::Xtask, &["temporal", "worker", "deployment", "describe"]),
    (Program::Xtask, &["temporal", "worker", "deployment", "describe-version"]),
];

impl Typed {
    /// Takes apart what is typed, as a shell would.
    pub fn parse(typed: &str) -> Result<Typed> {
        let words = shlex::split(typed).context("a quote in it is not closed")?;
        if let Some(word) = words.iter().find(|word| SHELL_ONLY.contains(&word.as_str())) {
            bail!(
                "{word} is for a shell, and a text is followed without one; give each command a line of its \
                 own"
            );
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (program, words) = match words[..] {
            ["cargo", "xtask", ref words @ ..] => (Program::Xtask, words),
            // On a machine with a second Temporal server, it may be that one's.
            ["temporal", ..] => {
                bail!("temporal may use another server than the lab's; write: cargo xtask {typed}")
            }
            ["curl", ref words @ ..] => (Program::Curl, words),
            ["kill", ref words @ ..] => (Program::Kill, words),
            _ => bail!("a text can be followed by a program only where it calls cargo xtask, curl or kill"),
        };
        Ok(Typed { program, words: words.iter().map(|&word| word.to_owned()).collect() })
    }

    /// Says so where it cannot be rehearsed.
    pub fn check(&self) -> Result<()> {
        let compiles = |word: &&String| self.program == Program::Xtask && COMPILING.contains(&word.as_str());
        let replays = self.words.iter().any(|word| word == REPLAY);
        if let Some(word) = self.words.first().filter(compiles).filter(|_| !replays) {
            bail!(
                "cargo xtask {word} compiles, which a rehearsal does not; show it in a ```sh block, which is \
                 not followed"
            );
        }
        Ok(())
    }

    /// Whether it only tells how things are, so that it may be typed again until they are.
    pub fn only_reads(&self) -> bool {
        let begins = |begin: &[&str]| {
            self.words.len() >= begin.len() && self.words.iter().zip(begin).all(|(word, begin)| word == begin)
        };
        match self.program {
            Program::Xtask if self.enters().is_none() && begins(&["stage"]) => !begins(&["stage", "restore"]),
            // Without a flag that sends something or names a method it is a GET.
            Program::Curl => !self.words.iter().any(|word| is_sending(word)),
            Program::Xtask if begins(&["outage"]) => self.words[1..].iter().all(|word| word.starts_with('-')),
            program => READING.iter().any(|(reading, begin)| *reading == program && begins(begin)),
        }
    }

    /// The stage that it enters, if it does.
    pub fn enters(&self) -> Option<&str> {
        match (self.program, &self.words[..]) {
            (Program::Xtask, [stage, name, ..])
                if stage == "stage" && name != "restore" && !name.starts_with('-') =>
            {
                Some(name)
            }
            _ => None,
        }
    }
}

/// Whether with that word curl does something else than to ask.
fn is_sending(word: &str) -> bool {
    let long = ["--request", "--data", "--json", "--form", "--upload-file"];
    let short = ["-X", "-d", "-F", "-T"];
    long.iter().chain(&short).any(|flag| word.starts_with(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Typed {
        Typed::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}"))
    }

    #[test]
    fn words_are_taken_apart_as_a_shell_would() {
        let typed = parse(
            r#"cargo xtask temporal workflow list --query "ExecutionStatus='Failed'" --reason it\ is    # a note"#,
        );
        let words =
            ["temporal", "workflow", "list", "--query", "ExecutionStatus='Failed'", "--reason", "it is"];
        assert_eq!((typed.program, typed.words), (Program::Xtask, words.map(str::to_owned).to_vec()));
        assert_eq!(parse("cargo xtask hint").words, ["hint"]);
    }

    #[test]
    fn what_needs_a_shell_or_another_program_is_an_error() {
        for typed in [
            "cargo build",
            "rm -rf .",
            "",
            "curl 'oops",
            "curl localhost:5050/accounts | jq .",
            "temporal workflow list",
        ] {
            assert!(Typed::parse(typed).is_err(), "{typed}");
        }
        // Within a word it is for the program.
        parse(r#"cargo xtask temporal workflow list --query "StartTime > '2026' & x""#);
    }

    #[test]
    fn what_compiles_is_not_followed() {
        assert!(
            parse("cargo xtask run-workflow").check().is_err() && parse("cargo xtask test").check().is_err()
        );
        assert!(parse("cargo xtask test --mine --replay").check().is_ok());
        assert!(parse("cargo xtask test --mine").check().is_err());
        assert!(parse("cargo xtask check").check().is_ok() && parse("curl test").check().is_ok());
    }

    #[test]
    fn only_what_reads_is_typed_again() {
        for typed in [
            "cargo xtask lab status",
            "cargo xtask lab status --json",
            "cargo xtask check",
            "cargo xtask stage",
            "cargo xtask stage --json",
            "cargo xtask temporal workflow list --limit 3",
            "cargo xtask temporal worker deployment describe --name money-transfer",
            "cargo xtask outage",
            "curl localhost:5050/accounts/account_A",
        ] {
            assert!(parse(typed).only_reads(), "{typed}");
        }
        for typed in [
            "cargo xtask stage fix-workflow",
            "cargo xtask stage restore",
            "cargo xtask lab restart",
            "cargo xtask transfer account_A account_B 1",
            "cargo xtask hint",
            "cargo xtask temporal workflow reset --workflow-id x",
            "cargo xtask temporal worker deployment set-current-version --build-id 1",
            "cargo xtask traffic",
            "cargo xtask lab deploy",
            "cargo xtask lab retire 1",
            "cargo xtask outage deposits down",
            "curl -X PUT localhost:5050/outage",
            "curl -XPOST localhost:5050/reset",
            "curl localhost:5050/outage -d '{}'",
            "kill -9 12",
        ] {
            assert!(!parse(typed).only_reads(), "{typed}");
        }
    }

    #[test]
    fn the_stage_that_a_command_enters_is_known() {
        assert_eq!(parse("cargo xtask stage fix-workflow").enters(), Some("fix-workflow"));
        for typed in ["cargo xtask stage", "cargo xtask stage --json", "cargo xtask stage restore x"] {
            assert_eq!(parse(typed).enters(), None, "{typed}");
        }
    }
}

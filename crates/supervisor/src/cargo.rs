//! Calls of cargo: which one, with which of the user's settings, and which settings can hurt a lab.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use checkout::project::{Project, with_tilde};

/// The variables by which a user chooses where cargo builds; the first that is set counts.
const TARGET_VARIABLES: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
/// The key by which a configuration file does.
const TARGET_KEY: &str = "build.target-dir";
/// What the lab sets, whatever a user's variable or configuration file says. With `panic = "abort"`, a bug in a Workflow would end
/// the worker instead of failing a Workflow Task.
const OWN: [(&str, &str); 1] = [("CARGO_PROFILE_DEV_PANIC", "unwind")];

/// The cargo that runs this program, else the one on PATH.
pub fn program() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// A call of cargo. It builds what is in `Cargo.lock`, and adds to that only what somebody has added to a manifest: a learner may, to
/// the worker's. What runs in CI is `--locked`.
pub fn call(subcommand: &str) -> Command {
    let mut command = bare();
    command.arg(subcommand);
    command
}

/// Removes the variables that `cargo run` and `cargo test` set for this program: build scripts that read them (ring's does) would run again
/// after each change between `cargo build` and `cargo xtask`, and the Temporal SDK would be compiled again.
pub fn forget_cargo_run(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let is_set_by_cargo_run = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || name == "CARGO_PRIMARY_PACKAGE"
        });
        if is_set_by_cargo_run {
            command.env_remove(name);
        }
    }
}

/// A call of [`program`], in the environment that every call of the lab has.
///
/// Without [what cargo has set for this program](forget_cargo_run). The user's settings stay,
/// because `cargo xtask` itself is built with them, and with others cargo would compile again what both share.
pub fn bare() -> Command {
    let mut command = Command::new(program());
    forget_cargo_run(&mut command);
    // The lab runs its programs here, so they are built for this machine.
    command.env_remove("CARGO_BUILD_TARGET");
    // A relative folder is meant from where the command was typed, and the lab calls cargo in the project's folder.
    for name in TARGET_VARIABLES {
        if let Some(folder) = named_folder(name) {
            command.env(name, folder);
        }
    }
    command.envs(OWN);
    command
}

/// Where cargo builds.
pub(crate) fn target(project: &Project) -> PathBuf {
    let named = TARGET_VARIABLES.into_iter().find_map(named_folder);
    let configured = || {
        configuration_files(project).into_iter().find_map(|file| {
            let keys = keys(&fs::read_to_string(&file).ok()?);
            let (_, folder) = keys.into_iter().find(|(key, _)| key == TARGET_KEY)?;
            // Relative to the folder that `.cargo` is in.
            Some(file.parent()?.parent()?.join(folder))
        })
    };
    named.or_else(configured).unwrap_or_else(|| project.root.join("target"))
}

fn named_folder(variable: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).filter(|named| !named.is_empty())?;
    Some(env::current_dir().unwrap_or_default().join(named))
}

/// A setting of the user's that can hurt a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Where it is and what it says, such as `RUSTFLAGS=-D warnings`.
    pub found: String,
    /// What it does to a lab.
    pub effect: &'static str,
    /// What to do about it.
    pub remedy: String,
}

/// The settings that can hurt: the variables, the key in a configuration file, the values that are meant, and the effect.
type Row = (&'static [&'static str], &'static str, fn(&str) -> bool, &'static str);

/// Any value.
const ANY: fn(&str) -> bool = |_| true;

const ROWS: [Row; 8] = [
    (
        &[],
        "build.target",
        ANY,
        "everything is compiled for that target, which must be this machine, and partly twice",
    ),
    (
        &TARGET_VARIABLES,
        TARGET_KEY,
        ANY,
        "cargo builds there; commands wait while another project builds in it, and cargo clean there deletes the lab's programs",
    ),
    (
        &["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"],
        "build.rustflags",
        ANY,
        "a change of it compiles everything again, and with -D warnings an unused variable keeps your code from being deployed",
    ),
    (
        &["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"],
        "build.rustc-wrapper",
        |value| !value.is_empty(),
        "every compiler runs in it; if a build fails or hangs, try without it",
    ),
    (
        &["CARGO_INCREMENTAL", "CARGO_BUILD_INCREMENTAL"],
        "build.incremental",
        |value| value == "0" || value == "false",
        "it takes a second longer until a saved edit is deployed",
    ),
    (
        &["CARGO_BUILD_JOBS"],
        "build.jobs",
        ANY,
        "the first build takes longer with fewer jobs than processors",
    ),
    (
        &["CARGO_NET_OFFLINE"],
        "net.offline",
        |value| value == "true",
        "cargo downloads no crates, so the first build fails unless all are here",
    ),
    (
        &[],
        "profile.dev.panic",
        |value| value == "abort",
        "the lab's programs are built without it: a bug in a Workflow must not end the worker",
    ),
];

/// The settings of this user that can hurt a lab, of the environment and of cargo's configuration files.
pub fn settings(project: &Project) -> Vec<Setting> {
    let files: Vec<(String, Vec<(String, String)>)> = configuration_files(project)
        .into_iter()
        .filter_map(|file| Some((project.display(&file), keys(&fs::read_to_string(&file).ok()?))))
        .collect();
    let variable = |name: &str| env::var_os(name).map(|value: OsString| value.to_string_lossy().into_owned());
    find(&variable, &files)
}

fn find(
    variable: &dyn Fn(&str) -> Option<String>,
    files: &[(String, Vec<(String, String)>)],
) -> Vec<Setting> {
    let mut found = Vec::new();
    for (variables, key, is_meant, effect) in ROWS {
        for name in variables {
            if let Some(value) = variable(name).filter(|value| is_meant(value)) {
                let remedy = format!("unset {name}");
                let value = with_tilde(Path::new(&value));
                found.push(Setting { found: format!("{name}={value}"), effect, remedy });
            }
        }
        for (file, keys) in files {
            for (_, value) in keys.iter().filter(|(other, value)| other == key && is_meant(value)) {
                let value = with_tilde(Path::new(value));
                let remedy = format!("remove it from {file}");
                found.push(Setting { found: format!("{key} = {value} in {file}"), effect, remedy });
            }
        }
    }
    found
}

/// The configuration files that cargo reads in the project's folder, but for the project's own. The first counts.
fn configuration_files(project: &Project) -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")));
    let above = project.root.ancestors().skip(1).map(|folder| folder.join(".cargo"));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in above.chain(home) {
        // The home folder may be above the project.
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.iter().flat_map(|folder| ["config.toml", "config"].map(|name| folder.join(name))).collect()
}

/// The keys of a configuration file with their values, each on a line of its own as people write them.
fn keys(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            section = format!("{}.", name.trim());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            found.push((format!("{section}{}", key.trim()), value.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_can_hurt_is_found_where_a_user_has_it() {
        let text = "# [build]\n[build]\ntarget = \"wasm32-unknown-unknown\" # for the game\nrustc-wrapper = \"\"\n\
                    incremental = true\n[profile.dev]\npanic = 'abort'\n[net]\ngit-fetch-with-cli = true\n";
        let files = [("~/.cargo/config.toml".to_owned(), keys(text))];
        let variable = |name: &str| match name {
            "RUSTFLAGS" => Some("-D warnings".to_owned()),
            "CARGO_INCREMENTAL" => Some("1".to_owned()),
            "CARGO_NET_OFFLINE" => Some("true".to_owned()),
            _ => None,
        };
        let found = find(&variable, &files);
        let said: Vec<_> = found.iter().map(|setting| setting.found.as_str()).collect();
        assert_eq!(
            said,
            [
                "build.target = wasm32-unknown-unknown in ~/.cargo/config.toml",
                "RUSTFLAGS=-D warnings",
                "CARGO_NET_OFFLINE=true",
                "profile.dev.panic = abort in ~/.cargo/config.toml",
            ]
        );
        assert_eq!(found[0].remedy, "remove it from ~/.cargo/config.toml");
        assert_eq!(found[1].remedy, "unset RUSTFLAGS");
    }
}

//! Cargo: the settings of the user that reach the lab's builds, and the manifest that a learner may edit.

use std::{env, fs};

use super::finding::{Finding, broken, good, note};
use checkout::project::Project;
use supervisor::{
    cargo,
    manifest::{MANIFEST, Unusable},
};

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let settings = cargo::settings(project).into_iter();
    let settings = settings.map(|setting| {
        note("cargo settings", format!("{}: {}", setting.found, setting.effect), &setting.remedy)
    });
    let manifest = match Unusable::check(project) {
        Some(unusable) => broken("worker manifest", unusable.to_string(), &unusable.remedy()),
        None => good("worker manifest", format!("cargo reads {MANIFEST}")),
    };
    settings.chain(toolchain(project)).chain([manifest]).collect()
}

/// Whether something else names a toolchain than the project does.
fn toolchain(project: &Project) -> Option<Finding> {
    // rustup sets it too, to what it has chosen.
    let used = env::var("RUSTUP_TOOLCHAIN").ok()?;
    let file = fs::read_to_string(project.root.join("rust-toolchain.toml")).ok()?;
    let asked = file.lines().find_map(|line| line.strip_prefix("channel = "))?.trim_matches('"');
    (!used.starts_with(asked)).then(|| {
        note(
            "rust toolchain",
            format!("{used} is used instead of {asked}, which rust-toolchain.toml names"),
            "unset RUSTUP_TOOLCHAIN, or leave out +TOOLCHAIN",
        )
    })
}

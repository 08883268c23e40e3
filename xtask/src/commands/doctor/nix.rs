//! Nix, for those who use it: what it would copy of this folder, and whose Rust its shell has.

use std::env;

use super::{
    finding::{Finding, note},
    tools,
};
use checkout::project::{Project, with_tilde};
use supervisor::temporal_cli::on_path;

pub(super) fn check(project: &Project) -> Vec<Finding> {
    folder(project).into_iter().chain(shell()).collect()
}

/// Nix takes what git knows, and from any other folder everything.
fn folder(project: &Project) -> Option<Finding> {
    if on_path("nix").is_none() || project.is_git_checkout() {
        return None;
    }
    let says = "this folder is not a git checkout, so Nix would copy all of it, also target and .lab";
    Some(note("nix", says, "for Nix, in this folder: git init && git add --all"))
}

/// In `nix develop --command fish` (or zsh), the shell reads its start-up files after Nix has set PATH.
fn shell() -> Option<Finding> {
    env::var_os("IN_NIX_SHELL")?;
    let cargo = on_path("cargo").filter(|cargo| tools::origin(cargo) != "Nix")?;
    let says = format!("a shell of Nix, but its cargo is {}", with_tilde(&cargo));
    Some(note(
        "nix",
        says,
        "have your shell's start-up file append that folder to PATH: docs/nix.md, \"fish and zsh\"",
    ))
}

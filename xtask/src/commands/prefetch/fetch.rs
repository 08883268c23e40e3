//! Downloads the crates.

use anyhow::{Context, Result, bail};
use checkout::project::Project;
use supervisor::cargo;

/// Has cargo download the crates of `Cargo.lock` that are missing.
pub(super) fn crates(project: &Project) -> Result<()> {
    let mut fetch = cargo::call("fetch");
    fetch.current_dir(&project.root);
    if !fetch.status().context("could not run cargo")?.success() {
        bail!("could not download the crates; check the network, then type: cargo xtask prefetch");
    }
    Ok(())
}

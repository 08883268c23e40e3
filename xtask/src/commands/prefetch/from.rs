//! `prefetch --from`: checks a bundle and installs its content where cargo and the lab look for it.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use checkout::{copy, project::Project};
use supervisor::{cargo, temporal_cli};
use terminal::{stderrln, stdoutln};

use super::{
    contents::{self, Crate, REGISTRY, TOP, cli_of, stays_inside},
    scratch::Scratch,
};

/// Takes everything from a bundle: the archive, or the folder that it was unpacked to.
pub(super) fn take(project: &Project, bundle: &Path) -> Result<()> {
    let scratch = Scratch::take(project)?;
    let step = |number: u8, what: &str| stderrln!("{number} of 4: {what}");

    step(1, "checking the bundle");
    let top = if bundle.is_dir() { bundle.to_owned() } else { unpack(bundle, &scratch.folder)? };
    contents::check(&top).with_context(|| {
        format!("{} is damaged or not a bundle; copy it again from the instructor's stick", bundle.display())
    })?;

    step(2, "the crates");
    let crates = contents::crates(&project.root.join("Cargo.lock"))?;
    take_crates(&crates, &top.join(REGISTRY), &contents::registry()?)?;

    step(3, "the Temporal CLI");
    let system = temporal_cli::own_system();
    let cli = top.join(cli_of(&system));
    if cli.is_file() {
        temporal_cli::take(project, &cli)?;
    }

    step(4, "checking that cargo needs no network");
    let mut fetch = cargo::call("fetch");
    fetch.args(["--offline", "--quiet"]).current_dir(&project.root).stdin(Stdio::null());
    if !fetch.status().context("could not run cargo")?.success() {
        bail!("cargo does not find all crates in the bundle; while online, type: cargo xtask prefetch");
    }
    // Last, so that everything else is installed.
    if !cli.is_file() && temporal_cli::find(project)?.is_none() {
        bail!("the bundle has no Temporal CLI for {system}; while online, type: cargo xtask prefetch");
    }
    stdoutln!("done; the lab now starts without a network: cargo xtask lab start");
    Ok(())
}

/// Unpacks the archive, after checking the names in it.
fn unpack(archive: &Path, to: &Path) -> Result<PathBuf> {
    let tar = || {
        let mut tar = Command::new("tar");
        tar.stdin(Stdio::null());
        tar
    };
    let listed = tar().arg("-tf").arg(archive).output().context("could not run tar")?;
    if !listed.status.success() {
        bail!("{} is not a bundle: {}", archive.display(), String::from_utf8_lossy(&listed.stderr).trim());
    }
    let names = String::from_utf8_lossy(&listed.stdout);
    if let Some(name) = names.lines().find(|name| !stays_inside(name) || !name.starts_with(TOP)) {
        bail!(
            "{} is not a bundle of the lab: it has the file {name}; nothing was unpacked",
            archive.display()
        );
    }
    let unpacked = tar().arg("-xf").arg(archive).arg("-C").arg(to).status().context("could not run tar")?;
    if !unpacked.success() {
        bail!("tar could not unpack {} ({unpacked}); is the disk full?", archive.display());
    }
    Ok(to.join(TOP))
}

/// Copies the crates of `Cargo.lock` into cargo's registry, unless they are there.
///
/// The hashes come from the checkout's `Cargo.lock`, which the user trusts, and not from the bundle.
pub(super) fn take_crates(crates: &[Crate], from: &Path, registry: &Path) -> Result<()> {
    let cache = from.join("cache");
    let entries = fs::read_dir(&cache).with_context(|| format!("could not read {}", cache.display()))?;
    let folders: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    for needed in crates {
        let mut is_found = false;
        for folder in folders.iter().filter(|folder| cache.join(folder).join(&needed.archive).is_file()) {
            take_crate(needed, from, registry, folder)?;
            is_found = true;
        }
        if !is_found {
            bail!(
                "the bundle has no {}: it belongs to another version of the lab. Use the checkout in the bundle (tar -xzf it, \
                 then sh {TOP}/install.sh), or a bundle of this version",
                needed.archive
            );
        }
    }
    Ok(())
}

/// Copies a crate into this folder of cargo's registry.
fn take_crate(needed: &Crate, from: &Path, registry: &Path, folder: &OsStr) -> Result<()> {
    let archive = from.join("cache").join(folder).join(&needed.archive);
    let is_right = |file: &Path| temporal_cli::sha256(file).is_ok_and(|sum| sum == needed.checksum);
    if !is_right(&archive) {
        bail!(
            "{} in the bundle differs from the one in Cargo.lock, so it was not installed; copy the bundle again from the instructor's stick",
            needed.archive
        );
    }
    let to = registry.join("cache").join(folder).join(&needed.archive);
    if !is_right(&to) {
        put(&archive, &to)?;
    }
    let index = |registry: &Path| registry.join("index").join(folder);
    let (entry, to) = (index(from).join(needed.entry()), index(registry).join(needed.entry()));
    // A newer entry has all versions of an older one, and more.
    if !is_newer(&to, &entry) {
        put(&entry, &to)?;
    }
    let settings = index(registry).join("config.json");
    if !settings.exists() {
        put(&index(from).join("config.json"), &settings)?;
    }
    Ok(())
}

fn is_newer(file: &Path, other: &Path) -> bool {
    let modified = |file: &Path| fs::metadata(file).and_then(|found| found.modified()).ok();
    modified(file).is_some_and(|time| Some(time) >= modified(other))
}

/// Copies a file; it appears in its place only when it is complete.
fn put(from: &Path, to: &Path) -> Result<()> {
    let put = || -> io::Result<()> {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let beside = to.with_file_name(format!(".{name}.{}", process::id()));
        let put = copy::with_time(from, &beside).and_then(|()| fs::rename(&beside, to));
        if put.is_err() {
            let _ = fs::remove_file(&beside);
        }
        put
    };
    put().with_context(|| format!("could not write {}", to.display()))
}

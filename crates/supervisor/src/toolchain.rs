//! The Rust toolchain that is here.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::cargo;
use checkout::project::Project;

/// What cargo and rustc say of themselves, and what the project asks for.
pub struct Toolchain {
    /// The line of `rustc --version`.
    pub rustc: String,
    /// The line of `cargo --version`.
    pub cargo: String,
    /// The least version that the project builds with.
    pub least: String,
}

impl Toolchain {
    /// The one that a build would use; none when it does not run.
    pub fn find(project: &Project) -> Option<Toolchain> {
        let manifest = fs::read_to_string(project.root.join("Cargo.toml")).unwrap_or_default();
        let least = manifest.lines().find_map(|line| line.trim().strip_prefix("rust-version = "));
        Some(Toolchain {
            rustc: version_of(&mut Command::new(rustc()), project)?,
            cargo: version_of(&mut Command::new(cargo::program()), project)?,
            least: least.unwrap_or_default().trim().trim_matches('"').to_owned(),
        })
    }

    /// Whether it is too old for the project.
    pub fn is_too_old(&self) -> bool {
        let version = |says: &str| numbers(says.split_whitespace().nth(1).unwrap_or_default());
        [&self.rustc, &self.cargo].iter().any(|says| version(says) < numbers(&self.least))
    }
}

/// The compiler that cargo calls.
pub fn rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

/// Says, before anything is built, that a build could only fail. A cargo that does not even run is told
/// of when it is called.
pub fn check(project: &Project) -> Result<()> {
    if let Some(Toolchain { rustc, cargo, least }) = Toolchain::find(project).filter(Toolchain::is_too_old) {
        bail!(
            "{rustc} with {cargo} is too old: the project needs {least} or newer; update it: rustup update"
        );
    }
    Ok(())
}

fn version_of(program: &mut Command, project: &Project) -> Option<String> {
    output(program.arg("--version"), project)
}

/// What a program of the toolchain prints, without the space around it; none if it fails.
pub fn output(program: &mut Command, project: &Project) -> Option<String> {
    // In the project's folder, as rustup goes by its rust-toolchain.toml.
    let output = program.current_dir(&project.root).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The numbers of a version, to be compared.
fn numbers(version: &str) -> Vec<u32> {
    version.split(['.', '-']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("1.9.0") < numbers("1.92"));
        assert!(numbers("1.92.0") >= numbers("1.92"));
        assert!(numbers("1.100.0-nightly") > numbers("1.92"));
    }

    #[test]
    fn either_of_the_two_can_be_too_old() {
        let is_too_old = |rustc: &str, cargo: &str| {
            let toolchain =
                Toolchain { rustc: rustc.to_owned(), cargo: cargo.to_owned(), least: "1.92".to_owned() };
            toolchain.is_too_old()
        };
        assert!(!is_too_old("rustc 1.92.0 (ded5c06cf 2025-12-08)", "cargo 1.92.0"));
        assert!(is_too_old("rustc 1.91.1 (ed61e7d7e 2025-11-07)", "cargo 1.92.0"));
        assert!(is_too_old("rustc 1.92.0", "cargo 1.85.0"));
    }
}

//! Requirements of a test, and skipping it if they are missing.

use std::{env, path::PathBuf};

/// Whether these programs are installed; if not, the test is [skipped](skip).
///
/// # Panics
/// In CI, where nothing may be skipped.
#[must_use]
pub fn has(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|name| program(name).is_none()).collect();
    if !missing.is_empty() {
        skip(&format!("not installed: {}", missing.join(", ")));
    }
    missing.is_empty()
}

/// Prints that a test is skipped, and why. With `CI` set nothing may be skipped, except on systems other than Linux, which lack some
/// requirements.
///
/// # Panics
/// In CI, where nothing may be skipped.
pub fn skip(why: &str) {
    assert!(!(cfg!(target_os = "linux") && is_ci()), "not to be skipped: {why}");
    println!("skipped: {why}");
}

fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// The path of a program. The folders of servers may not be on PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

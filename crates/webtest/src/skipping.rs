//! What a test cannot do without, and where it is missing.

use std::{env, path::PathBuf};

/// Whether these programs are there; where one is not, the test is [skipped](skip).
///
/// # Panics
/// Where everything has to be tested.
#[must_use]
pub fn has(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|name| program(name).is_none()).collect();
    if !missing.is_empty() {
        skip(&format!("there is no {} here", missing.join(", no ")));
    }
    missing.is_empty()
}

/// Says that a test is skipped, and why. With `CI` set everything has to be tested, but elsewhere than on Linux, where not all that
/// tests need is to be had.
///
/// # Panics
/// Where everything has to be tested.
pub fn skip(why: &str) {
    assert!(!(cfg!(target_os = "linux") && is_ci()), "not to be skipped: {why}");
    println!("skipped: {why}");
}

fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// Where a program is. Not everybody has the folders of servers on PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

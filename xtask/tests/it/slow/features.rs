//! What cargo compiles for a lab serves its tests too: the Temporal SDK takes minutes.

use std::{collections::BTreeSet, env, process::Command};

use lab_client::state::{SERVICES, TEMPORAL};
use supervisor::build;

/// The packages of that selection, each with the features that it is compiled with; but for what runs while others are
/// compiled, where the same package may have other features.
fn compiled(selection: &[&str]) -> BTreeSet<(String, String)> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p}|{f}|"])
        .args(selection);
    let output = command.output().expect("cargo is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| {
        let mut parts = line.split('|').map(str::to_owned);
        Some((parts.next()?, parts.next()?))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn what_a_lab_and_a_rehearsal_run_is_not_compiled_once_more_for_the_tests() {
    let all = build::other_packages();
    let tests = compiled(&[&all[..], &["--edges", "no-build,no-proc-macro"]].concat());
    let package = |name| if name == TEMPORAL { "gateway" } else { name };
    let packages: Vec<_> = SERVICES.iter().flat_map(|&name| ["--package", package(name)]).collect();
    let without_temporal = [&packages[..], &["--package", build::PLAIN_TRANSFER]].concat();
    for selection in [&packages[..], &without_temporal, &all] {
        let lab = compiled(&[selection, &["--edges", "no-build,no-proc-macro,no-dev"]].concat());
        let in_both = |(package, _): &&(String, String)| lab.iter().any(|(other, _)| other == package);
        let others: Vec<_> = tests.iter().filter(in_both).filter(|entry| !lab.contains(*entry)).collect();
        assert!(
            others.is_empty(),
            "a dependency of tests alone chooses other features for these, so all above them is compiled twice: \
             {others:?}"
        );
    }
}

/// The project's own packages that this one is built of, itself included.
fn own(package: &str) -> BTreeSet<String> {
    let built = compiled(&["--package", package, "--edges", "normal"]);
    let own = built.iter().filter(|(package, _)| package.contains(" (/"));
    own.filter_map(|(package, _)| package.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn what_only_the_command_line_is_made_of_is_built_apart_from_the_rest() {
    let mut rest = own("account-api");
    for package in ["gateway", "transfer-web", "worker", "testbed", "stages"] {
        rest.extend(own(package));
    }
    let apart: Vec<String> = own("xtask-extra").difference(&rest).cloned().collect();
    assert_eq!(apart, build::COMMAND_LINE);
}

#[test]
fn what_a_learner_does_not_need_is_not_built_for_the_first_command() {
    let first = own("xtask");
    for package in ["xtask-extra", "rehearsal", "classroom", "tidy"] {
        assert!(!first.contains(package), "cargo xtask is built of {package}");
    }
}

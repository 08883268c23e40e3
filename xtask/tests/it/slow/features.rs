//! What cargo compiles for a lab serves its tests too: the Temporal SDK takes minutes.

use std::{collections::BTreeSet, env, process::Command};

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
    let tests = compiled(&["--workspace", "--exclude", "xtask", "--edges", "no-build,no-proc-macro"]);
    for selection in [
        &[
            "--package",
            "account-api",
            "--package",
            "gateway",
            "--package",
            "transfer-web",
            "--package",
            "worker",
        ][..],
        &["--workspace", "--exclude", "xtask"],
    ] {
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

//! Help and errors for wrong usage.

use std::process::{Command as Process, Stdio};

use crate::support::{Checkout, Outcome, outcome};

#[test]
fn help_goes_to_standard_output_with_an_example_and_code_zero() {
    let checkout = Checkout::without_server("help");
    let help_of =
        |command: &str| checkout.run(&command.split(' ').chain(["--help"]).collect::<Vec<_>>()).ok();
    // The program's help lists the commands; a command's help shows whether it is a group.
    let mut left = commands_in(&checkout.run(&["--help"]).ok());
    let mut seen = Vec::new();
    while let Some(command) = left.pop() {
        let help = help_of(&command);
        assert!(help.contains(&format!("  cargo xtask {command}")), "{help}");
        left.extend(commands_in(&help).into_iter().map(|inner| format!("{command} {inner}")));
        seen.push(command);
    }
    for command in ["test", "lab start"] {
        assert!(seen.iter().any(|one| one == command), "{command} is not among {seen:?}");
    }
}

/// The commands that a help lists: indented lines below `Commands:`.
fn commands_in(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("\nCommands:\n").unwrap_or_default();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names =
        lines.filter_map(|line| line.trim_start().split(' ').next().filter(|_| !line.starts_with("   ")));
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// A full disk, as Linux imitates it.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let checkout = Checkout::without_server("full-output");
    for arguments in [&["stage"][..], &["stage", "--json"], &["doctor", "--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let output = checkout.xtask(arguments).stdout(full).output().expect("the program is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && said.contains("is the disk full?"),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn wrong_usage_is_code_two() {
    let checkout = Checkout::without_server("usage");
    for arguments in [
        vec![],
        vec!["nope"],
        vec!["lab"],
        vec!["lab", "nope"],
        vec!["lab", "logs", "nope"],
        vec!["lab", "restart", "nope"],
        vec!["class"],
        vec!["class", "serve"],
        vec!["class", "board", "--page", "--watch"],
        vec!["help-me"],
        vec!["lab", "start", "--ui-port", "none"],
        vec!["lab", "start", "--ui-port", "0"],
        vec!["transfer", "account_A", "account_B"],
        vec!["prefetch", "--force"],
        vec!["stage", "restore", "nope"],
        vec!["drill", "--seed", "many"],
        vec!["drill", "--random", "--seed", "1"],
        vec!["drill", "some-never-arrive", "status"],
        vec!["drill", "--clean"],
        vec!["drill", "report", "--force"],
        vec!["adjust", "account_A", "5"],
    ] {
        let error = checkout.run(&arguments).fails_with(2);
        assert!(!error.contains("panicked"), "{error}");
    }
}

#[test]
fn a_bundle_that_cannot_be_written_is_refused_before_it_is_made() {
    let checkout = Checkout::without_server("no-bundle");
    checkout.write("there/lab.tar.gz", "");
    for (file, part) in [
        ("there/lab.tar.gz", "replace it with --force"),
        ("there", "replace it with --force"),
        ("none/lab.tar.gz", "none is not a folder"),
    ] {
        let error = checkout.run(&["prefetch", "--bundle", file]).fails_with(1);
        assert!(error.contains(part), "{error}");
    }
    let error = checkout.run(&["prefetch", "--force", "--bundle", "there"]).fails_with(1);
    assert!(error.contains("there is a folder; name a file: --bundle"), "{error}");
}

#[test]
fn an_unknown_stage_is_code_two_and_lists_the_stages() {
    let checkout = Checkout::without_server("unknown-stage");
    for arguments in [["stage", "fix-worklow"].as_slice(), &["play", "--stage", "fix-worklow"]] {
        let error = checkout.run(arguments).fails_with(2);
        assert!(error.contains("a similar value exists: 'fix-workflow'"), "{error}");
        for stage in lab::STAGES {
            assert!(error.contains(stage.name), "{error}");
        }
    }
}

#[test]
fn an_unknown_incident_is_code_two_and_lists_the_incidents() {
    let checkout = Checkout::without_server("unknown-incident");
    let error = checkout.run(&["drill", "some-never-arive"]).fails_with(2);
    assert!(error.contains("a similar value exists: 'some-never-arrive'"), "{error}");
    for incident in lab::INCIDENTS {
        assert!(error.contains(incident.stage.name), "{error}");
    }
}

#[test]
fn commands_that_need_a_running_lab_say_how_to_start_one() {
    let checkout = Checkout::without_server("down");
    for arguments in [
        vec!["transfer", "account_A", "account_B", "5"],
        vec!["traffic"],
        vec!["retry"],
        vec!["run-workflow"],
        vec!["lab", "restart"],
        vec!["drill", "some-never-arrive"],
        vec!["adjust", "account_A", "-5", "--reason", "twice"],
        vec!["ledger"],
    ] {
        let error = checkout.run(&arguments).fails_with(1);
        assert!(error.contains("cargo xtask lab start"), "{error}");
    }
    let stopped = checkout.run(&["lab", "stop"]).ok();
    assert!(stopped.contains("is not running"), "{stopped}");
}

#[test]
fn an_old_toolchain_is_reported_before_anything_is_built() {
    let checkout = Checkout::new("old-toolchain");
    checkout.write("Cargo.toml", "[workspace]\n[workspace.package]\nrust-version = \"99.0\"\n");
    let error = checkout.run(&["lab", "start", "--detach"]).fails_with(1);
    assert!(error.contains("needs 99.0 or newer; update it: rustup update"), "{error}");
    assert!(!checkout.path("target/debug/worker").exists());
}

#[test]
fn tests_that_fail_are_code_one() {
    let checkout = Checkout::new("test-fails");
    checkout.run(&["test", "-p", "nothing-of-that-name"]).fails_with(1);
}

#[test]
fn outside_of_the_project_it_says_so() {
    let checkout = Checkout::without_server("outside");
    let mut command = checkout.xtask(&["lab", "status"]);
    command.env_remove("CARGO_MANIFEST_DIR").current_dir("/");
    let error = outcome(command).fails_with(1);
    assert!(error.contains("not inside the project"), "{error}");

    let mut command = checkout.xtask(&["lab", "status"]);
    command.env_remove("CARGO_MANIFEST_DIR").current_dir(checkout.path("crates/worker/src"));
    outcome(command).ok();
}

#[test]
fn doctors_report_does_not_contain_the_home_folder() {
    let checkout = Checkout::new("doctor");
    let report = outcome({
        let mut command = checkout.xtask(&["doctor"]);
        command.env("HOME", &checkout.root);
        command
    });
    assert!(!report.stdout.contains(checkout.root.to_str().expect("it is text")), "{}", report.stdout);
    let report = report.ok();
    for word in ["rust", "C compiler", "Temporal CLI", "lab folder", "~/.lab", "stage", "jerry", "port 7233"]
    {
        assert!(report.contains(word), "no {word} in:\n{report}");
    }
    let report = checkout.run(&["doctor", "--json"]).json();
    assert_eq!(report["ok"], true);
    assert!(report["checks"].as_array().is_some_and(|checks| checks.len() > 8));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let checkout = Checkout::without_server("reader");
    let line = "a line of the log\n";
    checkout.write(".lab/logs/worker.log", line.repeat(100_000));
    let mut command = checkout.xtask(&["lab", "logs", "worker", "-n", "90000"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program is there");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// `cargo xtask` in this checkout, with a command that is built at its first use.
fn built_when_typed(arguments: &[&str], cargo: Option<&str>) -> Outcome {
    let mut command = Process::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
    if let Some(cargo) = cargo {
        command.env("CARGO", cargo);
    }
    outcome(command)
}

#[test]
fn a_command_that_is_built_at_its_first_use_behaves_like_the_others() {
    for arguments in [&["play", "--help"][..], &["help", "play"]] {
        let help = built_when_typed(arguments, None).ok();
        assert!(help.contains("--shuffle") && help.contains("  cargo xtask play"), "{help}");
    }
    let error = built_when_typed(&["class", "serve"], None).fails_with(2);
    assert!(error.contains("--bind"), "{error}");
    let error = built_when_typed(&["class", "board"], Some("/nowhere/cargo")).fails_with(1);
    assert!(error.contains("cargo xtask doctor") && error.contains("cargo xtask prefetch"), "{error}");
}

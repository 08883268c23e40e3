//! What is said to someone who asks, or mistypes.

use std::process::Stdio;

use clap::Command;

use crate::support::{Checkout, outcome};

#[test]
fn help_goes_to_standard_output_with_an_example_and_code_zero() {
    /// Every command below this one, by the words after `cargo xtask`.
    fn below(command: &Command, words: &str) -> Vec<String> {
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        let below = shown.flat_map(|command| {
            let words = format!("{words} {}", command.get_name()).trim_start().to_owned();
            [vec![words.clone()], below(command, &words)].concat()
        });
        below.collect()
    }
    let mut commands = below(&xtask::commands::command_line(), "");
    // What `class` takes, only the program knows that is built for it.
    commands.extend(["class serve", "class board"].map(str::to_owned));
    assert!(commands.len() > 24, "{commands:?}");
    let checkout = Checkout::without_server("help");
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = checkout.run(&arguments).ok();
        assert!(help.contains(&format!("  cargo xtask {command}")), "{help}");
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
        vec!["stage", "restore", "nope"],
    ] {
        let error = checkout.run(&arguments).fails_with(2);
        assert!(!error.contains("panicked"), "{error}");
    }
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
fn what_needs_a_running_lab_says_how_to_start_one() {
    let checkout = Checkout::without_server("down");
    for arguments in [
        vec!["transfer", "account_A", "account_B", "5"],
        vec!["retry"],
        vec!["run-workflow"],
        vec!["lab", "restart"],
    ] {
        let error = checkout.run(&arguments).fails_with(1);
        assert!(error.contains("cargo xtask lab start"), "{error}");
    }
    let stopped = checkout.run(&["lab", "stop"]).ok();
    assert!(stopped.contains("does not run"), "{stopped}");
}

#[test]
fn a_toolchain_that_is_too_old_is_said_before_anything_is_built() {
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
fn doctor_reports_without_the_name_of_the_home_folder() {
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
fn a_reader_that_goes_away_is_no_error() {
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

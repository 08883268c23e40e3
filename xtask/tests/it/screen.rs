//! Terminals that can do less than others: dumb ones, ASCII only, low windows.

use std::process::Command;

use crate::{
    fake_lab::{FakeLab, Place},
    held::Running,
    support::{Checkout, assert_ends, eventually, outcome},
};

/// What a command prints on a terminal of this kind.
fn on_terminal(checkout: &Checkout, typed: &[&str], term: &str) -> Option<String> {
    let mut script = checkout.on_terminal(&checkout.xtask(typed), "exec \"$@\"")?;
    script.env("TERM", term).env_remove("NO_COLOR");
    Some(outcome(script).stdout)
}

#[test]
fn a_dumb_terminal_gets_no_escape_sequences() {
    let checkout = Checkout::without_server("dumb");
    let Some(said) = on_terminal(&checkout, &["lab", "status"], "xterm") else { return };
    assert!(said.contains("\x1b["), "{said:?}");
    let said = on_terminal(&checkout, &["lab", "status"], "dumb").expect("there is a terminal");
    assert!(said.contains("stage 1") && !said.contains('\x1b'), "{said:?}");
}

#[test]
fn a_locale_without_utf_8_gets_ascii() {
    let checkout = Checkout::without_server("ascii");
    checkout.write(lab::LIVE_WORKFLOW, "// mine → …");
    let run = |name: &str, value: &str| {
        let mut command = checkout.xtask(&["stage", "jerry", "--diff"]);
        for variable in ["LC_ALL", "LC_CTYPE", "LANG"] {
            command.env_remove(variable);
        }
        command.env(name, value);
        outcome(command).ok()
    };
    for (name, value) in [("LC_ALL", "POSIX"), ("LANG", "C")] {
        let said = run(name, value);
        assert!(said.contains("-// mine -> ...") && said.is_ascii(), "{name}={value}: {said}");
    }
    assert!(run("LC_ALL", "C.UTF-8").contains("-// mine → …"));
}

#[test]
fn a_watched_check_shows_the_time_and_fits_a_low_window() {
    let lab = FakeLab::start("low-window");
    lab.world().start("first", Place::Task);
    let full = lab.checkout.run(&["check"]).stdout;
    let rows = 6;
    assert!(full.lines().count() > rows, "{full}");
    let start = |checkout: &Checkout| -> Option<Command> {
        let typed = checkout.xtask(&["check", "--watch"]);
        let mut script = checkout.on_terminal(&typed, &format!("stty rows {rows} cols 200; exec \"$@\""))?;
        script.env("TERM", "xterm");
        Some(script)
    };
    lab.checkout.write("target/there", "");
    let Some(script) = start(&lab.checkout) else { return };
    let watched = Running::start(&lab.checkout, script, "watched");
    // Each picture begins at the top of the screen, and what stands below it is cleared.
    let pictures = || watched.output().split("\x1b[H").skip(1).map(str::to_owned).collect::<Vec<_>>();
    eventually("it is drawn twice", || pictures().len() > 2);
    for picture in &pictures()[..2] {
        let lines: Vec<&str> = picture.lines().collect();
        assert!(lines.len() < rows, "{picture}");
        assert!(lines[0].contains("stage 1:") && picture.contains("more lines do not fit"), "{picture}");
        assert!(picture.contains("reached; a hint: cargo xtask hint"), "{picture}");
        assert!(lines.last().is_some_and(|line| line.starts_with("checked at ")), "{picture}");
    }
}

#[test]
fn a_watched_check_ends_with_its_reader_although_nothing_changes() {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };

    let lab = FakeLab::start("watch-head");
    let mut command = lab.checkout.xtask(&["check", "--watch"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program is there");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    // All of it: what is written later would end it anyway.
    assert!(lines.any(|line| line.is_ok_and(|line| line.ends_with("reached; a hint: cargo xtask hint"))));
    drop(lines);
    assert_ends(&mut child);
}

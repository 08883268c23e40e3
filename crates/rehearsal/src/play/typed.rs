//! Running a command of a text in a shadow, with this time's ports in place of the text's.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context, Result, bail};

use super::words::{Program, Typed};
use crate::shadow::{Printed, Shadow};
use lab_client::state::State;
use supervisor::{ports::PORTS, temporal_cli};

/// Runs a command of a text, whose ids are this time's.
pub(super) fn run(shadow: &Shadow, typed: &Typed) -> Result<Printed> {
    let mut command = match typed.program {
        Program::Xtask => shadow.command(),
        Program::Curl => {
            let curl =
                temporal_cli::on_path("curl").context("curl is not here; install it and play again")?;
            let mut command = Command::new(curl);
            // Without the user's ~/.curlrc and proxy. It shows a progress meter only where its answer does not go to a terminal.
            command.args(["--disable", "--noproxy", "*", "--no-progress-meter"]);
            command
        }
        Program::Kill => {
            check_kill(&shadow.state()?, &typed.words)?;
            // A shell always has it.
            let mut command = Command::new("/bin/sh");
            command.args(["-c", r#"kill "$@""#, "kill"]);
            command
        }
    };
    match typed.program {
        Program::Xtask | Program::Kill => command.args(&typed.words),
        Program::Curl => {
            let state = shadow.state()?;
            command.args(typed.words.iter().map(|word| with_ports(word, &state)))
        }
    };
    shadow.output(command)
}

/// Only what the lab of the shadow runs may be killed.
fn check_kill(state: &State, words: &[String]) -> Result<()> {
    let ours: Vec<String> = state
        .services
        .iter()
        .map(|(_, service)| service)
        .chain([&state.supervisor])
        .map(|process| process.pid.to_string())
        .collect();
    let mut pids = words.iter().filter(|word| !word.starts_with('-')).peekable();
    if pids.peek().is_none() {
        bail!("it names no process");
    }
    match pids.find(|pid| !ours.contains(pid)) {
        Some(pid) => bail!("{pid} is no process of the rehearsal's lab, so it is not killed"),
        None => Ok(()),
    }
}

/// A word with the lab's own ports in place of those that a text goes by.
fn with_ports(word: &str, state: &State) -> String {
    let mut word = word.to_owned();
    for row in PORTS {
        let Some(default) = row.default else { continue };
        for host in ["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()] {
            word = word.replace(&format!("{host}:{default}"), &state.ports.address(row.name));
        }
    }
    word
}

//! `real-world-mode [STATE]`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches, Command};
use lab_client::{bank::Bank, progress::Progress};
use serde_json::json;

use crate::args::{example, json_flag, text};
use checkout::project::Project;
use supervisor::attach;
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("real-world-mode")
        .about(
            "Makes half of the bank's withdrawals and deposits fail or time out (on), or none (off); without arguments, shows \
             which",
        )
        .long_about(
            "Makes half of the bank's withdrawals and deposits fail or time out (on), or none (off); without arguments, shows \
             which. It lasts until you switch it off, enter a stage or restart the bank; `lab status` says when a restart ended it.",
        )
        .arg(Arg::new("state").value_name("STATE").value_parser(["on", "off"]).help("Whether they fail"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask real-world-mode on", "cargo xtask real-world-mode off"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_ready(project)?;
    let bank = Bank::new(&state.endpoints());
    if let Some(state) = text(arguments, "state") {
        Progress::read(&project.lab).allow_bank_change()?;
        bank.set_real_world_mode(state == "on")?;
    }
    let on = bank.real_world_mode()?;
    // In every drill, else the answer would tell whether it is the bank.
    let is_told = !Progress::read(&project.lab).is_in_drill();
    match (arguments.get_flag("json"), on) {
        (true, _) => stdoutln!("{}", json!({ "enabled": is_told.then_some(on) })),
        (false, _) if !is_told => stdoutln!("how the bank behaves in a drill is for you to find out"),
        (false, true) => {
            stdoutln!("Real World Mode is on: half of all withdrawals and deposits fail or time out")
        }
        (false, false) => stdoutln!("Real World Mode is off"),
    }
    Ok(ExitCode::SUCCESS)
}

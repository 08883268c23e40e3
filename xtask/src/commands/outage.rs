//! `outage [WHAT STATE]`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches, Command};
use lab_client::{
    bank::{Bank, Outage},
    progress::Progress,
};
use serde_json::json;

use crate::args::{example, json_flag, text};
use checkout::project::Project;
use supervisor::attach;
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("outage")
        .about(
            "Takes the bank's withdrawals or deposits down, or brings them back up; without arguments, shows which are down",
        )
        .long_about(
            "Takes the bank's withdrawals or deposits out of service, or brings them back; without arguments, shows which are \
             down. An outage lasts until you end it, enter a stage or restart the bank; `lab status` says when a restart ended it.",
        )
        .arg(
            Arg::new("what")
                .value_name("WHAT")
                .value_parser(["withdrawals", "deposits"])
                .requires("state")
                .help("What to change"),
        )
        .arg(
            Arg::new("state")
                .value_name("STATE")
                .value_parser(["down", "up"])
                .help("down: out of service; up: in service"),
        )
        .arg(json_flag())
        .after_help(example(&["cargo xtask outage deposits down", "cargo xtask outage deposits up"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_ready(project)?;
    let bank = Bank::new(&state.endpoints());
    let mut outage = bank.outage()?;
    if let Some(what) = text(arguments, "what") {
        Progress::read(&project.lab).allow_bank_change()?;
        let down = text(arguments, "state") == Some("down");
        match what {
            "withdrawals" => outage.withdrawals = down,
            _ => outage.deposits = down,
        }
        bank.set_outage(outage)?;
    }
    if arguments.get_flag("json") {
        stdoutln!("{}", json!({ "withdrawals": outage.withdrawals, "deposits": outage.deposits }));
        return Ok(ExitCode::SUCCESS);
    }
    match outage {
        Outage { withdrawals: false, deposits: false } => stdoutln!("the bank is in service"),
        _ => stdoutln!("out of service: {}", outage.what()),
    }
    Ok(ExitCode::SUCCESS)
}

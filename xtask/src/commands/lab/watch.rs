//! `lab watch [STATE]`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches, Command};
use lab_client::supervisor::versions;
use serde_json::json;

use crate::args::{example, json_flag, text};
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("watch")
        .about("Deploys each edit when you save it (on), or only with `lab deploy` (off); without arguments, shows which")
        .long_about(
            "Deploys each edit when you save it (on), or only with `lab deploy` (off); without arguments, shows which. Off lasts \
             until the lab stops; `lab start --no-watch` starts a lab with watch off. Entering a stage always deploys. In a stage \
             with versions, on means that the lab builds each edit when you save it; `lab deploy` deploys it as the next version.",
        )
        .arg(Arg::new("state").value_name("STATE").value_parser(["off", "on"]).help("Whether saved edits are deployed"))
        .arg(json_flag())
        .after_help(example(&["cargo xtask lab watch off", "cargo xtask lab watch on"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    let wanted = text(arguments, "state").map(|state| state == "on");
    let status = control::ask(&state, &Request::Status)?;
    let (on, undeployed) = match wanted {
        None => (status["watch"] != false, status["undeployed"] == true),
        Some(on) => (on, control::ask(&state, &Request::Watch(on))?["undeployed"] == true),
    };
    if arguments.get_flag("json") {
        stdoutln!("{}", json!({ "watch": on, "undeployed": undeployed }));
        return Ok(ExitCode::SUCCESS);
    }
    let has_versions = !versions(&status).is_empty();
    match on {
        true if has_versions => stdoutln!(
            "watch is on: the lab builds each edit when you save it; to deploy it as the next version: cargo xtask lab deploy"
        ),
        true => stdoutln!("watch is on: the lab deploys each edit when you save it"),
        false => stdoutln!("watch is off: saved edits wait until you type: cargo xtask lab deploy"),
    }
    match (undeployed, on) {
        (true, _) if has_versions => stdoutln!("an edit is not deployed yet"),
        (true, true) => stdoutln!("an edit is not deployed yet; the lab is about to build it"),
        (true, false) => stdoutln!("an edit is not deployed yet"),
        (false, _) => {}
    }
    Ok(ExitCode::SUCCESS)
}

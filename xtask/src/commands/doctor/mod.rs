//! `doctor`: what is installed, what is missing, and how to install it.

mod cargo;
mod editor;
mod endings;
mod finding;
mod lab;
mod nix;
mod public_hosts;
mod settings;
mod system;
mod tools;
mod transfers;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use xshell::Shell;

use self::finding::{Finding, Grade};
use crate::args::{example, json_flag};
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("doctor")
        .about("Checks what the lab needs and says how to install what is missing; include its output in a bug report")
        .arg(json_flag())
        .after_help(example(&["cargo xtask doctor"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let shell = Shell::new().context("could not determine the current folder")?;
    // Where the lab's folder cannot be written, the other rows say so.
    let state = attach::attach(project).unwrap_or_default();
    let status = state.as_ref().map(|state| control::ask(state, &Request::Status));
    let mut findings = system::check(&shell, project);
    findings.extend(tools::check(&shell, project));
    findings.extend(cargo::check(project));
    findings.extend(editor::check(project));
    findings.extend(endings::check(project));
    findings.extend(nix::check(project));
    findings.extend(settings::check(state.as_ref()));
    findings.extend(lab::check(project, state.as_ref(), status.as_ref()));
    findings.extend(public_hosts::check(state.as_ref()));
    let status = status.and_then(Result::ok);
    findings.extend(transfers::check(state.as_ref(), &status.unwrap_or_default()));

    let complete = findings.iter().all(|finding| !matches!(finding.grade, Grade::Missing | Grade::Broken));
    if arguments.get_flag("json") {
        stdoutln!(
            "{}",
            json!({ "ok": complete, "checks": findings.iter().map(to_json).collect::<Vec<_>>() })
        );
    } else {
        for finding in &findings {
            stdoutln!("{:<8} {:<16} {}", finding.grade.name(), finding.name, finding.says);
            if let Some(remedy) = &finding.remedy {
                stdoutln!("{:<8} {:<16} -> {remedy}", "", "");
            }
        }
        if complete {
            stdoutln!("everything the lab needs is installed");
        }
    }
    Ok(ExitCode::from(u8::from(!complete)))
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "name": finding.name,
        "state": finding.grade.name(),
        "says": finding.says,
        "remedy": finding.remedy,
    })
}

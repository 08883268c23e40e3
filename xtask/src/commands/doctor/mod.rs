//! `doctor`: what is installed, what is missing, and how to install it.

mod lab;
mod system;
mod tools;
mod transfers;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use xshell::Shell;

use crate::args::{example, json_flag};
use checkout::project::Project;
use supervisor::attach;
use terminal::stdoutln;

pub(crate) fn command() -> Command {
    Command::new("doctor")
        .about("Checks what the lab needs and says how to install what is missing; include its output in a bug report")
        .arg(json_flag())
        .after_help(example(&["cargo xtask doctor"]))
}

/// The severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// All right.
    Good,
    /// Not a problem, but worth knowing.
    Note,
    /// The lab does not work without it.
    Missing,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Grade::Good => "ok",
            Grade::Note => "note",
            Grade::Missing => "missing",
        }
    }
}

/// The result of one check.
struct Finding {
    name: String,
    grade: Grade,
    says: String,
    /// What to type or do.
    remedy: Option<String>,
}

fn good(name: &str, says: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), grade: Grade::Good, says: says.into(), remedy: None }
}

fn note(name: &str, says: impl Into<String>, remedy: &str) -> Finding {
    Finding { name: name.to_owned(), grade: Grade::Note, says: says.into(), remedy: Some(remedy.to_owned()) }
}

fn missing(name: &str, says: impl Into<String>, remedy: &str) -> Finding {
    Finding {
        name: name.to_owned(),
        grade: Grade::Missing,
        says: says.into(),
        remedy: Some(remedy.to_owned()),
    }
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let shell = Shell::new().context("could not determine the current folder")?;
    let state = attach::attach(project)?;
    let mut findings = system::check(&shell, project);
    findings.extend(tools::check(&shell, project));
    findings.extend(lab::check(project, state.as_ref()));
    findings.extend(transfers::check(state.as_ref()));

    let complete = findings.iter().all(|finding| finding.grade != Grade::Missing);
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

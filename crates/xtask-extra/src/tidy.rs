//! `tidy`.

use std::{env, process::ExitCode};

use anyhow::Result;
use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use checkout::project::Project;
use terminal::stdoutln;
use tidy::Complaint;
use xtask::args::{example, json_flag};
use xtask::extra::about;

pub(crate) fn command() -> Command {
    Command::new("tidy").about(about("tidy")).arg(json_flag()).after_help(example(&["cargo xtask tidy"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches, command_line: &Command) -> Result<ExitCode> {
    let mut complaints = tidy::stages(project)?;
    complaints.extend(tidy::texts(project, command_line)?);
    complaints.extend(tidy::structure(project)?);
    let edits = tidy::live_modules(project);
    // A learner's edits of the live modules are no mistake. In CI they are.
    let is_learning = env::var_os("CI").is_none() && tidy::is_used(project);
    let remarks = if is_learning { edits } else { complaints.splice(0..0, edits).collect() };
    let ok = complaints.is_empty();
    if arguments.get_flag("json") {
        let list = |complaints: &[Complaint]| complaints.iter().map(to_json).collect::<Vec<_>>();
        stdoutln!("{}", json!({ "ok": ok, "complaints": list(&complaints), "remarks": list(&remarks) }));
    } else {
        for complaint in &complaints {
            stdoutln!("{complaint}");
        }
        for remark in &remarks {
            stdoutln!("ignored, because this lab is in use: {remark}");
        }
        match complaints.len() {
            0 => stdoutln!("no problems found"),
            1 => stdoutln!("1 problem found"),
            many => stdoutln!("{many} problems found"),
        }
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

fn to_json(complaint: &Complaint) -> Value {
    json!({ "file": complaint.file, "line": complaint.line, "what": complaint.what, "do": complaint.to_do })
}

//! `help-me`.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command};
use lab_client::{
    class::{self, Help},
    temporal::Server,
    time,
};

use crate::args::{example, flag};
use checkout::project::Project;
use supervisor::{attach, class_files};
use terminal::{Usage, stderrln, stdoutln};

/// How long the lab may take to pass it on.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often is looked whether it has.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) fn command() -> Command {
    Command::new("help-me")
        .about("Asks the instructor for help: your words come up on the board of the class")
        .arg(
            Arg::new("text")
                .value_name("TEXT")
                // Also where the quotes were forgotten.
                .num_args(1..)
                .required_unless_present("done")
                .help("What you would like to know, in a sentence"),
        )
        .arg(flag("done", "You have been helped: takes your words off the board").conflicts_with("text"))
        .after_help(example(&[
            "cargo xtask help-me \"my transfer is stuck, and I do not see where\"",
            "cargo xtask help-me --done",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let help = match arguments.get_many::<String>("text") {
        None => None,
        Some(words) => Some(asked(&words.cloned().collect::<Vec<_>>().join(" "))?),
    };
    let state = attach::attach_running(project)?;
    let Some(learner) = state.learner() else {
        bail!(
            "this lab is not in a class, so no instructor can see it; join one with: cargo xtask lab stop && \
             cargo xtask lab start --address HOST:7233 --learner YOUR-NAME; a hint is always there: cargo xtask hint"
        );
    };
    if help.is_none() && class_files::help(project).is_none() {
        stdoutln!("you have not asked for help");
        return Ok(ExitCode::SUCCESS);
    }
    let lab = class_files::lab_id(project)?;
    class_files::ask_for_help(project, help.as_ref())?;

    let server = Server::new(&state.endpoints());
    let begin = Instant::now();
    let mut silence = None;
    while begin.elapsed() < DELIVERY_TIMEOUT {
        match class::last(&server, learner) {
            Ok(Some(held)) if held.report.lab == lab && held.report.help == help => {
                match help {
                    Some(help) => {
                        stdoutln!("on the board, under {learner}: {}", help.text);
                        stdoutln!("once you have been helped: cargo xtask help-me --done");
                    }
                    None => stdoutln!("your question is off the board"),
                }
                return Ok(ExitCode::SUCCESS);
            }
            Ok(_) => silence = None,
            Err(error) => silence = Some(error),
        }
        thread::sleep(POLL_INTERVAL);
    }
    let what = if help.is_some() { "is not on the board" } else { "is still on the board" };
    stderrln!(
        "your question {what}: {}",
        match silence {
            Some(error) => format!("the service of the class does not answer ({error:#})"),
            None => "the lab has not passed it on within 10 s; see why: cargo xtask lab logs supervisor"
                .to_owned(),
        }
    );
    stderrln!("it is written down, and the lab passes it on as soon as it can");
    Ok(ExitCode::FAILURE)
}

/// What somebody asks for now, in these words.
fn asked(text: &str) -> Result<Help> {
    let since = time::rfc3339_exact(time::now());
    match Help::new(text, &since) {
        Some(help) => Ok(help),
        None => Err(Usage("say in a sentence what you would like to know".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_has_to_say_what() {
        assert!(asked(" \n").expect_err("no words").is::<Usage>());
        assert_eq!(asked("where?\nhere").expect("words").text, "where? here");
    }
}

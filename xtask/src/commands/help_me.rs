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

/// How long the lab may take to deliver the question.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to check whether it has arrived.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) fn command() -> Command {
    Command::new("help-me")
        .about("Asks the instructor for help: shows your question on the class board")
        .arg(
            Arg::new("text")
                .value_name("TEXT")
                // Several words, in case the quotes were forgotten.
                .num_args(1..)
                .required_unless_present("done")
                .help("Your question, in a sentence"),
        )
        .arg(flag("done", "Remove your question from the board").conflicts_with("text"))
        .after_help(example(&[
            "cargo xtask help-me \"my transfer is stuck and I can't find out why\"",
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
            "this lab has not joined a class; to join one: cargo xtask lab stop && \
             cargo xtask lab start --address HOST:7233 --learner YOUR-NAME; for a hint: cargo xtask hint"
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
                        stdoutln!("on the board, as {learner}: {}", help.text);
                        stdoutln!("when your question is answered: cargo xtask help-me --done");
                    }
                    None => stdoutln!("your question is no longer on the board"),
                }
                return Ok(ExitCode::SUCCESS);
            }
            Ok(_) => silence = None,
            Err(error) => silence = Some(error),
        }
        thread::sleep(POLL_INTERVAL);
    }
    let what = if help.is_some() { "is not on the board yet" } else { "is still on the board" };
    stderrln!(
        "your question {what}: {}",
        match silence {
            Some(error) => format!("the class's Temporal Service does not answer ({error:#})"),
            None => "the lab has not delivered it within 10 s; to see why: cargo xtask lab logs supervisor"
                .to_owned(),
        }
    );
    stderrln!("it is saved, and the lab delivers it as soon as it can");
    Ok(ExitCode::FAILURE)
}

/// A question asked now.
fn asked(text: &str) -> Result<Help> {
    let since = time::rfc3339_exact(time::now());
    match Help::new(text, &since) {
        Some(help) => Ok(help),
        None => {
            Err(Usage("write your question as a sentence: cargo xtask help-me \"...\"".to_owned()).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_must_not_be_empty() {
        assert!(asked(" \n").expect_err("no words").is::<Usage>());
        assert_eq!(asked("where?\nhere").expect("words").text, "where? here");
    }
}

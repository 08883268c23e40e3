//! `class rehearse`: many learners play the whole course on the class's service, before the class does.

use std::{process::ExitCode, time::Instant};

use anyhow::{Context, Result};
use checkout::Project;
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::STAGES;
use rehearsal::class::{self, MOST, Rehearsal, Rehearsed};
use serde_json::{Value, json};
use supervisor::{build, temporal_cli, toolchain};
use terminal::{Usage, stderrln, stdoutln};
use xtask::{
    args::{example, json_flag},
    remote_flags,
};

pub(super) fn command() -> Command {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("NUMBER")
            .value_parser(value_parser!(u16).range(1..=i64::from(MOST)))
            .help(help)
    };
    Command::new("rehearse")
        .about("Plays the course as several learners on a Temporal Service, each with a separate lab on this machine")
        .arg(number("learners", "How many learners").default_value("3"))
        .arg(number("at-once", "How many of them play at once [default: all]"))
        .args(remote_flags::flags().into_iter().filter(|flag| flag.get_id() != "learner"))
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask class rehearse --learners 3 --address 192.168.1.10:7233",
            "cargo xtask class rehearse --learners 40 --at-once 10 --profile class",
        ]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let learners = arguments.get_one::<u16>("learners").copied().unwrap_or(1);
    let at_once = arguments.get_one::<u16>("at-once").copied().unwrap_or(learners).min(learners);
    let Some(service) = remote_flags::named(arguments) else {
        return Err(Usage("name the Temporal Service: add --profile or --address".to_owned()).into());
    };
    let as_json = arguments.get_flag("json");
    toolchain::check(project)?;
    let cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &build::binaries_for_play())?;
    class::refuse_notices(project, &service)?;
    let words = remote_flags::words(arguments);
    let begin = Instant::now();
    let on_one = |one: &Rehearsed| {
        if !as_json {
            one.print();
        }
    };
    let name = class::name();
    let rehearsal = Rehearsal {
        name,
        stages: lab::STAGES.iter().collect(),
        learners,
        at_once,
        words,
        executables,
        temporal_cli: cli,
    };
    let mut played = class::all(project, &rehearsal, on_one);
    let took = begin.elapsed();
    let board = class::leave_board(project, &service, &rehearsal, played.as_deref_mut().unwrap_or_default())
        .context("the rehearsal is over, but the class board could not be checked and cleaned up");
    if played.is_err()
        && let Err(error) = &board
    {
        stderrln!("error: {error:#}");
    }
    let all = played?;
    let failed = all.iter().filter(|one| one.failure.is_some()).count();
    if as_json {
        let learners: Vec<Value> = all.iter().map(Rehearsed::to_json).collect();
        stdoutln!(
            "{}",
            json!({ "ok": failed == 0 && board.is_ok(), "seconds": took.as_secs_f64(), "learners": learners })
        );
    } else {
        for (at, stage) in STAGES.iter().enumerate() {
            let mut times: Vec<f64> =
                all.iter().filter_map(|one| Some(one.stages.get(at)?.1.as_secs_f64())).collect();
            times.sort_by(f64::total_cmp);
            if let (Some(middle), Some(last)) = (times.get(times.len() / 2), times.last()) {
                stdoutln!("{:<21} median {middle:>6.1} s, maximum {last:>6.1} s", stage.name);
            }
        }
        let outcome = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        stdoutln!(
            "{} learners finished all stages{outcome}, in {:.1} s",
            all.len() - failed,
            took.as_secs_f64()
        );
        if failed == 0 && board.is_ok() {
            stdoutln!("the board showed each of them with every goal reached, and has been cleared");
        }
    }
    board?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

//! `chaos`.

use std::{process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::STAGES;
use serde_json::json;

use checkout::project::Project;
use rehearsal::{
    chaos::{self, Plan, Survived},
    shadow::Shadow,
};
use supervisor::{build, temporal_cli, toolchain};
use terminal::{duration, stderrln, stdoutln};
use xtask::args::{example, flag, json_flag};
use xtask::extra::about;

/// The stage whose code survives everything.
const FIXED: &str = "reset-workflows";

pub(crate) fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        let most = value_parser!(u32).range(1..=100_000);
        Arg::new(name).long(name).value_name("N").value_parser(most).default_value(default).help(help)
    };
    Command::new("chaos")
        .about(about("chaos"))
        .arg(number("transfers", "1000", "How many transfers there are"))
        .arg(number("kills", "100", "How many times a worker, bank, server or supervisor is killed"))
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("Seed of the transfers, targets and pauses (default: random)"),
        )
        .arg(flag("keep", "Keep the folder in which it was done, until the next run"))
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask chaos",
            "cargo xtask chaos --transfers 100 --kills 10",
            "cargo xtask chaos --transfers 1000 --kills 100 --seed 7",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let count = |name: &str| arguments.get_one::<u32>(name).map_or(0, |&number| number as usize);
    let seed = arguments.get_one::<u64>("seed").copied().unwrap_or_else(|| fastrand::u32(..).into());
    toolchain::check(project)?;
    let cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &build::binaries_for_play())?;
    let plan = Plan::new(seed, count("transfers"), count("kills"));
    let again =
        format!("cargo xtask chaos --transfers {} --kills {} --seed {seed}", plan.orders.len(), plan.kills);
    stderrln!("{again}");

    let begin = Instant::now();
    let shadow = Shadow::make(project, "chaos", &executables, cli)?;
    let fixed =
        STAGES.iter().find(|stage| stage.name == FIXED).context("there is no stage with the fixes")?;
    shadow.put_in_place(&[
        (lab::LIVE_WORKFLOW, fixed.workflow.source),
        (lab::LIVE_ACTIVITIES, fixed.activities.source),
    ])?;
    let outcome = chaos::run(&shadow, &plan);
    let took = begin.elapsed().as_secs_f64();
    if shadow.is_interrupted() {
        shadow.remove()?;
        bail!("the chaos run was interrupted; nothing of it is left running");
    }
    let folder = project.display(&shadow.project.root);
    if arguments.get_flag("keep") || outcome.is_err() {
        shadow.stop()?;
        stderrln!("its databases and logs stay until the next run, in {folder}/.lab");
    } else {
        shadow.remove()?;
    }
    let as_json = arguments.get_flag("json");
    match outcome {
        Ok(survived) if as_json => stdoutln!("{}", to_json(&plan, &survived, took)),
        Ok(survived) => print(&plan, &survived, took),
        Err(error) => {
            if as_json {
                stdoutln!(
                    "{}",
                    json!({ "ok": false, "seed": seed, "broken": format!("{error:#}"), "folder": folder })
                );
            }
            bail!("seed {seed}: {error:#}\n  again, though at other moments: {again}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(plan: &Plan, Survived { kills, tally }: &Survived, took: f64) {
    let row = |what: &str, count: usize, more: &str| {
        stdoutln!("{}", format!("{what:<36} {count:>7}  {more}").trim_end())
    };
    stdoutln!("seed {}: everything held, in {}", plan.seed, duration(took));
    for (part, count) in kills {
        row(&format!("{part} killed"), *count, "");
    }
    row("transfers completed", tally.completed, "each with one withdrawal and one deposit");
    for (reason, count) in &tally.failed {
        row(&format!("transfers failed: {reason}"), *count, "no money of theirs moved");
    }
    row("calls of Activities", tally.calls as usize, &format!("in {} attempts", tally.attempts));
    for (kind, (count, sum)) in &tally.entries {
        row(&format!("ledger entries: {kind}"), *count, &sum.to_string());
    }
    stdoutln!("the accounts hold {} together, as at the start", tally.total);
    stdoutln!("of the lab no process, no port and no temporary file is left");
}

fn to_json(plan: &Plan, Survived { kills, tally }: &Survived, took: f64) -> serde_json::Value {
    json!({
        "ok": true,
        "seed": plan.seed,
        "seconds": took,
        "kills": kills,
        "transfers": plan.orders.len(),
        "completed": tally.completed,
        "failed": tally.failed,
        "activity_calls": tally.calls,
        "activity_attempts": tally.attempts,
        "entries": tally.entries.iter().map(|(kind, (count, _))| (kind, count)).collect::<std::collections::BTreeMap<_, _>>(),
    })
}

//! `chaos`.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::STAGES;
use serde_json::json;

use checkout::{modules, project::Project};
use rehearsal::{
    chaos::{self, ChaosReport, Plan},
    shadow::Shadow,
};
use supervisor::{build, temporal_cli, toolchain};
use terminal::{duration, stderrln, stdoutln};
use xtask::args::{example, flag, json_flag};
use xtask::{extra::about, remote_flags};

/// The stage with all fixes.
const FIXED: &str = "reset-workflows";

pub(crate) fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        let most = value_parser!(u32).range(1..=100_000);
        Arg::new(name).long(name).value_name("N").value_parser(most).default_value(default).help(help)
    };
    Command::new("chaos")
        .about(about("chaos"))
        .arg(number("transfers", "1000", "How many transfers to start"))
        .arg(number("kills", "100", "How many times to kill a worker, bank, server or supervisor"))
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("Random seed for the transfers, targets and pauses (default: random)"),
        )
        .arg(flag("versions", "Run two versions of the worker, each of which takes half of the transfers"))
        .arg(flag("keep", "Keep the lab's folder until the next run"))
        .arg(
            Arg::new("cluster")
                .long("cluster")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("Kill frontend, history, matching and postgresql too; their process ids are in this folder, in pids"),
        )
        .args(remote_flags::flags())
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask chaos",
            "cargo xtask chaos --transfers 100 --kills 10",
            "cargo xtask chaos --transfers 1000 --kills 100 --seed 7",
            "cargo xtask chaos --versions",
        ]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let count = |name: &str| arguments.get_one::<u32>(name).map_or(0, |&number| number as usize);
    let seed = arguments.get_one::<u64>("seed").copied().unwrap_or_else(|| fastrand::u32(..).into());
    toolchain::check(project)?;
    let cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &build::binaries_for_play())?;
    let has_versions = arguments.get_flag("versions");
    let cluster = arguments.get_one::<PathBuf>("cluster").cloned();
    let plan = Plan { has_versions, cluster, ..Plan::new(seed, count("transfers"), count("kills")) };
    let words = remote_flags::words(arguments);
    let cluster =
        plan.cluster.iter().flat_map(|folder| ["--cluster".to_owned(), folder.display().to_string()]);
    let more: Vec<String> = cluster.chain(words.iter().cloned()).map(|word| format!(" {word}")).collect();
    let again = format!(
        "cargo xtask chaos --transfers {} --kills {} --seed {seed}{}{}",
        plan.orders.len(),
        plan.kills,
        if has_versions { " --versions" } else { "" },
        more.concat()
    );
    stderrln!("{again}");

    let begin = Instant::now();
    let shadow = Shadow::make(project, "chaos", &executables, cli)?;
    let fixed = STAGES
        .iter()
        .find(|stage| stage.name == FIXED)
        .context("the table of stages has no stage with the fixes")?;
    if has_versions {
        // At a stage without versions, a lab that starts again would leave them.
        let stage = STAGES.iter().find(|stage| stage.has_versions).context("no stage has versions")?;
        modules::enter(&shadow.project, stage)?;
    }
    shadow.put_in_place(&[
        (lab::LIVE_WORKFLOW, fixed.workflow.source),
        (lab::LIVE_ACTIVITIES, fixed.activities.source),
    ])?;
    let outcome = chaos::run(&shadow, &plan, &words);
    let took = begin.elapsed().as_secs_f64();
    if shadow.is_interrupted() {
        shadow.remove()?;
        bail!("interrupted; everything it started has ended");
    }
    let folder = project.display(&shadow.project.root);
    if arguments.get_flag("keep") || outcome.is_err() {
        shadow.stop()?;
        stderrln!("its databases and logs are kept until the next run, in {folder}/.lab");
    } else {
        shadow.remove()?;
    }
    let as_json = arguments.get_flag("json");
    match outcome {
        Ok(report) if as_json => stdoutln!("{}", to_json(&plan, &report, took)),
        Ok(report) => print(&plan, &report, took),
        Err(error) => {
            if as_json {
                stdoutln!(
                    "{}",
                    json!({ "ok": false, "seed": seed, "broken": format!("{error:#}"), "folder": folder })
                );
            }
            bail!(
                "seed {seed}: {error:#}\n  to run it again (kills will strike at slightly different moments): {again}"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(plan: &Plan, ChaosReport { kills, tally }: &ChaosReport, took: f64) {
    let row = |what: &str, count: usize, more: &str| {
        stdoutln!("{}", format!("{what:<36} {count:>7}  {more}").trim_end())
    };
    stdoutln!("seed {}: no rule was broken, in {}", plan.seed, duration(took));
    for (part, count) in kills {
        row(&format!("{part} killed"), *count, "");
    }
    row("transfers completed", tally.completed, "each with one withdrawal and one deposit");
    for (build_id, count) in &tally.versions {
        row(
            &format!("transfers on version {build_id}"),
            *count,
            "each from its first Workflow Task to its last",
        );
    }
    for (reason, count) in &tally.failed {
        row(&format!("transfers failed: {reason}"), *count, "none of their money moved");
    }
    row("Activity calls", tally.calls as usize, &format!("in {} attempts", tally.attempts));
    for (kind, (count, sum)) in &tally.entries {
        row(&format!("ledger entries: {kind}"), *count, &sum.to_string());
    }
    stdoutln!("the balances add up to {}, as at the start", tally.total);
    stdoutln!("the lab has left no process, no port and no temporary file behind");
}

fn to_json(plan: &Plan, ChaosReport { kills, tally }: &ChaosReport, took: f64) -> serde_json::Value {
    json!({
        "ok": true,
        "seed": plan.seed,
        "seconds": took,
        "kills": kills,
        "transfers": plan.orders.len(),
        "completed": tally.completed,
        "failed": tally.failed,
        "versions": tally.versions,
        "activity_calls": tally.calls,
        "activity_attempts": tally.attempts,
        "entries": tally.entries.iter().map(|(kind, (count, _))| (kind, count)).collect::<std::collections::BTreeMap<_, _>>(),
    })
}

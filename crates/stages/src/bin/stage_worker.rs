//! `stage_worker`: a worker with shipped modules as they were compiled in, for tests and rehearsals that need
//! no build.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use clap::{Arg, ArgAction, Command, value_parser};
use stages::Modules;
use transfer_kit::{Bank, host, output, replay};

fn main() -> ExitCode {
    let matches = Command::new("stage_worker")
        .about("Runs transfers with modules that were compiled in, until Ctrl-C or TERM")
        .after_help("Examples:\n  stage_worker fix-workflow\n  stage_worker --modules crates/worker/src")
        .arg(Arg::new("stage").value_name("STAGE").help("The stage whose modules to run, such as jerry"))
        .arg(
            Arg::new("modules")
                .long("modules")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .default_value("crates/worker/src")
                .conflicts_with("stage")
                .help("Without a stage: run what DIR/workflow.rs and DIR/activities.rs are copies of"),
        )
        .arg(
            Arg::new("replay")
                .long("replay")
                .action(ArgAction::SetTrue)
                .help("Instead, replay the server's transfers, and answer as the learner's tests do"),
        )
        .arg(
            Arg::new("ready-file")
                .long("ready-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Written once the server tells that this worker polls"),
        )
        .get_matches();

    host::block_on(async move {
        let modules = match (matches.get_one::<String>("stage"), matches.get_one::<PathBuf>("modules")) {
            (Some(name), _) => {
                Modules::of(lab::stage(name).with_context(|| format!("there is no stage {name}"))?)
            }
            (None, Some(folder)) => Modules::in_folder(folder)?,
            (None, None) => unreachable!("--modules has a default"),
        };
        if matches.get_flag("replay") {
            return replay_transfers(modules).await;
        }
        let ready_file = matches.get_one::<PathBuf>("ready-file").cloned();
        if let Some(file) = &ready_file {
            host::report_blocking(file);
        }
        let client = host::connect().await?;
        let Modules { workflow, activities } = modules;
        host::run(client, modules.worker_options(Bank::from_env())?, host::termination(), move || {
            output::stdout_line(format_args!(
                "stage_worker polls with workflow/{workflow}.rs and activities/{activities}.rs"
            ));
            ready_file.map_or(Ok(()), |file| host::write_ready_file(&file, &host::task_queue()))
        })
        .await
    })
}

/// What the test of `crates/worker/tests/mine/replay.rs` does, with modules that are compiled in.
async fn replay_transfers(modules: Modules) -> anyhow::Result<()> {
    let server = env::var(contract::replay::SERVER_VARIABLE)
        .with_context(|| format!("{} names no server", contract::replay::SERVER_VARIABLE))?;
    let report = modules.replay(&replay::connect(&server).await?).await?;
    if let Some(file) = env::var_os(contract::replay::REPORT_VARIABLE) {
        report.write(Path::new(&file))?;
    }
    let failed = usize::from(!report.reasons().is_empty());
    let outcome = if failed == 0 { "ok" } else { "FAILED" };
    output::stdout_line(format_args!("test result: {outcome}. {} passed; {failed} failed", 1 - failed));
    ensure!(report.reasons().is_empty(), "{report}");
    Ok(())
}

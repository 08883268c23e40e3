//! `stage_worker`: a worker with a stage's modules as they were compiled in, for tests and rehearsals that
//! leave a learner's files alone.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, Command};
use transfer_kit::{Bank, host};

fn main() -> ExitCode {
    let matches = Command::new("stage_worker")
        .about("Runs transfers with a stage's own modules, until Ctrl-C or TERM")
        .after_help("Example:\n  stage_worker fix-workflow")
        .arg(Arg::new("stage").value_name("STAGE").required(true).help("A stage, such as jerry"))
        .get_matches();
    let name = matches.get_one::<String>("stage").cloned().unwrap_or_default();

    host::block_on(async move {
        let stage = lab::stage(&name).with_context(|| format!("there is no stage {name}"))?;
        let client = host::connect().await?;
        let options = stages::worker_options(stage, Bank::from_env())?;
        let polls = || host::say(format_args!("stage_worker polls as {name}"));
        host::run(client, options, host::termination(), polls).await
    })
}

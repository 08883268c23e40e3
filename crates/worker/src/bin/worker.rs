//! `worker`: runs transfers until it is stopped.

use std::{path::PathBuf, process::ExitCode};

use clap::{Arg, Command, value_parser};
use transfer_kit::{Bank, host, output};
use worker::{activities::MoneyActivities, workflow::MoneyTransferWorkflow};

fn main() -> ExitCode {
    let matches = Command::new("worker")
        .about("Runs transfers: polls the Task Queue until Ctrl-C or TERM")
        .after_help(
            "It connects by TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_PROFILE and temporal.toml, as every Temporal \
             tool does; ACCOUNT_API_URL says where the bank is.\n\nExample:\n  TEMPORAL_ADDRESS=127.0.0.1:7233 worker",
        )
        .arg(
            Arg::new("ready-file")
                .long("ready-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Written once the server reports that this worker polls"),
        )
        .get_matches();
    let ready_file = matches.get_one::<PathBuf>("ready-file").cloned();

    host::block_on(async move {
        if let Some(file) = &ready_file {
            host::report_blocking(file);
        }
        let client = host::connect().await?;
        let namespace = client.options().namespace.clone();
        let mut options = host::options::<MoneyTransferWorkflow, _>(MoneyActivities::new(Bank::from_env()))?;
        host::report_build_id(&mut options, worker::build_id());
        let queue = host::task_queue();
        host::run(client, options, host::termination(), move || {
            output::stdout_line(format_args!("worker polls {queue} in namespace {namespace}"));
            ready_file.map_or(Ok(()), |file| host::write_ready_file(&file, &queue))
        })
        .await?;
        output::stdout_line(format_args!("worker stopped"));
        Ok(())
    })
}

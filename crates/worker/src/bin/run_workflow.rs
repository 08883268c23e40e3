//! `run_workflow`: a worker and one transfer in one process.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use clap::{Arg, Command, value_parser};
use contract::{Amount, Transfer, TransferRequest, TransferResult};
use temporalio_client::{
    Client, WorkflowGetResultOptions, WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::{WorkflowGetResultError, WorkflowStartError},
};
use tokio::sync::oneshot;
use transfer_kit::{Bank, host, input, output, stuck};
use worker::{activities::MoneyActivities, workflow::MoneyTransferWorkflow};

/// Where the Temporal UI of a lab is when nobody says otherwise.
const DEFAULT_UI: &str = "http://127.0.0.1:8233";

/// How long the worker may take to end.
const LONGEST_END: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let matches = Command::new("run_workflow")
        .about("Runs a worker and one transfer in one process, and waits for its result")
        .after_help(
            "It connects by TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_PROFILE and temporal.toml, as every Temporal \
             tool does; ACCOUNT_API_URL says where the bank is.\n\nExample:\n  run_workflow --from account_A --to account_B --amount 25.50",
        )
        .arg(text("from", "ACCOUNT", "The account that the money leaves").default_value("account_A"))
        .arg(text("to", "ACCOUNT", "The account that the money reaches").default_value("account_B"))
        .arg(text("amount", "DOLLARS", "How much").default_value("25.50").value_parser(value_parser!(Amount)))
        .arg(text("workflow-id", "ID", "Its Workflow Id; a transfer of that id is joined"))
        .arg(text("ui-url", "URL", "Where the Temporal UI is, for the link").default_value(DEFAULT_UI))
        .get_matches();
    let get = |name| matches.get_one::<String>(name).cloned();
    let transfer = Transfer {
        from_account: get("from").unwrap_or_default(),
        to_account: get("to").unwrap_or_default(),
        amount: *matches.get_one("amount").expect("it has a default"),
    };
    let workflow_id = get("workflow-id").unwrap_or_else(new_workflow_id);
    let ui = get("ui-url").unwrap_or_default();

    host::block_on(async move {
        let request = TransferRequest::from(&transfer);
        if let Err(refusal) = request.validate() {
            bail!("{refusal}");
        }
        let client = host::connect().await?;
        // Not in this task, which the transfer's own code may block: then a second Ctrl-C ends everything at once.
        tokio::spawn(async {
            host::termination().await;
            host::termination().await;
            std::process::exit(host::INTERRUPTED.into())
        });
        let mut options = host::options::<MoneyTransferWorkflow, _>(MoneyActivities::new(Bank::from_env()))?;
        host::report_build_id(&mut options, worker::build_id());

        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // Sent or dropped, the worker stops.
            let _ = stopped.await;
        };
        let mut working = std::pin::pin!(host::run(client.clone(), options, shutdown, || Ok(())));
        let outcome = tokio::select! {
            worked = &mut working => return worked.and_then(|()| bail!("the worker stopped before the transfer ended")),
            outcome = run_transfer(&client, &workflow_id, request, &ui) => outcome,
            () = host::termination() => {
                output::stdout_line(format_args!(
                    "stopped; the transfer continues when a worker runs. To join it: --workflow-id {workflow_id}"
                ));
                Err(host::interrupted())
            }
        };
        drop(stop);
        // An Activity may never end, such as one of another transfer that this worker has taken.
        match tokio::time::timeout(LONGEST_END, working).await {
            Ok(worked) => worked.and(outcome),
            Err(_) => outcome,
        }
    })
}

/// Starts the transfer, or joins it, and waits for its end.
async fn run_transfer(
    client: &Client,
    workflow_id: &str,
    request: TransferRequest,
    ui: &str,
) -> anyhow::Result<()> {
    // One Workflow Id is one transfer: a command typed once more must not pay once more.
    let options = WorkflowStartOptions::new(host::task_queue(), workflow_id)
        .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
        .build();
    let (word, handle) = match client
        .start_workflow(MoneyTransferWorkflow::run, input(&request), options)
        .await
    {
        Ok(handle) => ("started", handle),
        Err(WorkflowStartError::AlreadyStarted { .. }) => ("joined", client.get_workflow_handle(workflow_id)),
        Err(error) => return Err(error).with_context(|| format!("cannot start the transfer {workflow_id}")),
    };
    let run_id = match handle.run_id() {
        Some(run_id) => run_id.to_owned(),
        None => stuck::current_run(client, workflow_id).await?,
    };
    let namespace = &client.options().namespace;
    let link = match ui.trim_end_matches('/') {
        // The lab may not know the UI of a remote service.
        "" => format!("cargo xtask temporal workflow show --workflow-id {workflow_id}"),
        ui => format!("{ui}/namespaces/{namespace}/workflows/{workflow_id}/{run_id}/history"),
    };
    output::stdout_line(format_args!("{word} {workflow_id}\n  {link}"));

    let mut result = std::pin::pin!(handle.get_result(WorkflowGetResultOptions::default()));
    let mut shown = None;
    let result = loop {
        tokio::select! {
            result = &mut result => break result,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        // If the service does not answer for long, the result says so.
        if let Ok(Some(stuck)) = stuck::why(client, workflow_id, &run_id).await
            && shown.as_ref() != Some(&stuck)
        {
            output::stdout_line(format_args!("stuck: {stuck}"));
            shown = Some(stuck);
        }
    };
    match result {
        Ok(TransferResult { from_account, to_account, amount, .. }) => {
            output::stdout_line(format_args!("completed: {amount} from {from_account} to {to_account}"));
            Ok(())
        }
        Err(WorkflowGetResultError::Failed(failure)) => bail!("the transfer failed: {failure}"),
        Err(error) => Err(error).context("the transfer has no result"),
    }
}

/// A Workflow Id that no other transfer has.
fn new_workflow_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    contract::workflow_id(now.as_secs(), fastrand::u32(..))
}

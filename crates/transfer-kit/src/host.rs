//! The worker around a Workflow and its activities: connection, options, life.

use std::{
    env, fmt,
    path::Path,
    process::{self, ExitCode},
    sync::PoisonError,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use contract::{
    BUILD_ID_VARIABLE, DEPLOYMENT_VARIABLE, TASK_QUEUE, TASK_QUEUE_VARIABLE, WORKFLOW_CACHE_VARIABLE,
};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, GrpcCompression, Url, WorkflowHistory,
    envconfig::LoadClientConfigProfileOptions,
    tonic::{Code, IntoRequest as _},
};
use temporalio_common::{
    WorkflowDefinition,
    protos::temporal::api::{
        deployment,
        enums::v1::TaskQueueType,
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{DescribeTaskQueueRequest, DescribeWorkerDeploymentVersionRequest},
    },
    worker::{VersioningBehavior, WorkerDeploymentOptions, WorkerDeploymentVersion},
};
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    activities::ActivityImplementer,
    runtime::PollerBehavior,
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
    workflows::WorkflowImplementation,
};
use tokio::task::JoinSet;

use crate::{
    blocking,
    panic_location::{self, LastPanic, PanicLocation},
};

/// Connects as every Temporal tool does: by `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_PROFILE`,
/// the TLS and API key variables, and `temporal.toml`.
///
/// # Errors
/// The configuration cannot be read, or no Temporal Service answers there; the message names the address.
pub async fn connect() -> anyhow::Result<Client> {
    let (mut connection, client) = ClientOptions::load_from_config(LoadClientConfigProfileOptions::default())
        .map_err(|error| {
            anyhow!("cannot read the Temporal configuration (TEMPORAL_* variables, temporal.toml): {error}")
        })?;
    let address = connection.target.to_string();
    // Compression pays on a network, not inside one machine.
    if is_loopback(&connection.target) {
        connection.grpc_compression = GrpcCompression::None;
    }
    let connection = Connection::connect(connection).await.map_err(|error| {
        let cause = anyhow::Error::from(error);
        let cause = cause.root_cause();
        anyhow!(
            "no Temporal Service answers at {address}: {cause}; start the lab with: cargo xtask lab start"
        )
    })?;
    Client::new(connection, client).context("the Temporal client could not be made")
}

/// Connects to the Temporal Service at this address, `host:port`, without TLS, in the namespace `default`.
///
/// # Errors
/// None answers there.
pub async fn connect_at(address: &str) -> anyhow::Result<Client> {
    connect_to(address, "default").await
}

/// The same in that namespace.
///
/// # Errors
/// None answers there.
pub async fn connect_to(address: &str, namespace: &str) -> anyhow::Result<Client> {
    let url = Url::parse(&format!("http://{address}")).with_context(|| format!("{address} is no address"))?;
    let options = ConnectionOptions::new(url).grpc_compression(GrpcCompression::None).build();
    let connection = Connection::connect(options)
        .await
        .with_context(|| format!("no Temporal Service answers at {address}"))?;
    Client::new(connection, ClientOptions::new(namespace).build())
        .context("the Temporal client could not be made")
}

fn is_loopback(target: &Url) -> bool {
    matches!(target.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// The Task Queue of this process: what `MONEY_TRANSFER_TASK_QUEUE` says, as where several learners share a namespace, else the
/// one that every lab has.
pub fn task_queue() -> String {
    env::var(TASK_QUEUE_VARIABLE)
        .ok()
        .filter(|queue| !queue.is_empty())
        .unwrap_or_else(|| TASK_QUEUE.to_owned())
}

/// How many Workflows this process keeps in memory between their Workflow Tasks: none, unless `BUGLAB_CACHED_WORKFLOWS` says so.
///
/// Without a cache each Workflow Task replays from the first event, so that code that is not deterministic fails on its first
/// transfer. With one, it fails only once a Workflow leaves the cache, as when a worker is restarted.
fn cached_workflows() -> usize {
    env::var(WORKFLOW_CACHE_VARIABLE).ok().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The Build ID of a worker that runs these two modules: another one if and only if a module's text is another.
pub fn build_id(workflow: &str, activities: &str) -> String {
    // FNV-1a: the same in each process and by each compiler, which the standard library's hasher does not promise.
    let bytes = workflow.bytes().chain([0]).chain(activities.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Has the worker report this Build ID, which the server records in each Workflow Task that the worker completes. If the environment
/// names a Deployment Version ([`DEPLOYMENT_VARIABLE`], [`BUILD_ID_VARIABLE`]), the worker [is one of that version](deploy_as) instead.
pub fn report_build_id(options: &mut WorkerOptions, build_id: String) {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    match (variable(DEPLOYMENT_VARIABLE), variable(BUILD_ID_VARIABLE)) {
        (Some(deployment), Some(version)) => deploy_as(options, &deployment, &version),
        _ => options.deployment_options = WorkerDeploymentOptions::from_build_id(build_id),
    }
}

/// Switches Worker Versioning on: the worker is one of this version of the Worker Deployment, and each Workflow that it begins stays
/// on that version (pinned).
pub fn deploy_as(options: &mut WorkerOptions, deployment: &str, build_id: &str) {
    let version = WorkerDeploymentVersion::builder().deployment_name(deployment).build_id(build_id).build();
    options.deployment_options = WorkerDeploymentOptions::new(version)
        .use_worker_versioning(true)
        .default_versioning_behavior(VersioningBehavior::Pinned)
        .build();
}

/// Has the worker report code that blocks its threads, in its log and in the [file beside](contract::Blocking::file_beside) its ready
/// file.
pub fn report_blocking(ready_file: &Path) {
    blocking::report_to(contract::Blocking::file_beside(ready_file));
}

/// The learner's code that blocks a thread of this process at this moment.
pub fn blocking() -> Vec<contract::Blocking> {
    blocking::now()
}

/// How many polls of each kind a worker has open. Two are enough for a lab; the SDK's default is five, and a service that a class shares
/// would hold those of every learner.
const POLLERS: PollerBehavior = PollerBehavior::SimpleMaximum(2);

/// The options of the lab's worker, with nothing registered yet.
pub fn base_options() -> WorkerOptions {
    panic_location::install_hook();
    WorkerOptions::new(task_queue())
        .workflow_interceptor(panic_location::for_workflows(LastPanic::default()))
        .activity_inbound_interceptor(PanicLocation::default())
        // The default is a checksum of the whole executable, at every start. See `report_build_id`.
        .deployment_options(WorkerDeploymentOptions::from_build_id(env!("CARGO_PKG_VERSION").to_owned()))
        .client_identity_override(format!("worker-{}", process::id()))
        .max_cached_workflows(cached_workflows())
        .workflow_task_poller_behavior(POLLERS)
        .activity_task_poller_behavior(POLLERS)
        // With a cache, a Workflow Task for a worker that was killed waits this long before another gets it.
        .sticky_queue_schedule_to_start_timeout(Duration::from_secs(1))
        // On shutdown an attempt may finish within this time; else the next worker retries it.
        .graceful_shutdown_period(Duration::from_secs(2))
        .build()
}

/// The options of a worker that runs this Workflow and these activities.
///
/// # Errors
/// Two Workflows of one name are registered.
pub fn options<W, A>(activities: A) -> anyhow::Result<WorkerOptions>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
    A: ActivityImplementer,
{
    let mut options = base_options();
    options.register_workflow::<W>()?.register_activities(activities);
    Ok(options)
}

/// Runs this Workflow's code along a recorded Event History, as a worker does that takes a transfer over.
///
/// # Errors
/// The code does not match the history, or panics; the message of a panic names its file and line.
pub async fn replay<W>(history: WorkflowHistory) -> anyhow::Result<()>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    panic_location::install_hook();
    let panicked = LastPanic::default();
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<W>()?
        .workflow_interceptor(panic_location::for_workflows(panicked.clone()))
        .build();
    let replayed = WorkflowReplayer::new(options)?.replay_workflow(history).await;
    // The SDK does not report a panic in the history's last Workflow Task.
    if let Some(message) = panicked.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bail!("Workflow function panicked: {message}");
    }
    Ok(replayed?)
}

/// Runs a worker until `shutdown` is done, then shuts it down gracefully: polls are answered and tasks in progress
/// end, so that none is handed to a worker that is gone.
///
/// `on_polling` is called once the server itself reports that this worker polls, for Workflow Tasks and for
/// Activity Tasks; of a Deployment Version, once the server can route Workflows to it.
///
/// # Errors
/// The namespace does not exist, the worker met something that it cannot go on from, or `on_polling` failed.
pub async fn run(
    client: Client,
    options: WorkerOptions,
    shutdown: impl Future<Output = ()>,
    on_polling: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let runtime = Runtime::from_current_tokio(Default::default())?;
    let polling = polling(client.clone(), &options);
    let mut worker = Worker::new(&runtime, client, options)?;
    let leave = worker.shutdown_handle();

    // A task of its own: Workflow code may block this one, and does so at once where a transfer waits for it.
    let mut announcement = JoinSet::new();
    announcement.spawn(async move {
        polling.await;
        on_polling()
    });
    let (mut working, mut shutdown) = (std::pin::pin!(worker.run()), std::pin::pin!(shutdown));
    let mut announced = Ok(());
    tokio::select! {
        ended = &mut working => return ended.context("the worker stopped"),
        () = &mut shutdown => {}
        Some(done) = announcement.join_next() => {
            announced = done?;
            // A worker that nobody hears of stops: whoever has started it starts another.
            if announced.is_ok() {
                tokio::select! {
                    ended = &mut working => return ended.context("the worker stopped"),
                    () = &mut shutdown => {}
                }
            }
        }
    }
    leave();
    working.await.context("the worker did not shut down gracefully")?;
    announced
}

/// Waits until the server itself reports that a worker with these options polls, for Workflow Tasks and for Activity Tasks; of a
/// Deployment Version, until the server can route Workflows to it.
fn polling(client: Client, options: &WorkerOptions) -> impl Future<Output = ()> + use<> {
    let identity = options.client_identity_override.clone().unwrap_or_default();
    let queue = options.task_queue.clone();
    let version = Some(&options.deployment_options).filter(|deployment| deployment.use_worker_versioning);
    let version = version.map(|deployment| deployment.version.clone());
    async move {
        polls(&client, &identity, &queue).await;
        if let Some(version) = &version {
            can_be_routed_to(&client, version, &queue).await;
        }
    }
}

/// Waits until the server knows of this worker's polls.
async fn polls(client: &Client, identity: &str, queue: &str) {
    for kind in [TaskQueueType::Workflow, TaskQueueType::Activity] {
        let mut wait = Duration::from_millis(10);
        while !is_polled(client, identity, queue, kind).await {
            tokio::time::sleep(wait).await;
            // A service that many share answers only so many of these in a second.
            wait = (wait * 2).min(Duration::from_millis(250));
        }
    }
}

async fn is_polled(client: &Client, identity: &str, queue: &str, kind: TaskQueueType) -> bool {
    let request = DescribeTaskQueueRequest {
        namespace: client.options().namespace.clone(),
        task_queue: Some(TaskQueue { name: queue.to_owned(), ..Default::default() }),
        task_queue_type: kind as i32,
        ..Default::default()
    };
    let answer = client.connection().workflow_service().describe_task_queue(request.into_request()).await;
    answer.is_ok_and(|answer| answer.into_inner().pollers.iter().any(|poller| poller.identity == identity))
}

/// Waits until the server has this Task Queue, for Workflows and for Activities, in the list of the version's. Before that it refuses
/// to ramp the version or to pin a Workflow to it. A service that does not tell is not waited for.
async fn can_be_routed_to(client: &Client, version: &WorkerDeploymentVersion, queue: &str) {
    let mut wait = Duration::from_millis(10);
    loop {
        let request = DescribeWorkerDeploymentVersionRequest {
            namespace: client.options().namespace.clone(),
            deployment_version: Some(deployment::v1::WorkerDeploymentVersion {
                deployment_name: version.deployment_name.clone(),
                build_id: version.build_id.clone(),
            }),
            ..Default::default()
        };
        let mut service = client.connection().workflow_service();
        match service.describe_worker_deployment_version(request.into_request()).await {
            Ok(answer) => {
                let queues = answer.into_inner().version_task_queues;
                if queues.iter().filter(|one| one.name == queue).count() >= 2 {
                    return;
                }
            }
            Err(status) if [Code::PermissionDenied, Code::Unimplemented].contains(&status.code()) => return,
            // It does not know the version yet, or is too busy.
            Err(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(250));
    }
}

/// Completes on Ctrl-C or TERM.
///
/// # Panics
/// Where the process may not listen to signals at all.
pub async fn termination() {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).expect("a process may listen to its own signals");
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Tells a supervisor that the worker polls: writes `text` beside the file and renames it, so that the file is
/// there whole or not at all.
///
/// # Errors
/// The folder cannot be written to.
pub fn write_ready_file(file: &Path, text: &str) -> anyhow::Result<()> {
    files::replace(file, text.as_bytes(), 0o600)
        .with_context(|| format!("cannot write the ready file {}", file.display()))
}

/// The exit code of a command that ended because it was asked to.
pub const INTERRUPTED: u8 = 130;

/// The error of a command that ended because it was asked to: no message, exit code [`INTERRUPTED`].
pub fn interrupted() -> anyhow::Error {
    anyhow!(Interrupted)
}

#[derive(Debug)]
struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Runs a command's future to its end: exit code 0, or 1 with the error and its causes on standard error.
pub fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the asynchronous runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(command);
    // Code that blocks a thread does not hold up the end.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_the_same_for_the_same_modules_and_another_for_any_edit() {
        let id = build_id("workflow", "activities");
        assert_eq!(id, build_id("workflow", "activities"));
        assert_eq!(id.len(), 16);
        for (workflow, activities) in
            [("workflow ", "activities"), ("workflow", "activities\n"), ("workflowa", "ctivities"), ("", "")]
        {
            assert_ne!(id, build_id(workflow, activities), "{workflow:?}, {activities:?}");
        }
    }

    #[test]
    fn a_worker_keeps_no_workflow_in_memory_and_uses_no_worker_versioning() {
        let mut options = base_options();
        report_build_id(&mut options, "a-build".to_owned());
        assert_eq!(options.max_cached_workflows, 0);
        let deployment = &options.deployment_options;
        assert_eq!((&*deployment.version.build_id, deployment.use_worker_versioning), ("a-build", false));
    }
}

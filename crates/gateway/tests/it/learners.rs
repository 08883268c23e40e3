//! Two learners in one namespace, protected from each other's mistakes.

use std::{process::Output, time::Duration};

use lab_client::{
    Endpoints,
    class::{
        self, Polls, Report,
        notices::{self, Notices},
    },
    temporal::Server,
    time,
};
use serde_json::{Value, json};
use stages::Modules;
use testbed::{TestWorker, Testbed, connect, temporal_cli, until};
use tokio::{process::Command, sync::watch};
use transfer_kit::{Bank, host};

use crate::support::{Program, Start};

/// A learner's gateway to the shared server.
async fn learner(testbed: &Testbed, name: &str) -> Program {
    Program::start(Start {
        flags: &["--address", testbed.server_address(), "--learner", name],
        ..Start::default()
    })
    .await
}

/// The CLI, as a learner types it.
async fn cli(address: &str, arguments: &[&str]) -> Output {
    let mut command = Command::from(temporal_cli().command());
    command.args(arguments).args(["--address", address, "--namespace", "default"]);
    command.output().await.expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Starts a Workflow of a learner, without a worker.
async fn start(gateway: &Program, learner: &str, id: &str) {
    start_with(gateway, learner, id, "{}").await;
}

/// Starts a Workflow of a learner with this input.
async fn start_with(gateway: &Program, learner: &str, id: &str, input: &str) {
    let queue = contract::task_queue(Some(learner));
    let started = cli(
        &gateway.grpc,
        &[
            "workflow",
            "start",
            "--type",
            contract::WORKFLOW_TYPE,
            "--task-queue",
            &queue,
            "--workflow-id",
            id,
            "--input",
            input,
        ],
    )
    .await;
    assert!(started.status.success(), "{}", text(&started));
}

async fn status(testbed: &Testbed, id: &str) -> Value {
    testbed.ask_server(&format!("workflows/{id}")).await["workflowExecutionInfo"]["status"].clone()
}

async fn count(gateway: &Program, query: &str) -> Value {
    let path = format!("/api/v1/namespaces/default/workflow-count?query={}", lab_client::http::encode(query));
    gateway.get(&path).await.1["count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_affects_another_learners_transfer() {
    let testbed = Testbed::start().await;
    let (ada, bob) = (learner(&testbed, "ada").await, learner(&testbed, "bob").await);
    start(&bob, "bob", "bob.one").await;
    for order in [
        &["workflow", "terminate", "-w", "bob.one"][..],
        &["workflow", "cancel", "-w", "bob.one"],
        &["workflow", "delete", "-w", "bob.one", "--yes"],
        &["workflow", "signal", "-w", "bob.one", "--name", "x"],
        &["workflow", "reset", "-w", "bob.one", "--type", "FirstWorkflowTask", "--reason", "x"],
        &["workflow", "update", "execute", "-w", "bob.one", "--name", "x"],
        &["activity", "pause", "-w", "bob.one", "--activity-id", "withdraw"],
        &["activity", "reset", "-w", "bob.one", "--activity-id", "withdraw"],
        &["activity", "complete", "-w", "bob.one", "--activity-id", "withdraw", "--result", "1"],
    ] {
        let output = cli(&ada.grpc, order).await;
        let said = text(&output);
        assert!(!output.status.success(), "{order:?}: {said}");
        assert!(said.contains("bob.one is not a transfer of ada"), "{order:?}: {said}");
    }
    // Nor by starting a Workflow with its id that would terminate it, or on its Task Queue.
    let over = |queue: &str| {
        let queue = queue.to_owned();
        let grpc = ada.grpc.clone();
        async move {
            let words = [
                "workflow",
                "start",
                "--type",
                "X",
                "--task-queue",
                &queue,
                "--workflow-id",
                "bob.one",
                "--id-conflict-policy",
                "TerminateExisting",
            ];
            cli(&grpc, &words).await
        }
    };
    for queue in [
        contract::task_queue(Some("ada")),
        contract::task_queue(Some("bob")),
        contract::TASK_QUEUE.to_owned(),
    ] {
        let output = over(&queue).await;
        assert!(!output.status.success() && text(&output).contains("ada"), "{queue}: {}", text(&output));
    }
    // Nor what the instructor tells the class, which everybody may read.
    let everybody = Server::new(&Endpoints::own(&testbed.server.http_url, "", ""));
    let adas = Server::new(&Endpoints::own(&ada.http, "", ""));
    let notices = tokio::task::spawn_blocking(move || {
        let second = |notices: &mut Notices| notices.open = Some("fix-workflow".to_owned());
        let third = |notices: &mut Notices| notices.open = Some("fix-activity".to_owned());
        let error = notices::change(&adas, third).expect_err("before there are any");
        assert!(error.to_string().contains("belongs to somebody else"), "{error}");
        let changed = notices::change(&everybody, second).expect("the instructor may");
        let error = notices::change(&adas, third).expect_err("after there are");
        assert!(error.to_string().contains("belongs to somebody else"), "{error}");
        assert_eq!(notices::read(&adas).expect("they are there"), changed);
    });
    notices.await.expect("it does not panic");
    let output = cli(&ada.grpc, &["workflow", "terminate", "-w", notices::WORKFLOW_ID]).await;
    assert!(!output.status.success() && text(&output).contains("nothing was changed"), "{}", text(&output));
    // Nor what everyone shares.
    for order in [
        &["operator", "search-attribute", "remove", "--name", "from_account", "--yes"][..],
        &["operator", "namespace", "update", "--description", "mine"],
        &["operator", "namespace", "create", "another"],
    ] {
        let output = cli(&ada.grpc, order).await;
        assert!(
            !output.status.success() && text(&output).contains("not allowed for learners"),
            "{order:?}: {}",
            text(&output)
        );
    }
    assert_eq!(status(&testbed, "bob.one").await, "WORKFLOW_EXECUTION_STATUS_RUNNING");
    // Its owner may, and so may the instructor, who has no learner's name.
    let ended = cli(&bob.grpc, &["workflow", "terminate", "-w", "bob.one"]).await;
    assert!(ended.status.success(), "{}", text(&ended));
    start(&bob, "bob", "bob.two").await;
    let ended = cli(testbed.server_address(), &["workflow", "terminate", "-w", "bob.two"]).await;
    assert!(ended.status.success(), "{}", text(&ended));
    // The id of a completed transfer stays its owner's, and so does its run if another learner got the id after all.
    let run =
        testbed.ask_server("workflows/bob.two").await["workflowExecutionInfo"]["execution"]["runId"].clone();
    let run = run.as_str().expect("it has run");
    let own = contract::task_queue(Some("ada"));
    let again = ["workflow", "start", "--type", "X", "--task-queue", &own, "--workflow-id", "bob.two"];
    let output = cli(&ada.grpc, &again).await;
    assert!(text(&output).contains("bob.two is not a transfer of ada"), "{}", text(&output));
    let started = cli(testbed.server_address(), &again).await;
    assert!(started.status.success(), "{}", text(&started));
    let output = cli(&ada.grpc, &["workflow", "delete", "-w", "bob.two", "-r", run, "--yes"]).await;
    assert!(text(&output).contains("bob.two is not a transfer of ada"), "{}", text(&output));
    let output = cli(&ada.grpc, &["workflow", "delete", "-w", "bob.two", "--yes"]).await;
    assert!(output.status.success(), "{}", text(&output));
}

/// A worker of a learner, as this version of a Worker Deployment.
async fn version(
    gateway: &Program,
    learner: &str,
    deployment: &str,
    build_id: &str,
    bank: &str,
) -> TestWorker {
    let client = connect(&gateway.grpc).await;
    let modules = Modules::of(lab::stage("reset-workflows").expect("it is one"));
    let mut options = modules.worker_options(Bank::at(bank)).expect("options");
    options.task_queue = contract::task_queue(Some(learner));
    host::deploy_as(&mut options, deployment, build_id);
    TestWorker::start(&client, options).await
}

/// What a learner's lab asks the server.
async fn ask<T: Send + 'static>(
    gateway: &Program,
    learner: &str,
    ask: impl FnOnce(&Server) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let learner = Some(learner.to_owned());
    let server = Server::new(&Endpoints { learner, ..Endpoints::own(&gateway.http, "", "") });
    tokio::task::spawn_blocking(move || ask(&server)).await.expect("it does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_learner_routes_and_moves_only_their_own_transfers() {
    let testbed = Testbed::start().await;
    let (ada, bob) = (learner(&testbed, "ada").await, learner(&testbed, "bob").await);
    let mut workers = Vec::new();
    for (gateway, name) in [(&ada, "ada"), (&bob, "bob")] {
        let none = ask(gateway, name, Server::deployment).await.expect("the server has Worker Versioning");
        assert_eq!(none, None, "{name}: before a worker polls");
        for build_id in ["1", "2"] {
            let deployment = contract::deployment(Some(name));
            workers.push(version(gateway, name, &deployment, build_id, &testbed.bank_url).await);
        }
        until("both versions are known", || async {
            let known = ask(gateway, name, Server::deployment).await.expect("an answer").unwrap_or_default();
            if known.versions.len() == 2 { Ok(()) } else { Err(known) }
        })
        .await;
        ask(gateway, name, |server| server.set_current("1")).await.expect("it is their own");
        ask(gateway, name, |server| server.set_ramp("2", 20.0)).await.expect("it is their own");
    }
    // The CLI's own commands, on the other's deployment.
    let bobs = contract::deployment(Some("bob"));
    for order in [
        &[
            "worker",
            "deployment",
            "set-current-version",
            "--deployment-name",
            &bobs,
            "--build-id",
            "2",
            "--yes",
        ][..],
        &[
            "worker",
            "deployment",
            "set-ramping-version",
            "--deployment-name",
            &bobs,
            "--build-id",
            "2",
            "--percentage",
            "0",
            "--yes",
        ],
        &["worker", "deployment", "delete-version", "--deployment-name", &bobs, "--build-id", "2"],
        &["worker", "deployment", "delete", "--name", &bobs],
    ] {
        let output = cli(&ada.grpc, order).await;
        let said = text(&output);
        assert!(!output.status.success() && said.contains("nothing was changed"), "{order:?}: {said}");
    }
    let seen = cli(&ada.grpc, &["worker", "deployment", "describe", "--name", &bobs]).await;
    assert!(seen.status.success(), "{}", text(&seen));
    let rolled_back = ask(&ada, "ada", |server| {
        server.set_ramp("2", 0.0)?;
        server.deployment()
    });
    let rolled_back = rolled_back.await.expect("it is ada's").expect("there is one");
    assert_eq!((rolled_back.current.as_deref(), rolled_back.ramping), (Some("1"), None));
    let bobs = ask(&bob, "bob", Server::deployment).await.expect("an answer").expect("there is one");
    assert_eq!(bobs.ramping, Some(("2".to_owned(), 20.0)), "nobody has rolled bob's back");
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_of_many_transfers_and_an_unpin_reach_only_ones_own() {
    let testbed = Testbed::start().await;
    let (ada, bob) = (learner(&testbed, "ada").await, learner(&testbed, "bob").await);
    testbed.put("/outage", json!({ "withdrawals": false, "deposits": true })).await;
    let mut workers = Vec::new();
    for (gateway, name) in [(&ada, "ada"), (&bob, "bob")] {
        let deployment = contract::deployment(Some(name));
        workers.push(version(gateway, name, &deployment, "1", &testbed.bank_url).await);
        until("the version is current", || async {
            ask(gateway, name, |server| server.set_current("1")).await.map_err(|error| error.to_string())
        })
        .await;
        let input = r#"{"from_account":"account_A","to_account":"account_B","amount":5}"#;
        start_with(gateway, name, &format!("{name}.one"), input).await;
        until("the transfer is on version 1", || async {
            let count = ask(gateway, name, |server| server.in_progress_on("1")).await.expect("an answer");
            if count == 1 { Ok(()) } else { Err(count) }
        })
        .await;
    }
    // Of another's transfer, neither by name nor by a query.
    let to_auto = ["--versioning-override-behavior", "auto_upgrade"];
    let by_name = [&["workflow", "update-options", "-w", "bob.one"][..], &to_auto].concat();
    let output = cli(&ada.grpc, &by_name).await;
    assert!(!output.status.success() && text(&output).contains("nothing was changed"), "{}", text(&output));
    let running = "ExecutionStatus=\"Running\"";
    let by_query = [&["workflow", "update-options", "--query", running, "--yes"][..], &to_auto].concat();
    let output = cli(&ada.grpc, &by_query).await;
    assert!(output.status.success(), "{}", text(&output));
    let is_pinned = async |id: &str| {
        let info = testbed.ask_server(&format!("workflows/{id}")).await["workflowExecutionInfo"].clone();
        info["versioningInfo"]["versioningOverride"].is_null()
    };
    until("the batch has reached ada's", || async {
        if is_pinned("ada.one").await { Err("it is pinned") } else { Ok(()) }
    })
    .await;
    assert!(is_pinned("bob.one").await, "a batch of ada's does not reach bob's transfer");
    let runs = ask(&bob, "bob", Server::running).await.expect("an answer");
    let [run] = runs.try_into().expect("bob has one transfer");
    ask(&bob, "bob", move |server| server.unpin(&run)).await.expect("it is bob's own");
    assert!(!is_pinned("bob.one").await);
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_a_batch_cover_only_ones_own_workflows() {
    let testbed = Testbed::start().await;
    let (ada, bob) = (learner(&testbed, "ada").await, learner(&testbed, "bob").await);
    for (gateway, name) in [(&ada, "ada"), (&bob, "bob")] {
        for number in 0..3 {
            start(gateway, name, &format!("{name}.{number}")).await;
        }
    }
    let running = "ExecutionStatus=\"Running\"";
    for gateway in [&ada, &bob] {
        for query in [running, "", "WorkflowId=\"bob.0\" OR WorkflowId=\"ada.0\" OR WorkflowId!=\"x\""] {
            until("one's own are listed", || async {
                let count = count(gateway, query).await;
                if count == "3" { Ok(()) } else { Err(count) }
            })
            .await;
        }
    }
    // Queries for everyone's Workflows and for another learner's affect only one's own.
    for query in [
        "WorkflowType=\"MoneyTransferWorkflow\"",
        "WorkflowId STARTS_WITH \"bob\" OR WorkflowId STARTS_WITH \"ada\"",
    ] {
        let output =
            cli(&ada.grpc, &["workflow", "terminate", "--query", query, "--reason", "x", "--yes"]).await;
        assert!(output.status.success(), "{}", text(&output));
    }
    until("ada's have ended", || async {
        let count = count(&ada, running).await;
        if count == json!(null) || count == "0" { Ok(()) } else { Err(count) }
    })
    .await;
    for number in 0..3 {
        assert_eq!(status(&testbed, &format!("bob.{number}")).await, "WORKFLOW_EXECUTION_STATUS_RUNNING");
    }
    // The learner sees the server's own error for a batch that it rejects.
    let nameless = ["workflow", "signal", "--name", "", "--query", running, "--yes"];
    let refused = cli(&ada.grpc, &nameless).await;
    assert!(
        !refused.status.success() && text(&refused).contains("must provide signal name"),
        "{}",
        text(&refused)
    );
    // A query that would close the parenthesis around it is rejected, even if the closing one looks quoted.
    for query in
        ["WorkflowId=\"x\") OR (WorkflowId!=\"x\"", "WorkflowId=\"x\" /*'*/) OR (WorkflowId!=\"x\" /*'*/"]
    {
        let output = cli(&ada.grpc, &["workflow", "count", "--query", query]).await;
        assert!(!output.status.success(), "{}", text(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_several_learners_at_once_each_get_their_turn() {
    // This server runs one batch at a time per namespace, as others do.
    let testbed = Testbed::start().await;
    let (ada, bob) = (learner(&testbed, "ada").await, learner(&testbed, "bob").await);
    let batch = async |gateway: &Program| {
        let query = "ExecutionStatus=\"Running\"";
        let words = ["workflow", "terminate", "--query", query, "--reason", "x", "--yes"];
        let output = cli(&gateway.grpc, &words).await;
        assert!(output.status.success(), "{}", text(&output));
    };
    // The server detects a running batch by a list, so only sometimes.
    for number in 0..2 {
        let name = |learner: &str| format!("{learner}.{number}");
        start(&ada, "ada", &name("ada")).await;
        start(&bob, "bob", &name("bob")).await;
        tokio::join!(batch(&ada), batch(&bob), batch(&ada), batch(&bob));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_without_news_is_on_the_board_while_its_worker_polls() {
    let testbed = Testbed::start().await;
    let ada = learner(&testbed, "ada").await;
    let instructor =
        Program::start(Start { flags: &["--address", testbed.server_address()], ..Start::default() }).await;
    let report = |learner: &str, worker_polls| Report {
        learner: learner.to_owned(),
        worker_polls,
        ..Report::default()
    };
    for (learner, worker_polls) in [("ada", true), ("bob", true), ("old-lab", false)] {
        let report = report(learner, worker_polls);
        ask(&instructor, learner, move |server| class::send(server, &report)).await.expect("it is taken");
    }
    let silent_at = time::now() + Duration::from_secs_f64(class::SILENT_AFTER);
    // With a version, as in the stage with several.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let deployment = contract::deployment(Some("ada"));
    let worker = version(&ada, "ada", &deployment, "1", &testbed.bank_url).await;
    let poll = ask(&ada, "ada", |server| class::last_poll(server, "ada")).await.expect("it may ask");
    let poll = Duration::from_secs_f64(poll.expect("the worker polls"));
    let presence = async |now: Duration| -> Vec<(String, &str)> {
        let board = ask(&instructor, "", move |server| class::board_at(server, &Polls::default(), now)).await;
        let mut rows = board.expect("it answers").rows;
        rows.sort_by(|a, b| a.report.learner.cmp(&b.report.learner));
        rows.iter().map(|row| (row.report.learner.clone(), row.presence())).collect()
    };
    let of = |ada: &'static str| [("ada", ada), ("bob", "silent"), ("old-lab", "silent")];
    let of = |ada| of(ada).map(|(learner, presence)| (learner.to_owned(), presence));
    assert_eq!(presence(silent_at + Duration::from_secs(1)).await, of("here"));
    worker.stop().await;
    // Its last polls have ended now.
    let end = time::now().max(poll);
    assert_eq!(presence(end + Duration::from_secs_f64(class::SILENT_AFTER + 1.0)).await, of("silent"));
}

/// Slow tests, because rejected workers give up only after a minute: `cargo xtask test --slow`.
mod slow {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_runs_the_transfers_of_its_own_learner() {
        let testbed = Testbed::start().await;
        let (ada, bob) = (learner(&testbed, "ada").await, learner(&testbed, "bob").await);
        let options = |queue: String| {
            let modules = Modules::of(lab::stage("reset-workflows").expect("it is one"));
            let mut options = modules.worker_options(Bank::at(&testbed.bank_url)).expect("options");
            options.task_queue = queue;
            options
        };
        let client = connect(&ada.grpc).await;
        let worker = TestWorker::start(&client, options(contract::task_queue(Some("ada")))).await;
        let input =
            json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 }).to_string();
        for (gateway, name) in [(&bob, "bob"), (&ada, "ada")] {
            start_with(gateway, name, &format!("{name}.one"), &input).await;
        }
        until("ada's completes", || async {
            let status = status(&testbed, "ada.one").await;
            if status == "WORKFLOW_EXECUTION_STATUS_COMPLETED" { Ok(()) } else { Err(status) }
        })
        .await;
        worker.stop().await;
        assert_eq!(status(&testbed, "bob.one").await, "WORKFLOW_EXECUTION_STATUS_RUNNING");
        // A worker for another learner's Task Queue, or for that of a lab without learners, is rejected and ends by itself.
        let own = contract::task_queue(Some("ada"));
        let queues = [contract::task_queue(Some("bob")), contract::TASK_QUEUE.to_owned(), own.clone()];
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = watch::channel(false);
        let workers = queues.map(|queue| {
            let (grpc, options) = (ada.grpc.clone(), options(queue.clone()));
            let (tell, mut stopped) = (tell.clone(), stopped.clone());
            // The SDK's workers are not `Send`.
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(async {
                    let client = connect(&grpc).await;
                    let stopped = async {
                        let _ = stopped.wait_for(|stopped| *stopped).await;
                    };
                    let polls = move || Ok(tell.send(queue)?);
                    transfer_kit::host::run(client, options, stopped, polls).await.is_ok()
                })
            })
        });
        drop(tell);
        until("the first two have ended", || {
            let ended = workers.each_ref().map(|worker| worker.is_finished());
            async move { if ended == [true, true, false] { Ok(()) } else { Err(format!("{ended:?}")) } }
        })
        .await;
        let first = tokio::task::spawn_blocking(move || (told.recv_timeout(Duration::from_secs(120)), told));
        let (first, told) = first.await.expect("it does not panic");
        stop.send(true).expect("ada's own runs");
        let join = || workers.map(|worker| worker.join().expect("it does not panic"));
        assert_eq!(tokio::task::spawn_blocking(join).await.expect("nor this"), [false, false, true]);
        assert_eq!((first, told.try_iter().collect::<Vec<_>>()), (Ok(own), Vec::new()));
    }
}

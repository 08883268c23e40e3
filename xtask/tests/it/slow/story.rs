//! The whole first story, typed as a learner types it, with nothing but real parts: a copy of this checkout, the
//! real server, bank and worker, and cargo building them.
//!
//! The copy starts from what cargo has already compiled here, so only the project's own crates are built again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use checkout::copy;
use serde_json::Value;

use crate::{
    settings,
    support::{Checkout, eventually, is_alive, listeners, pid_in, send_signal, service},
};

#[test]
fn a_learner_fixes_both_bugs_under_a_running_transfer() {
    let mut checkout = real_checkout("story");
    settings::plant(&mut checkout);
    let before = checkout.read(lab::LIVE_WORKFLOW);
    checkout.start();
    let found = listeners(&checkout.pids());
    assert!(found.len() > checkout.ports.len(), "{found:?}");
    assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");

    // The transfer without Temporal, from the page: it loses money, and none of the lab's.
    let url = format!("http://127.0.0.1:{}/api/without-temporal", checkout.ports[3]);
    let runs = minreq::post(url).with_timeout(300).send().expect("the page answers");
    let runs: Value = serde_json::from_slice(runs.as_bytes()).expect("it is JSON");
    assert_eq!(runs["missing"], 25.5, "{runs}");
    assert_eq!(balances(&checkout), (1000.0, 500.0));

    // Jerry's division: the Workflow Task fails, and the failure names the learner's own file and line.
    let started = checkout.run(&["transfer", "account_A", "account_B", "25.50", "--json"]).json();
    let workflow_id = started["workflow_id"].as_str().expect("it has an id").to_owned();
    let stuck = stuck(&checkout, "workflow_task");
    let failure = stuck["failure"].as_str().expect("it says why");
    assert_eq!(stuck["workflow_id"], workflow_id.as_str());
    assert!(failure.contains("divide by zero, at crates/worker/src/workflow.rs:"), "{failure}");

    // The page shows the same.
    let row = on_the_page(&checkout, &workflow_id);
    assert_eq!(
        (&row["status"], &row["stuck"]["kind"]),
        (&"RUNNING".into(), &"workflow_task".into()),
        "{row}"
    );
    let place = row["stuck"]["place"].as_str().expect("it names a file and a line");
    assert!(place.starts_with("crates/worker/src/workflow.rs:"), "{place}");

    // The learner's tests find both bugs, each in its module, and the transfer that the first one breaks.
    let tested = checkout.run(&["test", "--mine", "--json"]);
    assert_eq!(tested.code, Some(1), "{tested:#?}");
    let report: Value = serde_json::from_str(&tested.stdout).expect("it is JSON");
    assert_eq!((&report["ok"], &report["replay"]["replayed"]), (&false.into(), &1.into()), "{report}");
    let broken = &report["replay"]["broken"][0];
    assert_eq!(broken["workflow_id"], workflow_id.as_str());
    let why = broken["why"].as_str().expect("it says why");
    assert!(why.contains("divide by zero, at crates/worker/src/workflow.rs:"), "{why}");
    let result = |test: &str| {
        let line = tested.stderr.lines().find(|line| line.starts_with(&format!("test {test} ... ")));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or("missing").to_owned()
    };
    for (test, expected) in [
        ("activities::deposit_gives_the_money_once", "ok"),
        ("activities::withdraw_takes_the_money_once", "FAILED"),
        ("workflow::a_transfer_completes_and_moves_the_money_once", "FAILED"),
        ("replay::this_change_breaks_no_transfer_in_progress", "FAILED"),
    ] {
        assert_eq!(result(test), expected, "{test}: {}", tested.stderr);
    }

    // A typing mistake: the old worker goes on.
    let source = String::from_utf8(before).expect("it is text");
    let worker = pid_in(service(&checkout.status(), "worker"));
    checkout.write(lab::LIVE_WORKFLOW, source.replace("elapsed / (done - 1)", "elapsed / (done -"));
    eventually("the failed build is told", || checkout.status()["build"] == "failed");
    assert!(is_alive(worker));
    let error = checkout.status()["build_errors"][0].take();
    assert!(error["excerpt"].as_str().is_some_and(|shown| shown.contains("elapsed / (done -")), "{error}");

    // Code that hangs: the worker names the line, and the next save replaces it.
    checkout.write(
        lab::LIVE_WORKFLOW,
        source.replace("elapsed / (done - 1)", "{ std::thread::sleep(Duration::from_secs(600)); elapsed }"),
    );
    eventually("the line that blocks is told", || {
        let status = checkout.status();
        let place = status["blocking"][0]["place"].as_str().unwrap_or_default();
        place.starts_with("crates/worker/src/workflow.rs:") && pid_in(service(&status, "worker")) != worker
    });
    let hanging = pid_in(service(&checkout.status(), "worker"));
    let checked = checkout.run(&["check"]).stdout;
    assert!(
        checked.contains("the worker runs and does not answer: your Workflow code blocks at"),
        "{checked}"
    );

    // A fix of the learner's own, only saved: the lab does the rest.
    let own_fix = source.replace("elapsed / (done - 1)", "elapsed / done");
    assert_ne!(own_fix, source);
    checkout.write(lab::LIVE_WORKFLOW, &own_fix);
    let stuck = self::stuck(&checkout, "activity");
    let failure = stuck["failure"].as_str().expect("it says why");
    assert!(failure.contains("crates/worker/src/activities.rs:"), "{failure}");
    assert!(failure.contains("Connection refused"), "{failure}");
    assert_eq!(balances(&checkout), (1000.0, 500.0));
    let told = checkout.run(&["test", "--mine", "--replay"]).ok();
    assert!(told.ends_with("breaks nothing in progress: 1 transfer in progress replays\n"), "{told}");

    // The worker is killed: the transfer waits, and another worker is there at once.
    let worker = pid_in(service(&checkout.status(), "worker"));
    send_signal(worker, "KILL");
    eventually("another worker runs", || {
        let status = checkout.status();
        let worker_now = service(&status, "worker");
        worker_now["state"] == "running" && pid_in(worker_now) != hanging
    });
    assert_eq!(checkout.status()["blocking"], Value::Array(Vec::new()));

    // The shipped fix for the other bug, from the page, which shows the learner's own Workflow first and saves it.
    let page = format!("http://127.0.0.1:{}/api", checkout.ports[3]);
    let question = get(checkout.ports[3], "api/stage/fix-activity");
    let edit = format!("{}", question["edit"]);
    assert!(edit.contains("elapsed / done"), "{question}");
    assert_eq!(checkout.read(lab::LIVE_WORKFLOW), own_fix.as_bytes(), "nothing is replaced yet");
    let entered = post(&format!("{page}/stage"), r#"{"name": "fix-activity", "keep": false}"#);
    let saved = entered["saved"]["id"].as_str().expect("the learner's version is saved").to_owned();
    // And the fix of what is still wrong there.
    let fixed = lab::activities_variants().find(|variant| variant.name == "fixed").expect("a shipped module");
    checkout.write(lab::LIVE_ACTIVITIES, fixed.source);
    eventually("the fix is deployed", || {
        let status = checkout.status();
        status["undeployed"] == false && status["build"] == "ok"
    });
    checkout.run(&["retry"]).ok();
    eventually("the transfer completes", || checkout.status()["stuck"] == Value::Array(Vec::new()));
    eventually("the money has moved", || balances(&checkout) == (974.5, 525.5));
    // The deposit is made before its transfer has completed.
    let mut row = Value::Null;
    eventually("the page has its result", || {
        row = on_the_page(&checkout, &workflow_id);
        row["status"] == "COMPLETED"
    });
    assert_eq!(row["result"]["success"], true, "{row}");
    // Several builds have run that transfer, so no replay can judge by it; another one is of the deployed code alone.
    let told = checkout.run(&["test", "--mine"]).ok();
    assert!(told.contains("tests passed, but nothing was replayed: no transfer is in progress"), "{told}");
    assert!(told.contains("not replayed: 1 completed transfer that other code ran"), "{told}");
    let told = checkout.run(&["test", "--mine", "--replay"]);
    assert!(
        told.code == Some(1) && told.stdout.contains("\nnothing was replayed, so this says"),
        "{told:#?}"
    );
    assert_eq!(balances(&checkout), (974.5, 525.5));
    checkout.run(&["transfer", "account_E", "account_F", "1", "--wait"]).ok();
    eventually("the server lists that it has completed", || {
        let told = checkout.run(&["test", "--mine", "--replay"]);
        told.stdout.contains("breaks nothing: none in progress, 1 completed transfer replays\n")
    });

    // What can never work fails at once, and says why.
    let refused = checkout.run(&["transfer", "account_A", "account_B", "5000", "--wait"]);
    assert!(format!("{refused:?}").contains("Insufficient funds"), "{refused:?}");
    assert_eq!(refused.code, Some(1));
    // A worker and a transfer in one process.
    let told = checkout.run(&["run-workflow", "--from=account_C", "--to=account_D", "--amount=1"]).ok();
    assert!(told.contains("completed: 1.00 from account_C to account_D"), "{told}");
    assert_eq!(told.matches("/history").count(), 1, "its link is printed once: {told}");

    // The learner's own fix comes back.
    let backups = checkout.run(&["stage", "restore", "--json"]).json();
    assert_eq!(find_id(&backups), Some(saved.clone()));
    let restored = post(&format!("{page}/saved-edits/{saved}"), "{}");
    assert_eq!(restored["build_failed"], false, "{restored}");
    assert_eq!(restored["stage"], "fix-activity", "{restored}");
    assert_eq!(checkout.read(lab::LIVE_WORKFLOW), own_fix.as_bytes());

    // As new: Jerry's modules, the balances of the start, no history.
    checkout.run(&["reset", "--yes"]).ok();
    assert_eq!(checkout.read(lab::LIVE_WORKFLOW), source.as_bytes());
    assert_eq!(balances(&checkout), (1000.0, 500.0));
    let status = checkout.status();
    assert_eq!((&status["stage"], &status["stuck"]), (&"jerry".into(), &Value::Array(Vec::new())));

    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}

/// Waits until a transfer is stuck on that kind of task, and returns what `lab status --json` says of it.
fn stuck(checkout: &Checkout, kind: &str) -> Value {
    let mut found = Value::Null;
    eventually("a transfer is stuck", || {
        let status = checkout.status();
        found = status["stuck"][0].clone();
        found["kind"] == kind
    });
    found
}

/// What account_A and account_B hold.
fn balances(checkout: &Checkout) -> (f64, f64) {
    let [_, _, bank, _] = checkout.ports;
    let balance = |account| {
        let account = get(bank, &format!("accounts/{account}"));
        account["balance"].as_f64().expect("a balance is a number")
    };
    (balance("account_A"), balance("account_B"))
}

/// What the page has of a transfer.
fn on_the_page(checkout: &Checkout, workflow_id: &str) -> Value {
    let [_, _, _, page] = checkout.ports;
    get(page, &format!("api/workflows/{workflow_id}"))
}

fn get(port: u16, path: &str) -> Value {
    let answer = minreq::get(format!("http://127.0.0.1:{port}/{path}")).send().expect("the service answers");
    serde_json::from_slice(answer.as_bytes()).expect("it answers with JSON")
}

fn post(url: &str, body: &str) -> Value {
    let request = minreq::post(url).with_header("Content-Type", "application/json").with_body(body);
    let answer = request.with_timeout(300).send().expect("the page answers");
    serde_json::from_slice(answer.as_bytes()).expect("it answers with JSON")
}

fn find_id(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(find_id),
        Value::Object(fields) => {
            let id = fields.get("id").and_then(Value::as_str).map(str::to_owned);
            id.or_else(|| fields.values().find_map(find_id))
        }
        _ => None,
    }
}

/// A copy of this checkout, with what cargo has compiled here as hard links.
pub(crate) fn real_checkout(name: &str) -> Checkout {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the project's folder");
    let to = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name} {}", std::process::id()));
    let _ = fs::remove_dir_all(&to);
    copy::sources(project, &to).expect("the project can be copied");
    let compiled = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().expect("it is in a folder");
    copy::compiled(compiled, &to).expect("what is compiled can be taken along");
    // The live modules as they are shipped, whatever is edited here.
    let jerry = &lab::STAGES[0];
    fs::write(to.join(lab::LIVE_WORKFLOW), jerry.workflow.source).expect("a copy can be written");
    fs::write(to.join(lab::LIVE_ACTIVITIES), jerry.activities.source).expect("a copy can be written");
    Checkout::of(to)
}

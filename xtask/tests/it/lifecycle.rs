//! Starting, stopping and killing a lab.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lab_client::time;
use serde_json::{Value, json};

use supervisor::logs::without_time;

use crate::support::{
    Checkout, Foreground, assert_ends, eventually, is_alive, outcome, pid_in, send_signal, service,
};

#[test]
fn a_detached_lab_prints_its_addresses_and_stop_leaves_nothing() {
    let checkout = Checkout::new("start-stop");
    let summary = checkout.start();
    for port in checkout.ports {
        assert!(summary.contains(&port.to_string()), "{summary}");
    }
    assert!(summary.contains("jerry") && summary.contains("cargo xtask transfer"), "{summary}");

    let status = checkout.status();
    assert_eq!(status["stage"], "jerry");
    assert_eq!(status["stuck"], json!([]));
    for name in lab_client::state::SERVICES {
        let service = service(&status, name);
        assert_eq!(service["state"], "running", "{status}");
        assert!(is_alive(pid_in(service)));
    }
    assert_eq!(service(&status, "temporal")["address"], format!("127.0.0.1:{}", checkout.ports[0]));
    assert_eq!(service(&status, "account-api")["url"], format!("http://127.0.0.1:{}", checkout.ports[2]));
    assert!(service(&status, "worker")["address"].is_null());

    for (path, mode) in [(".lab", 0o700), (".lab/lab.json", 0o600)] {
        let found = fs::metadata(checkout.path(path)).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }

    let pids = checkout.pids();
    assert_eq!(pids.len(), 5);
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
    assert_eq!(service(&checkout.status(), "worker")["state"], "stopped");
}

#[test]
fn a_second_start_fails_and_names_the_running_lab() {
    let checkout = Checkout::new("second");
    checkout.start();
    let pids = checkout.pids();
    for flags in [vec!["--detach"], vec![]] {
        let error = outcome(checkout.start_command(&flags)).fails_with(1);
        for part in ["runs already", "cargo xtask lab stop", &format!("127.0.0.1:{}", checkout.ports[1])] {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.contains(&format!("pid {}", pids.last().expect("there is a supervisor"))), "{error}");
    }
    assert_eq!(checkout.pids(), pids);
}

#[test]
fn after_a_kill_of_the_supervisor_the_next_command_cleans_up() {
    let checkout = Checkout::new("killed");
    checkout.start();
    let pids = checkout.pids();
    let supervisor = pid_in(&checkout.state()["supervisor"]);
    send_signal(supervisor, "KILL");
    eventually("the supervisor is gone", || !is_alive(supervisor));

    let status = checkout.run(&["lab", "status"]);
    for name in lab_client::state::SERVICES {
        assert!(status.stderr.contains(&format!("{name} (pid ")), "{status:?}");
    }
    checkout.assert_nothing_is_left(&pids);
    assert!(status.ok().contains("is not running"));

    checkout.start();
    assert_eq!(service(&checkout.status(), "worker")["state"], "running");
}

#[test]
fn a_recorded_id_that_belongs_to_another_program_is_not_touched() {
    let checkout = Checkout::without_server("stale");
    let mut bystander = Command::new("sleep").arg("600").process_group(0).spawn().expect("sleep is there");
    let recorded = json!({ "name": "worker", "pid": bystander.id(), "started": "before the reboot" });
    let state = json!({
        "supervisor": { "pid": bystander.id(), "started": "before the reboot" },
        "control_port": 1, "token": "", "ready": true, "ports": {}, "services": [recorded],
    });
    checkout.write(".lab/lab.json", state.to_string());
    let status = checkout.run(&["lab", "status"]);
    assert!(status.stderr.contains("nothing of it was left"), "{status:?}");
    status.ok();
    assert!(matches!(bystander.try_wait(), Ok(None)), "the bystander was ended");
    assert!(!checkout.path(".lab/lab.json").exists());
    bystander.kill().expect("it is this test's own");
    bystander.wait().expect("it is this test's own");
}

#[test]
fn ctrl_c_in_the_foreground_leaves_nothing() {
    let checkout = Checkout::new("ctrl-c");
    let mut lab = Foreground::start(&checkout);
    let pids = checkout.pids();
    eventually("the stream has the worker's words, with the time", || {
        lab.output().lines().any(|line| {
            let line = line.strip_prefix("worker       | ").unwrap_or_default();
            without_time(line) != line && line.contains("stand-in worker")
        })
    });
    let build = checkout.run(&["lab", "logs", "build"]);
    assert!(build.stdout.is_empty() && build.stderr.starts_with("no build yet"), "{build:?}");
    let figures = lab.output().lines().filter(|line| line.contains("the lab is ready after")).count();
    assert!(figures == 1 && !lab.output().contains("everything is ready"), "{}", lab.output());
    send_signal(lab.process.id(), "INT");
    let status = lab.process.wait().expect("it is this test's own");
    assert!(status.success(), "{status}\n{}", lab.output());
    assert!(lab.output().contains("none of the lab's processes is left"), "{}", lab.output());
    checkout.assert_nothing_is_left(&pids);
}

/// A checkout whose first build does not end, because of its build script.
fn with_an_endless_build(name: &str) -> Checkout {
    let checkout = Checkout::new(name);
    checkout.write("crates/worker/build.rs", "fn main() { loop { std::thread::park() } }");
    checkout
}

/// Starts it and waits until the build script runs; returns the start and the supervisor's id.
fn start_endless_build(checkout: &Checkout) -> (Child, u32) {
    let start =
        checkout.start_command(&["--detach"]).stderr(Stdio::null()).spawn().expect("the program is there");
    eventually("it builds", || builds(checkout));
    let supervisor = pid_in(&checkout.state()["supervisor"]);
    (start, supervisor)
}

/// Whether a build script of the checkout runs.
fn builds(checkout: &Checkout) -> bool {
    let scripts = checkout.path("target");
    let scripts = scripts.to_str().expect("it is text");
    let all = Command::new("ps").args(["-A", "-o", "stat=,args="]).output().expect("ps is there");
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    all.lines().any(|line| line.contains(scripts) && line.contains("build-script") && !line.starts_with('Z'))
}

#[test]
fn term_during_the_first_build_leaves_nothing() {
    let checkout = with_an_endless_build("term-build");
    let (mut start, supervisor) = start_endless_build(&checkout);
    send_signal(start.id(), "TERM");
    assert_eq!(start.wait().expect("it is this test's own").code(), Some(1));
    checkout.assert_nothing_is_left(&[supervisor]);
    assert!(!builds(&checkout), "the build goes on");
}

#[test]
fn after_a_kill_of_the_supervisor_the_next_command_ends_its_build_too() {
    let checkout = with_an_endless_build("killed-build");
    let (mut start, supervisor) = start_endless_build(&checkout);
    let pids = checkout.pids();
    send_signal(supervisor, "KILL");
    start.wait().expect("it is this test's own");
    assert!(builds(&checkout));
    let status = checkout.run(&["lab", "status"]);
    assert!(status.stderr.contains("build (pid "), "{status:?}");
    checkout.assert_nothing_is_left(&pids);
    assert!(!builds(&checkout), "the build goes on");
}

#[test]
fn a_lab_whose_folder_is_deleted_ends_by_itself_and_says_so() {
    let checkout = Checkout::new("deleted");
    let mut lab = Foreground::start(&checkout);
    let pids = checkout.pids();
    fs::remove_dir_all(checkout.path(".lab"))
        .or_else(|_| fs::remove_dir_all(checkout.path(".lab")))
        .expect("it can be deleted");
    let status = lab.process.wait().expect("it is this test's own");
    assert_eq!(status.code(), Some(1));
    assert!(lab.output().contains(".lab was deleted"), "{}", lab.output());
    checkout.assert_nothing_is_left(&pids);
}

#[test]
fn a_service_that_cannot_be_started_is_retried_with_backoff_and_blocks_no_other() {
    let checkout = Checkout::new("spawn");
    checkout.start();
    // Its log cannot be opened.
    fs::rename(checkout.path(".lab/logs"), checkout.path(".lab/away")).expect("it is there");
    checkout.write(".lab/logs", "");
    let bank = pid_in(service(&checkout.status(), "account-api"));
    let begin = Instant::now();
    send_signal(bank, "KILL");
    let mut status = Value::Null;
    eventually("three starts have failed", || {
        status = checkout.status();
        service(&status, "account-api")["restarts"].as_u64() >= Some(4)
    });
    // They come after 0.2, 0.4 and 0.8 s: a busy machine needs longer, and only a program without the backoff less.
    assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
    assert_eq!(service(&status, "account-api")["state"], "restarting");
    assert_eq!(service(&status, "worker")["state"], "running");
    let journal = checkout.read_text(".lab/away/supervisor.log");
    assert!(journal.contains("account-api could not be started (could not"), "{journal}");
    assert!(checkout.run(&["lab", "restart", "account-api"]).fails_with(1).contains("could not be started"));

    fs::remove_file(checkout.path(".lab/logs")).expect("it is there");
    eventually("it runs again", || service(&checkout.status(), "account-api")["state"] == "running");
}

#[test]
fn a_killed_service_is_restarted_and_reported() {
    let checkout = Checkout::new("restart");
    checkout.start();
    let first = pid_in(service(&checkout.status(), "worker"));
    send_signal(first, "KILL");
    eventually("another worker runs", || {
        let status = checkout.status();
        let worker = service(&status, "worker");
        worker["state"] == "running" && worker["restarts"] == 1 && pid_in(worker) != first
    });
    assert!(checkout.log("supervisor").contains("worker ended (signal 9)"), "{}", checkout.log("supervisor"));
    let text = checkout.run(&["lab", "status"]).ok();
    assert!(text.contains("restarted once"), "{text}");

    let second = pid_in(service(&checkout.status(), "worker"));
    checkout.run(&["lab", "restart", "worker"]).ok();
    assert_ne!(pid_in(service(&checkout.status(), "worker")), second);
    assert!(!is_alive(second));
}

#[test]
fn waiting_for_a_worker_times_out_after_a_minute() {
    let checkout = Checkout::new("never-ready");
    checkout.start();
    checkout.write("crates/worker/src/main.rs", "fn main() { loop { std::thread::park() } }");
    let error = checkout.run(&["stage", "fix-workflow", "--bare"]).fails_with(1);
    assert!(error.contains("worker was not ready within 1 min; see: cargo xtask lab logs worker"), "{error}");
    // Since the former worker ended, which is after the build: that takes as long as the machine needs. Twice the wait would be too much.
    let stopped = checkout.status()["deployment"]["stopped"].as_f64().expect("it is a number");
    let waited = time::now().as_secs_f64() - stopped;
    assert!(waited < 120.0, "{waited}");
}

#[test]
fn the_history_survives_a_killed_server() {
    let checkout = Checkout::new("kill-server");
    checkout.start();
    checkout.run(&["transfer", "account_A", "account_B", "25.50", "--workflow-id", "kept"]).ok();
    send_signal(pid_in(service(&checkout.status(), "temporal")), "KILL");
    eventually("the server is back, with its history", || {
        let status = checkout.status();
        service(&status, "temporal")["restarts"] == 1 && status["transfers_running"] == 1
    });
}

#[test]
fn if_the_server_does_not_answer_the_transfers_are_unknown() {
    let checkout = Checkout::new("silent");
    assert!(checkout.status()["transfers_running"].is_null());
    checkout.start();
    assert_eq!(checkout.status()["transfers_running"], 0);
    let server = pid_in(service(&checkout.status(), "temporal"));
    send_signal(server, "STOP");
    let status = checkout.run(&["lab", "status", "--json"]);
    let text = checkout.run(&["lab", "status"]);
    send_signal(server, "CONT");
    let status = status.json();
    assert_eq!((&status["transfers_running"], &status["stuck"]), (&Value::Null, &json!([])));
    assert!(text.ok().contains("transfers unknown"));
}

#[test]
fn a_worker_that_does_not_compile_is_named_last_and_starts_once_it_compiles() {
    let checkout = Checkout::new("not-compiling");
    let source = checkout.read_text("crates/worker/src/main.rs");
    checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "one"));
    let summary = checkout.start();
    assert!(
        summary.contains("the lab is ready after") && summary.contains("except for the worker"),
        "{summary}"
    );
    let last: Vec<&str> = summary.trim_end().lines().rev().take(2).collect();
    assert!(last[1].contains("the build failed: cannot find value `one`"), "{summary}");
    assert!(last[1].contains("at crates/worker/src/main.rs:5:"), "{summary}");
    assert!(last[0].contains("fix it and save"), "{summary}");

    let status = checkout.status();
    assert_eq!(
        (&status["build"], &service(&status, "worker")["state"]),
        (&json!("failed"), &json!("stopped"))
    );
    for name in ["temporal", "account-api", "transfer-web"] {
        assert_eq!(service(&status, name)["state"], "running", "{status}");
    }
    let transfer = checkout.run(&["transfer", "account_A", "account_B", "25.50"]);
    assert!(transfer.stderr.contains("the last build failed, so no worker is running"), "{transfer:?}");
    transfer.ok();
    let restart = checkout.run(&["lab", "restart", "worker"]).fails_with(1);
    assert!(restart.contains("was not restarted: the build failed"), "{restart}");
    let restarted = checkout.run(&["lab", "restart"]).ok();
    assert_eq!(restarted.trim_end(), "restarted: temporal, account-api, transfer-web");

    checkout.write("crates/worker/src/main.rs", source);
    eventually("the worker runs", || {
        let status = checkout.status();
        status["build"] == "ok" && service(&status, "worker")["state"] == "running"
    });
    assert!(checkout.status()["build_error"].is_null());
}

#[test]
fn a_bank_that_does_not_compile_keeps_the_lab_from_starting() {
    let checkout = Checkout::new("no-bank");
    checkout.write("crates/account-api/src/main.rs", "fn main() { nothing }");
    let error = outcome(checkout.start_command(&["--detach"])).fails_with(1);
    assert!(error.contains("crates/account-api/src/main.rs:1:13, so the lab did not start"), "{error}");
    checkout.assert_nothing_is_left(&[]);
}

#[test]
fn a_restart_of_the_bank_says_what_it_ended() {
    let checkout = Checkout::new("ended-faults");
    checkout.start();
    assert!(checkout.status()["ended_faults"].is_null());
    // As the bank notes it; `account-api` has a test of that.
    let on = r#"{"real_world_mode":{"enabled":true},"outage":{"withdrawals":false,"deposits":true}}"#;
    let words = "the restart of the bank ended Real World Mode and the outage of deposits";
    checkout.write(".lab/bank-faults.json", on);
    send_signal(pid_in(service(&checkout.status(), "account-api")), "KILL");
    eventually("it is in the status", || {
        checkout.status()["ended_faults"]["what"] == "Real World Mode and the outage of deposits"
    });
    assert!(checkout.log("supervisor").contains(words), "{}", checkout.log("supervisor"));
    assert!(!checkout.path(".lab/bank-faults.json").exists());

    // Also where the lab was stopped in between.
    checkout.run(&["lab", "stop"]).ok();
    checkout.write(".lab/bank-faults.json", on);
    let start = outcome(checkout.start_command(&["--detach"]));
    assert!(start.stderr.contains(words), "{start:?}");
    let status = checkout.run(&["lab", "status"]).ok();
    assert!(status.contains(words), "{status}");
}

#[test]
fn every_line_of_a_log_that_the_lab_writes_has_one_time() {
    let checkout = Checkout::new("times");
    checkout.start();
    checkout.write("crates/worker/src/main.rs", "fn main() {}");
    eventually("the build is logged", || checkout.log("build").contains("Finished"));
    for name in ["supervisor", "build", "worker", "account-api", "transfer-web"] {
        let log = checkout.run(&["lab", "logs", name]).ok();
        assert!(!log.is_empty(), "{name}");
        for line in log.lines() {
            let rest = without_time(line);
            assert!(rest != line && without_time(rest) == rest, "{name}: {line}");
        }
    }
}

#[test]
fn a_service_that_fails_to_start_is_reported_and_nothing_is_left() {
    let checkout = Checkout::new("cannot");
    checkout.write("crates/worker/src/main.rs", "fn main() { panic!(\"the moon is in the wrong phase\") }");
    let error = outcome(checkout.start_command(&["--detach"])).fails_with(1);
    assert!(error.contains("worker ended before it was ready (exit code 101)"), "{error}");
    assert!(error.contains("the moon is in the wrong phase"), "{error}");
    checkout.assert_nothing_is_left(&[]);
}

#[test]
fn a_fresh_start_has_an_empty_history_and_keeps_backups() {
    let checkout = Checkout::new("fresh");
    checkout.start();
    checkout.run(&["transfer", "account_A", "account_B", "25.50"]).ok();
    checkout.run(&["lab", "stop"]).ok();
    checkout.write(".lab/backup/20260101T000000Z-jerry/workflow.rs", "mine");
    checkout.start();
    eventually("the transfer is listed", || checkout.status()["transfers_running"] == 1);
    checkout.run(&["lab", "stop"]).ok();
    outcome(checkout.start_command(&["--detach", "--fresh"])).ok();
    assert_eq!(checkout.status()["transfers_running"], 0);
    assert_eq!(checkout.read(".lab/backup/20260101T000000Z-jerry/workflow.rs"), b"mine");
}

#[test]
fn a_start_on_a_damaged_database_says_how_to_start_without_it() {
    let checkout = Checkout::new("damaged");
    checkout.write(".lab/temporal.db", [7_u8; 8192]);
    let error = outcome(checkout.start_command(&["--detach"])).fails_with(1);
    assert!(error.contains("not a database") && error.contains("cargo xtask lab start --fresh"), "{error}");
    outcome(checkout.start_command(&["--detach", "--fresh"])).ok();
}

#[test]
fn two_labs_of_one_checkout_run_side_by_side() {
    let checkout = Checkout::new("two");
    checkout.start();
    let other = Checkout::without_server("two-other");
    let in_other = |arguments: &[&str]| {
        let mut command = checkout.xtask(arguments);
        command.env("BUGLAB_DIR", other.path(".lab"));
        command
    };
    let mut start = in_other(&["lab", "start", "--detach"]);
    start.args(other.port_flags());
    outcome(start).ok();
    let status = outcome(in_other(&["lab", "status", "--json"])).json();
    assert_eq!(service(&status, "temporal")["address"], format!("127.0.0.1:{}", other.ports[0]));
    outcome(in_other(&["lab", "stop"])).ok();
    other.assert_nothing_is_left(&[]);
    assert_eq!(service(&checkout.status(), "temporal")["state"], "running");
}

#[test]
fn following_logs_ends_with_the_reader() {
    use std::io::{BufRead, BufReader};

    let checkout = Checkout::new("follow");
    checkout.start();
    let mut command = checkout.xtask(&["lab", "logs", "supervisor", "-f"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program is there");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("transfer-web is ready")));
    send_signal(pid_in(service(&checkout.status(), "worker")), "KILL");
    assert!(lines.any(|line| line.contains("worker ended (signal 9)")));
    drop(lines);
    assert_ends(&mut child);
}

#[test]
fn following_a_log_ends_with_the_reader_although_nothing_more_is_written() {
    use std::io::{BufRead, BufReader};

    let checkout = Checkout::without_server("follow-quiet");
    checkout.write(".lab/logs/worker.log", "the last line\n");
    let mut command = checkout.xtask(&["lab", "logs", "worker", "-f"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program is there");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("the last line"));
    drop(lines);
    assert_ends(&mut child);
}

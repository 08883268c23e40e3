//! A supervisor that is stopped, as by Ctrl-Z: nothing waits for it, nothing is changed that it would have to build, and everything
//! says how to continue it.

use std::{
    fs,
    net::TcpStream,
    time::{Duration, Instant},
};

use lab::{LIVE_ACTIVITIES, LIVE_WORKFLOW};

use crate::{
    held::Running,
    support::{Checkout, eventually, pid_in, send_signal, service},
};

/// Stops the supervisor of the checkout, and returns its process id.
fn stop_supervisor(checkout: &Checkout) -> u32 {
    let supervisor = pid_in(&checkout.state()["supervisor"]);
    send_signal(supervisor, "STOP");
    eventually("it is stopped", || lab_client::supervisor::is_stopped(supervisor));
    supervisor
}

/// Whether a client waits at this port for somebody to accept its connection. Only Linux tells: it lists how many wait.
fn has_client(port: u64) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let mut sockets = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let address = format!(":{port:04X}");
    sockets
        .any(|fields| fields[1].ends_with(&address) && fields[3] == "0A" && !fields[4].ends_with(":00000000"))
}

#[test]
fn a_stopped_supervisor_is_named_at_once_and_nothing_is_changed() {
    let checkout = Checkout::new("stopped");
    checkout.write(LIVE_WORKFLOW, "// mine");
    checkout.run(&["stage", "jerry", "--bare"]).ok();
    let list = checkout.run(&["stage", "restore", "--json"]).json();
    let backup = list["backups"][0]["id"].as_str().expect("an edit is saved").to_owned();
    checkout.start();
    let supervisor = stop_supervisor(&checkout);
    let modules = [LIVE_WORKFLOW, LIVE_ACTIVITIES].map(|path| checkout.read(path));
    let progress = checkout.read(".lab/stage.json");
    let control = checkout.state()["control_port"].as_u64().expect("it listens");
    for typed in [
        &["lab", "status"][..],
        &["stage", "fix-workflow"],
        &["stage", "fix-workflow", "--bare"],
        &["stage", "fix-workflow", "--json"],
        &["stage", "restore", &backup],
        &["reset", "--yes"],
        &["lab", "deploy"],
        &["lab", "restart", "worker"],
        &["lab", "watch", "off"],
        &["check"],
        &["lab", "start", "--detach"],
    ] {
        let error = checkout.run(typed).fails_with(1);
        let continued = format!("type fg in its terminal, or: kill -CONT {supervisor}");
        assert!(
            error.contains("is stopped, as after Ctrl-Z") && error.contains(&continued),
            "{typed:?}: {error}"
        );
        // A command that asked the supervisor would wait seconds for an answer, and its connection stays.
        assert!(!has_client(control), "{typed:?} has asked it");
        assert_eq!([LIVE_WORKFLOW, LIVE_ACTIVITIES].map(|path| checkout.read(path)), modules, "{typed:?}");
        assert_eq!(checkout.read(".lab/stage.json"), progress, "{typed:?}");
    }
    let doctor = checkout.run(&["doctor"]);
    let row = doctor.stdout.lines().find(|line| line.starts_with("broken   lab "));
    assert!(row.is_some_and(|row| row.contains("is stopped")) && doctor.code == Some(1), "{doctor:?}");
    assert!(doctor.stdout.contains(&format!("kill -CONT {supervisor}")), "{doctor:?}");
    // A connection does show.
    let asks = TcpStream::connect(format!("127.0.0.1:{control}")).expect("the system takes it");
    eventually("a client is noticed", || has_client(control) || cfg!(not(target_os = "linux")));
    drop(asks);

    send_signal(supervisor, "CONT");
    assert_eq!(service(&checkout.status(), "worker")["state"], "running");
}

#[test]
fn a_stopped_lab_can_be_stopped_for_good() {
    let checkout = Checkout::new("stopped-stop");
    checkout.start();
    let pids = checkout.pids();
    stop_supervisor(&checkout);
    let stop = checkout.run(&["lab", "stop"]);
    assert!(stop.stderr.contains("is stopped, as after Ctrl-Z; continuing it"), "{stop:?}");
    stop.ok();
    checkout.assert_nothing_is_left(&pids);
}

#[test]
fn a_supervisor_that_is_stopped_during_a_request_ends_the_wait() {
    let checkout = Checkout::with_stand_in_server("stopped-during");
    checkout.start();
    checkout.hold("build");
    let mut deploy = Running::start(&checkout, checkout.xtask(&["lab", "deploy"]), "deploy");
    checkout.wait_for_held("build");
    let supervisor = stop_supervisor(&checkout);
    assert_eq!(deploy.wait("the supervisor is stopped").code(), Some(1), "{}", deploy.output());
    assert!(deploy.output().contains(&format!("kill -CONT {supervisor}")), "{}", deploy.output());

    // One that works on a request for long is none that is silent.
    send_signal(supervisor, "CONT");
    let mut deploy = Running::start(&checkout, checkout.xtask(&["lab", "deploy"]), "deploy");
    let begin = Instant::now();
    // It waits for longer than a silent one may.
    while begin.elapsed() < Duration::from_secs(7) {
        assert!(matches!(deploy.child.try_wait(), Ok(None)), "{}", deploy.output());
        std::thread::sleep(Duration::from_millis(50));
    }
    checkout.let_go();
    assert!(deploy.wait("the build goes on").success(), "{}", deploy.output());
}

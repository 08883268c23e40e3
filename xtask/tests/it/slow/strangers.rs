//! Processes that are not the lab's: programs that now have a recorded id, and other labs.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command},
};

use serde_json::{Value, json};

use crate::support::{Checkout, is_alive, outcome, pid_in, service};

/// A program that leads a process group, like the services.
struct Bystander(Child);

impl Bystander {
    fn new() -> Bystander {
        Bystander(Command::new("sleep").arg("600").process_group(0).spawn().expect("sleep is there"))
    }

    fn runs(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The start time of a process, in the lab's format.
fn started(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let ticks = stat.rsplit_once(") ").expect("it has a name").1.split(' ').nth(19).expect("it has a start");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("this is Linux");
    format!("{ticks} {}", boot.trim())
}

fn write_state(checkout: &Checkout, supervisor: &Value, services: &[Value]) {
    let state = json!({
        "supervisor": supervisor, "control_port": 1, "token": "", "ready": true, "ports": {}, "services": services,
    });
    checkout.write(".lab/lab.json", state.to_string());
}

#[test]
fn an_id_that_now_belongs_to_another_program_is_never_killed() {
    let checkout = Checkout::without_server("strangers");
    let mut bystander = Bystander::new();
    let pid = bystander.0.id();
    let (ticks, boot) =
        started(pid).split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two words");
    let earlier = format!("{} {boot}", ticks.parse::<u64>().expect("it is a number") - 1);
    let other_boot = format!("{ticks} 00000000-0000-4000-8000-000000000000");
    for started in [earlier, other_boot, String::new(), ticks] {
        for command in [&["lab", "status"][..], &["lab", "stop"], &["stage"], &["lab", "logs"]] {
            let names = lab_client::state::SERVICES.into_iter().chain(["build"]);
            let entry = |name: &str| json!({ "name": name, "pid": pid, "pgid": pid, "started": started });
            write_state(&checkout, &entry("supervisor"), &names.map(entry).collect::<Vec<_>>());
            let done = checkout.run(command);
            assert!(done.stderr.contains("nothing of it was left running"), "{command:?}: {done:#?}");
            done.ok();
            assert!(bystander.runs(), "{command:?} has ended it; recorded: {started:?}");
            assert!(!checkout.path(".lab/lab.json").exists());
        }
    }
}

#[test]
fn an_invalid_state_file_harms_nothing_and_blocks_no_command() {
    let checkout = Checkout::without_server("nonsense");
    let mut bystander = Bystander::new();
    let pid = bystander.0.id();
    for state in [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        format!("{{\"supervisor\":{{\"pid\":{pid}}}}}"),
        json!({ "supervisor": { "pid": -1, "started": "" }, "services": [] }).to_string(),
        json!({ "supervisor": { "pid": 1, "started": "" }, "services": [{ "name": "worker", "pid": 1 }] })
            .to_string(),
    ] {
        checkout.write(".lab/lab.json", &state);
        checkout.run(&["lab", "status"]).ok();
        checkout.run(&["lab", "stop"]).ok();
        assert!(bystander.runs(), "{state}");
    }
}

/// Killing init would be the worst case, and possible if the tests run as root.
#[test]
fn init_is_never_taken_for_a_service_of_a_lab() {
    let checkout = Checkout::without_server("init");
    let init = json!({ "name": "worker", "pid": 1, "pgid": 1, "started": started(1) });
    // Even if it is recorded with the right start time.
    write_state(&checkout, &json!({ "pid": 4_000_000, "started": "" }), &[init]);
    let status = checkout.run(&["lab", "status"]);
    assert!(status.stderr.contains("nothing of it was left running"), "{status:#?}");
    status.ok();
    assert!(is_alive(1));
}

#[test]
fn a_lab_that_starts_fails_is_killed_or_stops_does_not_affect_another_lab() {
    let (mine, theirs) =
        (Checkout::with_stand_in_server("beside-mine"), Checkout::with_stand_in_server("beside-theirs"));
    theirs.start();
    let before = theirs.pids();
    let is_untouched = |when: &str| {
        assert_eq!(theirs.pids(), before, "{when}");
        assert!(before.iter().all(|&pid| is_alive(pid)), "{when}");
        let status = theirs.status();
        for name in lab_client::state::SERVICES {
            let service = service(&status, name);
            assert_eq!((&service["state"], &service["restarts"]), (&"running".into(), &0.into()), "{when}");
        }
    };

    // A request for the same ports fails and names their owner.
    let mut same = mine.xtask(&["lab", "start", "--detach"]);
    same.args(theirs.port_flags());
    let error = outcome(same).fails_with(1);
    let server = pid_in(service(&theirs.status(), "temporal"));
    assert!(error.contains("is taken by") && error.contains(&format!("(pid {server})")), "{error}");
    mine.assert_nothing_runs("its ports were taken");
    is_untouched("a start on its ports");

    mine.start();
    is_untouched("a start beside it");
    mine.run(&["lab", "restart"]).ok();
    mine.run(&["stage", "fix-workflow", "--bare"]).ok();
    mine.run(&["reset", "--yes"]).ok();
    is_untouched("a restart, a stage and a reset beside it");
    mine.kill_supervisor();
    mine.run(&["lab", "status"]).ok();
    mine.assert_nothing_runs("its supervisor was killed");
    is_untouched("a kill beside it");
    mine.start();
    mine.run(&["lab", "stop"]).ok();
    is_untouched("a stop beside it");
}

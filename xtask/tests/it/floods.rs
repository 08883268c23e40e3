//! A worker that prints in a loop: neither the disk nor the lab suffers, and the lab reports it once.

use std::{fs, io::Read, process::Stdio};

use serde_json::Value;

use crate::support::{Checkout, Foreground, eventually, pid_in, service};

/// More than the supervisor needs, and far less than a flood.
const MEMORY_KIB: u64 = 60 * 1024;
/// The logs of one service: what is kept, and what may be written until the next look.
const LOGS: u64 = 30 * 1024 * 1024;

/// The most memory that a process has had.
fn peak_memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("there is such a line");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}

fn bytes_of_logs(checkout: &Checkout) -> u64 {
    let logs = fs::read_dir(checkout.path(".lab/logs")).expect("it is there").flatten();
    logs.map(|log| log.metadata().map_or(0, |log| log.len())).sum()
}

#[test]
fn a_print_in_a_loop_is_cut_reported_once_and_the_lab_still_answers() {
    let checkout = Checkout::new("flood");
    let lab = Foreground::start(&checkout);
    let source = checkout.read_text("crates/worker/src/main.rs");
    let loops = source
        .replace("thread::sleep(Duration::from_secs(3600));", "println!(\"a line of a print in a loop\");");
    assert_ne!(loops, source);
    checkout.write("crates/worker/src/main.rs", loops);
    let left_out = |status: &Value| service(status, "worker")["lines_left_out"].as_u64().unwrap_or_default();
    eventually("lines are left out", || left_out(&checkout.status()) > 0);
    let mut follow = checkout.xtask(&["lab", "logs", "worker", "-f"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().expect("the program is there");
    eventually("its log is put aside twice", || {
        // Its reader takes its time.
        let mut some = [0; 64 * 1024];
        let read = follow.stdout.as_mut().expect("it is piped").read(&mut some).expect("it goes on");
        assert!(read > 0, "it ended");
        checkout.path(".lab/logs/worker.log.2").exists()
    });
    assert!(bytes_of_logs(&checkout) < LOGS, "{} bytes", bytes_of_logs(&checkout));
    if cfg!(target_os = "linux") {
        for pid in [lab.process.id(), follow.id()] {
            let peak = peak_memory_kib(pid);
            assert!(peak < MEMORY_KIB, "{peak} KiB");
        }
    }
    drop(follow.stdout.take());
    follow.wait().expect("it ends with its reader");

    assert_eq!(checkout.log("supervisor").matches("worker prints more than 1 MiB a second").count(), 1);
    let text = checkout.run(&["lab", "status"]).ok();
    assert!(text.contains("is there a print in a loop?"), "{text}");
    let doctor = checkout.run(&["doctor"]).stdout;
    assert!(doctor.lines().any(|line| line.starts_with("note     worker")), "{doctor}");
    let bank = pid_in(service(&checkout.status(), "account-api"));
    checkout.run(&["lab", "restart", "account-api"]).ok();
    assert_ne!(pid_in(service(&checkout.status(), "account-api")), bank);

    checkout.write("crates/worker/src/main.rs", source);
    eventually("it is over", || left_out(&checkout.status()) == 0);
}

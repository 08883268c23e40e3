//! Programs of a lab that are gone or spoiled, and services that end again and again.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{Checkout, eventually, outcome, pid_in, send_signal, service};

fn kill(checkout: &Checkout, name: &str) -> u32 {
    let pid = pid_in(service(&checkout.status(), name));
    send_signal(pid, "KILL");
    pid
}

#[track_caller]
fn assert_runs_again(checkout: &Checkout, name: &str, killed: u32, when: &str) {
    eventually(&format!("{when}: {name} runs again"), || {
        let status = checkout.status();
        let one = service(&status, name);
        one["state"] == "running" && pid_in(one) != killed
    });
}

#[test]
fn a_program_that_is_gone_or_spoiled_is_built_again() {
    let checkout = Checkout::new("clean");
    checkout.start();
    // As `cargo clean` does. The worker has a link to its program.
    fs::remove_dir_all(checkout.path("target")).expect("it is there");
    let bank = kill(&checkout, "account-api");
    assert_runs_again(&checkout, "account-api", bank, "after cargo clean");
    let log = checkout.log("supervisor");
    assert!(log.contains("target/debug/account-api is missing: building account-api again"), "{log}");
    fs::remove_file(checkout.path(".lab/run/worker")).expect("it is there");
    let worker = kill(&checkout, "worker");
    assert_runs_again(&checkout, "worker", worker, "without its link");

    // Cargo takes a file that is there for the one that it built.
    let whole = checkout.read("target/debug/account-api");
    let mut foreign = whole.clone();
    foreign[18] ^= 0xff;
    for (content, why) in [
        (&foreign[..], "is not a program for this machine"),
        (&whole[..whole.len() / 2], "is incomplete"),
        (&[], "is not a program"),
    ] {
        if !cfg!(target_os = "linux") {
            continue;
        }
        let built = fs::read_dir(checkout.path("target/debug/deps")).expect("it is there").flatten();
        let built = built.map(|entry| entry.path()).filter(|path| {
            path.extension().is_none()
                && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("account_api-"))
        });
        for program in built.chain([checkout.path("target/debug/account-api")]) {
            let new = checkout.path("target/new");
            fs::write(&new, content).expect("it can be written");
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("it is this test's own");
            fs::rename(new, program).expect("it can be replaced");
        }
        let bank = kill(&checkout, "account-api");
        assert_runs_again(&checkout, "account-api", bank, why);
        assert!(checkout.log("supervisor").contains(&format!("target/debug/account-api {why}")), "{why}");
    }
}

#[test]
fn a_deleted_temporal_cli_is_named_with_what_to_type() {
    let checkout = Checkout::with_stand_in_server("no-cli");
    checkout.start();
    let cli = checkout.read("bin/temporal");
    fs::remove_file(checkout.path("bin/temporal")).expect("it is there");
    let server = kill(&checkout, "temporal");
    eventually("it says so", || {
        checkout.log("supervisor").contains("bin/temporal is missing; to download it: cargo xtask prefetch")
    });
    checkout.write_program("bin/temporal", &String::from_utf8(cli).expect("it is a script"));
    assert_runs_again(&checkout, "temporal", server, "once it is back");
}

#[test]
fn a_service_that_ends_again_and_again_is_failing_with_its_last_lines() {
    let checkout = Checkout::new("failing");
    checkout.start();
    let source = checkout.read_text("crates/worker/src/main.rs");
    checkout.write(
        "crates/worker/src/main.rs",
        "fn main() { println!(\"the moon is full\"); std::process::exit(3) }",
    );
    let failing = || service(&checkout.status(), "worker")["failing"].clone();
    eventually("it is failing", || failing().is_object());
    let status = checkout.status();
    let worker = service(&status, "worker");
    assert_eq!(worker["state"], "restarting", "{status}");
    assert!(worker["failing"]["why"].as_str().is_some_and(|why| why.contains("exit code 3")), "{status}");
    assert!(
        worker["failing"]["log"][0].as_str().is_some_and(|line| line.ends_with("the moon is full")),
        "{status}"
    );
    let text = checkout.run(&["lab", "status"]).ok();
    let row = text.lines().position(|line| line.starts_with("  worker       failing ")).expect("a row");
    assert!(
        text.lines().nth(row + 1).is_some_and(|line| line.contains("see: cargo xtask lab logs worker")),
        "{text}"
    );
    assert!(text.lines().nth(row + 2).is_some_and(|line| line.ends_with("the moon is full")), "{text}");
    let doctor = checkout.run(&["doctor"]);
    assert!(doctor.stdout.contains("broken   worker") && doctor.code == Some(1), "{doctor:?}");
    assert_eq!(checkout.log("supervisor").matches("worker is failing: it ").count(), 1);

    checkout.write("crates/worker/src/main.rs", source);
    eventually("it is not", || {
        failing().is_null() && service(&checkout.status(), "worker")["state"] == "running"
    });
}

#[test]
fn a_start_error_quotes_only_this_run() {
    let checkout = Checkout::new("this-run");
    checkout.write(".lab/logs/worker.log", "the words of a former run\n");
    checkout.write("crates/worker/src/main.rs", "fn main() { std::process::exit(3) }");
    let error = outcome(checkout.start_command(&["--detach"])).fails_with(1);
    assert!(error.contains("worker ended before it was ready (exit code 3)"), "{error}");
    assert!(error.contains("it wrote nothing") && !error.contains("a former run"), "{error}");
}

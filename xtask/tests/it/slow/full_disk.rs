//! The lab's folder on a full disk, or one that becomes full. sacred.rs tests a learner's edits.

use std::{
    env,
    fs::{self, File},
    io::Write,
    process::Command,
};

use nix::sys::signal::Signal;

use crate::{
    held::{Running, signal},
    small_disk,
    support::{Checkout, eventually, outcome, pid_in, service},
};

/// Runs a test of this file that mounts a small disk.
fn on_a_small_disk(test: &str) {
    small_disk::run(&format!("slow::full_disk::{test}"), "mount -t tmpfs none /mnt", &env::temp_dir());
}

/// A checkout whose lab is on a separate disk of half a megabyte.
fn checkout(name: &str) -> Checkout {
    let checkout = Checkout::with_stand_in_server(name);
    let lab = checkout.path(".lab");
    fs::create_dir_all(&lab).expect("it can be made");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=512k,nr_inodes=100,mode=700", "none"]).arg(&lab);
    assert!(mount.status().expect("it was there before").success());
    checkout
}

/// Fills the disk up to this many free pages.
fn fill(checkout: &Checkout, pages: u64) {
    let mut file = File::create(checkout.path(".lab/backup/full")).expect("there is room for a name");
    let is_full = (0..1000).any(|_| file.write_all(&[0; 4096]).is_err());
    assert!(is_full, "this is no small file system");
    let length = file.metadata().expect("it is open").len();
    file.set_len(length.saturating_sub(4096 * pages)).expect("it can be shortened");
}

fn make_room(checkout: &Checkout) {
    let _ = fs::remove_file(checkout.path(".lab/backup/full"));
}

fn unmount(checkout: &Checkout) {
    let _ = Command::new("umount").args(["-l"]).arg(checkout.path(".lab")).status();
}

#[test]
fn a_start_on_a_full_disk_fails_with_a_reason_and_leaves_nothing() {
    on_a_small_disk("start_on_a_full_disk");
}

/// With more and more space, so that another write fails each time.
#[test]
#[ignore = "mounts a disk: run by the one above, where it may"]
fn start_on_a_full_disk() {
    let checkout = checkout("full-start");
    checkout.write(".lab/backup/there", "");
    for flags in [&["--detach"][..], &[]] {
        let mut failures = 0;
        for pages in 0..40 {
            let when = format!("{flags:?} with {pages} pages left");
            for name in ["lock", "ports.json", "bank.db", "temporal.db"] {
                let _ = fs::remove_file(checkout.path(&format!(".lab/{name}")));
            }
            let _ = fs::remove_dir_all(checkout.path(".lab/logs"));
            let _ = fs::remove_dir_all(checkout.path(".lab/run"));
            fill(&checkout, pages);
            let mut start = Running::start(&checkout, checkout.start_command(flags), "start");
            let mut came_up = false;
            eventually(&when, || {
                came_up = checkout.is_ready();
                came_up || !crate::support::is_alive(start.child.id())
            });
            if came_up {
                println!("it starts {when}");
                make_room(&checkout);
                checkout.run(&["lab", "stop"]).ok();
                start.wait(&when);
                checkout.assert_nothing_runs(&when);
                break;
            }
            failures += 1;
            assert_eq!(start.wait(&when).code(), Some(1), "{when}: {}", start.output());
            let said = start.output();
            assert!(said.contains("error: ") && said.contains(".lab"), "{when}: {said:?}");
            checkout.assert_nothing_runs(&when);
            make_room(&checkout);
            checkout.assert_no_litter(&when);
        }
        assert!(failures > 0, "the disk was never full");
        let _ = fs::remove_file(checkout.path(".lab/backup/there"));
        checkout.assert_the_next_commands_work("with room again", &checkout.sources());
        checkout.write(".lab/backup/there", "");
    }
    unmount(&checkout);
}

#[test]
fn a_full_disk_ends_no_running_lab_and_everything_works_once_there_is_space() {
    on_a_small_disk("full_under_a_lab");
}

#[test]
#[ignore = "mounts a disk: run by the one above, where it may"]
fn full_under_a_lab() {
    let checkout = checkout("full-running");
    checkout.start();
    let before = checkout.status();
    // Files that would free a page when a service restarts.
    fs::remove_dir_all(checkout.path(".lab/run")).expect("it is there");
    fill(&checkout, 0);

    // Running services continue, and status works.
    assert_eq!(service(&checkout.status(), "worker")["pid"], service(&before, "worker")["pid"]);
    checkout.run(&["lab", "logs", "worker"]).ok();
    // A process whose state cannot be written is not started, which is reported.
    let error = checkout.run(&["lab", "restart", "worker"]).fails_with(1);
    assert!(error.contains("worker could not be started") && error.contains("No space left"), "{error}");
    assert_eq!(service(&checkout.status(), "worker")["state"], "restarting");
    assert!(signal(pid_in(service(&before, "account-api")), Signal::SIGKILL));
    eventually("its end is seen", || service(&checkout.status(), "account-api")["state"] == "restarting");
    // An edit is neither backed up nor replaced.
    checkout.write(lab::LIVE_WORKFLOW, "mine");
    let error = checkout.run(&["stage", "fix-workflow", "--bare"]).fails_with(1);
    assert!(error.contains("No space left") && error.contains("nothing was touched"), "{error}");
    assert_eq!(checkout.read(lab::LIVE_WORKFLOW), b"mine");
    assert_eq!(service(&checkout.status(), "transfer-web")["state"], "running");

    make_room(&checkout);
    eventually("everything runs again", || {
        let status = checkout.status();
        lab_client::state::SERVICES.iter().all(|name| service(&status, name)["state"] == "running")
    });
    checkout.run(&["stage", "fix-workflow", "--bare"]).ok();
    assert_eq!(service(&checkout.status(), "worker")["state"], "running");

    // Full during a build, and while stopping.
    checkout.hold("build");
    let mut stage = Running::start(&checkout, checkout.xtask(&["stage", "fix-activity", "--bare"]), "stage");
    checkout.wait_for_held("build");
    fill(&checkout, 0);
    checkout.let_go();
    stage.wait("full while it builds");
    assert_eq!(service(&checkout.status(), "temporal")["state"], "running");
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_runs("a stop on a full disk");
    make_room(&checkout);
    checkout.assert_the_next_commands_work("with room again", &checkout.sources());

    // A killed lab is cleaned up on a full disk.
    checkout.start();
    fill(&checkout, 0);
    checkout.kill_supervisor();
    outcome(checkout.xtask(&["lab", "status"])).ok();
    checkout.assert_nothing_runs("killed on a full disk");
    make_room(&checkout);
    checkout.assert_the_next_commands_work("with room again", &checkout.sources());
    unmount(&checkout);
}

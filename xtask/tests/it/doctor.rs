//! What `doctor` finds on a machine that has it.

use std::fs;

use serde_json::Value;

use crate::support::{Checkout, eventually, outcome};

/// The findings of this name.
fn rows(checkout: &Checkout, name: &str) -> Vec<Value> {
    checkout.run(&["doctor", "--json"]).findings_of(name)
}

/// Whoever runs the tests may write where the rights say no, so this is a folder in which nobody can make files.
#[cfg(target_os = "linux")]
#[test]
fn a_lab_folder_that_cannot_be_written_is_named() {
    let checkout = Checkout::without_server("read-only");
    let folder = || rows(&checkout, "lab folder").remove(0);
    assert_eq!(folder()["state"], "ok");
    fs::create_dir(checkout.path(".lab")).expect("it can be made");
    assert_eq!(folder()["state"], "ok");
    std::os::unix::fs::symlink("/proc/self/fdinfo", checkout.path(".lab/logs")).expect("it can be made");
    let row = folder();
    assert_eq!(row["state"], "broken", "{row}");
    let (says, remedy) = (row["says"].to_string(), row["remedy"].to_string());
    assert!(says.contains(".lab/logs cannot be written") && remedy.contains("chmod -R u+rwX"), "{row}");
    assert_eq!(checkout.run(&["doctor"]).code, Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_port_that_is_taken_on_ipv6_only_is_named() {
    let lab = crate::fake_lab::FakeLab::start("ipv6");
    let Ok(taken) = std::net::TcpListener::bind("[::1]:0") else {
        webtest::skip("this machine has no IPv6");
        return;
    };
    let port = taken.local_addr().expect("it is bound").port();
    let mut state = lab.checkout.state();
    state["ports"]["transfer-web"] = port.into();
    lab.checkout.write(".lab/lab.json", state.to_string());
    let notes = || {
        let rows = rows(&lab.checkout, &format!("port {port}"));
        rows.into_iter().filter(|row| row["state"] == "note").collect::<Vec<_>>()
    };
    let [row] = &notes()[..] else { panic!("{:?}", notes()) };
    let (says, remedy) = (row["says"].to_string(), row["remedy"].to_string());
    assert!(says.contains(&format!("[::1]:{port} is in use by")), "{row}");
    assert!(says.contains(&format!("(pid {})", std::process::id())), "{row}");
    assert!(remedy.contains(&format!("http://127.0.0.1:{port}")), "{row}");
    drop(taken);
    assert!(notes().is_empty());
}

#[test]
fn modules_that_git_has_replaced_are_named_by_status_and_doctor() {
    if std::process::Command::new("git").arg("--version").output().is_err() {
        webtest::skip("this test needs git");
        return;
    }
    let checkout = Checkout::without_server("git-stash");
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        checkout.prepare(&mut command);
        for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")] {
            command.env(name, value);
        }
        command.args(["-c", "user.name=ada", "-c", "user.email=ada@example.com"]).args(arguments);
        outcome(command).ok()
    };
    git(&["init", "--quiet"]);
    checkout.write(".gitignore", ".lab\n");
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "as it comes"]);
    checkout.run(&["stage", "fix-activity", "--bare"]).ok();
    let misplaced = || checkout.status()["misplaced"].as_array().expect("a list").len();
    assert_eq!(misplaced(), 0);
    git(&["stash", "--quiet"]);
    assert_eq!(misplaced(), 2);
    let status = checkout.run(&["lab", "status"]).ok();
    let says =
        "crates/worker/src/workflow.rs has the code of the stage jerry, but the lab is at fix-activity";
    assert!(status.contains(says) && status.contains("cargo xtask stage fix-activity --bare"), "{status}");
    assert_eq!(rows(&checkout, "live modules").len(), 2);
    // What it advises.
    checkout.run(&["stage", "fix-activity", "--bare"]).ok();
    assert_eq!(misplaced(), 0);
    fs::remove_file(checkout.path(lab::LIVE_ACTIVITIES)).expect("it is there");
    assert!(checkout.run(&["lab", "status"]).ok().contains("activities.rs is gone"));
    git(&["checkout", "--quiet", "--", "."]);
    assert_eq!(misplaced(), 2);
}

/// `git clean -fdx` deletes the lab's folder, and what is said of backups says so.
#[test]
fn whoever_lists_backups_is_told_what_deletes_them() {
    let checkout = Checkout::without_server("clean-backups");
    checkout.write(lab::LIVE_WORKFLOW, "// mine");
    checkout.run(&["stage", "fix-workflow", "--bare"]).ok();
    let list = checkout.run(&["stage", "restore"]).ok();
    assert!(list.contains(".lab/backup, which git clean -fdx deletes"), "{list}");
}

#[test]
fn hints_beside_stages_leave_the_modules_of_the_stage_that_is_recorded() {
    let checkout = Checkout::without_server("hint-stage");
    for round in 0..80 {
        let stage = &lab::STAGES[round % lab::STAGES.len()];
        let mut hint = checkout.xtask(&["hint"]);
        let mut enter = checkout.xtask(&["stage", stage.name, "--bare"]);
        let quiet = |command: &mut std::process::Command| {
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            command.spawn().expect("the program is there")
        };
        let (mut hint, mut enter) = (quiet(&mut hint), quiet(&mut enter));
        for child in [&mut hint, &mut enter] {
            eventually("it has ended", || !matches!(child.try_wait(), Ok(None)));
            assert!(child.wait().expect("it has ended").success(), "round {round}");
        }
        let progress = lab_client::progress::Progress::read(&checkout.path(".lab"));
        assert_eq!(progress.stage, stage, "round {round}");
        assert_eq!(checkout.read(lab::LIVE_WORKFLOW), stage.workflow.source.as_bytes(), "round {round}");
        assert_eq!(checkout.read(lab::LIVE_ACTIVITIES), stage.activities.source.as_bytes(), "round {round}");
    }
}

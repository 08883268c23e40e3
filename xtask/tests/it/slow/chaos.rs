//! A short chaos run with real parts: the worker, bank and server of this checkout.

use std::{env, fs, path::Path, process::Command};

use serde_json::Value;

use crate::support::{outcome, program};

/// `cargo xtask chaos` for this checkout, with a separate lab folder.
fn chaos(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(&["chaos"]));
    command.arg("chaos").args(arguments).env("NO_COLOR", "1").env("BUGLAB_DIR", folder);
    command
}

#[test]
fn money_moves_once_whatever_is_killed_and_nothing_is_left() {
    let folder = env::temp_dir().join(format!("xtask-it-chaos-{}", std::process::id()));
    let arguments = ["--transfers", "100", "--kills", "10", "--seed", "1", "--json"];
    let report: Value = outcome(chaos(&folder, &arguments)).json();
    let count = |value: &Value| value.as_u64().expect("it is a number");
    let failed: u64 = report["failed"].as_object().expect("it is an object").values().map(count).sum();
    assert_eq!(count(&report["completed"]) + failed, 100, "{report}");
    // Some of these hundred name an unknown account.
    assert!(count(&report["failed"]["UnknownAccount"]) > 0, "{report}");
    assert_eq!(report["entries"]["withdraw"], report["completed"], "{report}");
    assert_eq!(report["entries"]["deposit"], report["completed"], "{report}");
    let kills = &report["kills"];
    for (part, times) in [("worker", 3), ("account-api", 3), ("temporal", 3), ("supervisor", 1)] {
        assert_eq!(kills[part], times, "{report}");
    }
    // Responses were lost, so there were more attempts than calls.
    assert!(count(&report["activity_attempts"]) > count(&report["activity_calls"]), "{report}");
    let left: Vec<_> = fs::read_dir(folder.join("chaos")).expect("it is there").flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() == "lock"), "{left:?}");
    fs::remove_dir_all(folder).expect("it is there");
}

#[test]
fn a_transfer_stays_on_its_version_whatever_is_killed() {
    let folder = env::temp_dir().join(format!("xtask-it-chaos-versions-{}", std::process::id()));
    // With this seed the supervisor is among the first that are killed.
    let arguments = ["--transfers", "60", "--kills", "10", "--seed", "5", "--versions", "--json"];
    let report: Value = outcome(chaos(&folder, &arguments)).json();
    let taken = report["versions"].as_object().expect("it is an object");
    assert_eq!(taken.values().filter_map(Value::as_u64).sum::<u64>(), 60, "{report}");
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["1", "2"], "{report}");
    assert_eq!(
        (&report["kills"]["worker"], &report["kills"]["supervisor"]),
        (&3.into(), &1.into()),
        "{report}"
    );
    let left: Vec<_> = fs::read_dir(folder.join("chaos")).expect("it is there").flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() == "lock"), "{left:?}");
    fs::remove_dir_all(folder).expect("it is there");
}

//! A checkout with an unusual path: spaces, non-ASCII letters, quotes, and characters with a meaning in shells, URLs and databases.

use crate::support::{Checkout, eventually, outcome, pid_in, service};

/// Without a percent sign, which has a meaning for rust-lld, the toolchain's linker. With the real server, which builds a URL from the
/// path of its database.
#[test]
fn a_lab_works_in_a_path_with_spaces_quotes_and_non_ascii_letters() {
    for name in ["Übung 1 – böse \"Zeichen\"", "c# 'lab'; ?a=$HOME & 日本 `x` \\ *"] {
        let above = std::env::temp_dir().join(format!("xtask-it-odd-{}", std::process::id()));
        let checkout = Checkout::new_at(above.join(name));
        checkout.start();
        assert!(
            checkout.path(".lab/temporal.db").exists() && checkout.path(".lab/bank.db").exists(),
            "{name}"
        );

        // An edit is built.
        let source = checkout.read_text("crates/worker/src/main.rs");
        checkout.write("crates/worker/src/main.rs", source.replace("\"one\"", "\"two\""));
        eventually("the edit runs", || checkout.log("worker").contains("stand-in worker, version two"));
        eventually("it is built", || checkout.status()["build"] == "ok");

        // A stage, with an edit saved.
        checkout.write(lab::LIVE_WORKFLOW, "mine");
        checkout.run(&["stage", "fix-workflow", "--bare"]).ok();
        let backups = checkout.run(&["stage", "restore", "--json"]).json();
        let folder = backups["backups"][0]["folder"].as_str().expect("there is a backup");
        assert!(folder.starts_with(checkout.root.to_str().expect("it is text")), "{backups}");

        // The server's own CLI, and a history that is kept.
        checkout.run(&["transfer", "account_A", "account_B", "25.50", "--workflow-id", "kept"]).ok();
        let listed = checkout.run(&["temporal", "workflow", "list"]).ok();
        assert!(listed.contains("kept"), "{listed}");
        let server = pid_in(service(&checkout.status(), "temporal"));
        checkout.run(&["lab", "restart", "temporal"]).ok();
        assert_ne!(pid_in(service(&checkout.status(), "temporal")), server);
        eventually("the history is back", || checkout.status()["transfers_running"] == 1);
        let logs = checkout.run(&["lab", "logs", "worker"]).ok();
        assert!(logs.contains("version two"), "{logs}");
        checkout.run(&["lab", "stop"]).ok();
        assert_eq!(outcome(checkout.start_command(&["--detach"])).code, Some(0));
        eventually("the history is there", || checkout.status()["transfers_running"] == 1);

        checkout.run(&["reset", "--yes"]).ok();
        assert_eq!(checkout.status()["transfers_running"], 0);
        let pids = checkout.pids();
        checkout.run(&["lab", "stop"]).ok();
        checkout.assert_nothing_is_left(&pids);
        drop(checkout);
        let _ = std::fs::remove_dir(above);
    }
}

//! A lab is private: it listens on loopback, its files are private, no shell parses names, and in the gate cargo builds what the lock
//! file says.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use regex_lite::Regex;

use crate::support::{Checkout, listeners, outcome, with_no_umask};

#[test]
fn a_lab_listens_only_on_loopback() {
    let checkout = Checkout::new("loopback");
    checkout.start();
    let found = listeners(&checkout.pids());
    for port in checkout.ports {
        assert!(found.iter().any(|address| address.port() == port), "no listener on {port}: {found:?}");
    }
    // The supervisor's port, and the Temporal server's internal ports.
    assert!(found.len() > checkout.ports.len(), "{found:?}");
    assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
}

#[test]
fn the_servers_http_api_rejects_another_host() {
    let checkout = Checkout::new("hosts");
    checkout.start();
    let port = checkout.state()["ports"]["temporal-http"].as_u64().expect("it has a port");
    let ask = |host: &str| {
        let mut server = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
        let path = "/api/v1/namespaces/default/workflows";
        write!(server, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        server.read_to_string(&mut answer).expect("it answers");
        answer.lines().next().unwrap_or_default().to_owned()
    };
    for own in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        assert_eq!(ask(&own), "HTTP/1.1 200 OK", "{own}");
    }
    for foreign in [format!("rebound.example.com:{port}"), "rebound.example.com".to_owned()] {
        assert_eq!(ask(&foreign), "HTTP/1.1 403 Forbidden", "{foreign}");
    }
}

#[test]
fn a_labs_files_are_private_whatever_the_umask_and_earlier_permissions() {
    let checkout = Checkout::new("private");
    // Files with wider permissions: the ledger, and a log.
    let left_open = [".lab/bank.db", ".lab/logs/worker.log", ".lab/lock"];
    for name in left_open {
        checkout.write(name, "");
        set_mode(&checkout.path(name), 0o666);
    }
    for folder in [".lab", ".lab/logs"] {
        set_mode(&checkout.path(folder), 0o777);
    }
    let run = |arguments: &[&str]| outcome(with_no_umask(&checkout.xtask(arguments)));
    outcome(with_no_umask(&checkout.start_command(&["--detach"]))).ok();
    run(&["transfer", "account_A", "account_B", "25.50"]).ok();
    checkout.write(lab::LIVE_WORKFLOW, "// mine");
    // This creates a backup, and keeps the replaced files.
    run(&["stage", "fix-workflow", "--bare"]).ok();
    run(&["hint"]).ok();
    assert_all_private(
        &checkout,
        &["temporal.db-wal", "worker.ready", "workflow.rs", "stage.json", "lab.json"],
    );
    run(&["lab", "stop"]).ok();
    assert_all_private(&checkout, &["bank.db", "temporal.db", "supervisor.log", "build.log", "ports.json"]);
}

/// Asserts that other users have no permission for any file or folder of the lab, and that these exist.
#[track_caller]
fn assert_all_private(checkout: &Checkout, names: &[&str]) {
    let all = under(&checkout.path(".lab"));
    for name in names {
        assert!(all.iter().any(|path| path.ends_with(name)), "no {name} in {all:?}");
    }
    let mode = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.permissions().mode() & 0o7777);
    // A link to what cargo built, with the rights that cargo gave it.
    let program = checkout.path(".lab/run/worker");
    let open: Vec<_> = all.iter().filter(|&path| mode(path) & 0o077 != 0 && *path != program).collect();
    assert!(open.is_empty(), "{open:?}");
}

/// A folder and its whole content.
fn under(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).expect("it can be read").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(under(&path)),
            path => found.push(path),
        }
    }
    found
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is this test's own");
}

/// Names that would create a file `pwned` if a shell parsed them.
const WICKED: [&str; 5] =
    ["; touch pwned", "$(touch pwned)", "`touch pwned`", "a\ntouch pwned\n", "' || touch pwned || '"];

#[test]
fn no_shell_parses_a_name() {
    // The checkout's path is part of every command; cargo's messages, logs and ready files are below it.
    let checkout = Checkout::new("it's; touch pwned; $(touch pwned) `touch pwned`");
    checkout.start();
    for name in WICKED {
        let transfer = ["transfer", "account_A", "account_B", "25.50", "--json", "--workflow-id", name];
        assert_eq!(checkout.run(&transfer).json()["workflow_id"], name);
        // The stand-in for the bank lists no accounts, so the name reaches the server.
        checkout.run(&["transfer", name, "account_B", "1"]).ok();
        for refused in [
            &["stage", name][..],
            &["stage", "restore", name],
            &["lab", "restart", name],
            &["lab", "logs", name],
        ] {
            let refused = checkout.run(refused);
            assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
        }
        let mut elsewhere = checkout.xtask(&["stage", "jerry", "--bare"]);
        elsewhere.env("BUGLAB_DIR", checkout.path("labs").join(name.replace('/', "")));
        outcome(elsewhere).ok();
    }
    let pwned: Vec<_> = under(&checkout.root).into_iter().filter(|path| path.ends_with("pwned")).collect();
    assert!(pwned.is_empty(), "{pwned:?}");
}

#[test]
fn every_call_of_cargo_in_the_gate_is_locked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let call = Regex::new(r"\bcargo (build|check|clippy|deny|doc|fetch|install|metadata|run|test)\b")
        .expect("it is one");
    // Files for git or Nix are not in every copy of the project.
    let files = [
        ".ci/run",
        ".ci/browser",
        ".ci/compose",
        ".ci/fuzz",
        ".ci/schemathesis",
        ".github/workflows/ci.yml",
        "nix/lab.nix",
        "nix/test",
    ];
    let texts = files.into_iter().filter_map(|file| Some((file, fs::read_to_string(root.join(file)).ok()?)));
    let mut calls = 0;
    for (file, text) in texts {
        for line in text.lines().filter(|line| call.is_match(line)) {
            let line = line.trim();
            let asks_nothing =
                line.starts_with('#') || line.starts_with("echo ") || line.contains("--version");
            assert!(asks_nothing || line.contains("--locked"), "{file}: {line}");
            calls += 1;
        }
    }
    // A copy of the project may have none of these files.
    assert!(calls > 0 || !root.join(".ci/run").exists());
    // A dependency that a learner adds to the worker must not keep the commands from running.
    let alias = fs::read_to_string(root.join(".cargo/config.toml")).expect("the project has it");
    assert!(alias.contains("xtask = \"run ") && !alias.contains("--locked"), "{alias}");
}

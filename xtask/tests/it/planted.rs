//! `doctor` on a machine where much is wrong: it names each fault, and what to type.
//!
//! To add a fault, add a row to [`FAULTS`].

use std::{env, fs, process::Command};

use serde_json::Value;

use crate::support::{Checkout, Outcome, outcome, path_with, rust_folders, temporal_cli};

/// A fault of a machine.
struct Fault {
    /// Plants it for `doctor` in this checkout.
    plant: fn(&Checkout, &mut Command),
    /// The row of the report that names it, and its severity.
    row: (&'static str, &'static str),
    /// What the row says.
    says: &'static [&'static str],
    /// What to type or do.
    remedy: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        plant: |checkout, doctor| {
            checkout.write("home/.config/temporalio/temporal.yaml", "env: {}\n");
            checkout.write("home/.config/temporalio/temporal.toml", "");
            doctor.env("TEMPORAL_API_KEY", "a secret").env("OTEL_TRACES_EXPORTER", "otlp");
        },
        row: ("settings", "note"),
        says: &[
            "OTEL_TRACES_EXPORTER, TEMPORAL_API_KEY, ~/.config/temporalio/temporal.yaml",
            "temporal.toml",
        ],
        remedy: r#"eval "$(cargo xtask lab env)""#,
    },
    Fault {
        plant: |checkout, doctor| {
            checkout.write("home/.curlrc", "proxy = \"http://127.0.0.1:9\"\n");
            doctor.env("http_proxy", "http://127.0.0.1:9");
            doctor.env_remove("NO_PROXY").env_remove("no_proxy");
        },
        row: ("proxy", "note"),
        says: &["http_proxy", "~/.curlrc"],
        remedy: "export NO_PROXY=127.0.0.1,localhost",
    },
    Fault {
        plant: |_, doctor| {
            doctor.env("PIP_REQUIRE_VIRTUALENV", "1").env("PYTHONPATH", "/nowhere");
        },
        row: ("pip", "note"),
        says: &["PYTHONPATH", "PIP_REQUIRE_VIRTUALENV"],
        remedy: "nothing to do",
    },
    Fault {
        plant: |_, doctor| {
            doctor.env("GIT_DIR", "/nowhere").env("GIT_INDEX_FILE", "/nowhere");
        },
        row: ("git", "note"),
        says: &["GIT_DIR, GIT_INDEX_FILE", "another repository"],
        remedy: "unset GIT_DIR GIT_INDEX_FILE",
    },
    Fault {
        plant: |checkout, doctor| {
            checkout.write_program("old/temporal", "#!/bin/sh\necho temporal version 1.4.0\n");
            put_first_on_path(checkout, doctor, "old");
        },
        row: ("temporal on PATH", "note"),
        says: &["old/temporal", "1.4.0", "the minimum is 1.5.1"],
        remedy: "nothing to do",
    },
    Fault {
        plant: |checkout, doctor| {
            checkout.write_program("named/temporal", "#!/bin/sh\necho temporal version 1.5.0\n");
            doctor.env("BUGLAB_TEMPORAL_CLI", checkout.path("named/temporal"));
        },
        row: ("Temporal CLI", "missing"),
        says: &["1.5.0", "too old: the minimum is 1.5.1"],
        remedy: "unset BUGLAB_TEMPORAL_CLI",
    },
    Fault {
        plant: |_, doctor| {
            doctor.env("RUSTFLAGS", "-D warnings");
        },
        row: ("cargo settings", "note"),
        says: &["RUSTFLAGS=-D warnings: "],
        remedy: "unset RUSTFLAGS",
    },
    Fault {
        plant: |checkout, _| checkout.write("crates/worker/Cargo.toml", "[dependencies\n"),
        row: ("worker manifest", "broken"),
        says: &["crates/worker/Cargo.toml", "unclosed table"],
        remedy: "correct it",
    },
    Fault {
        plant: |_, doctor| {
            doctor.env("BUGLAB_PUBLIC_HOSTS", "*.app.example");
        },
        row: ("public hosts", "missing"),
        says: &["no wildcards"],
        remedy: "unset BUGLAB_PUBLIC_HOSTS",
    },
    Fault {
        plant: |checkout, doctor| {
            checkout.write_program("nix-bin/nix", "#!/bin/sh\n");
            put_first_on_path(checkout, doctor, "nix-bin");
            fs::remove_dir_all(checkout.path(".git")).expect("it is this test's own");
        },
        row: ("nix", "note"),
        says: &["not a git checkout"],
        remedy: "git init && git add --all",
    },
    Fault {
        plant: |checkout, _| checkout.write("flake.nix", "{ }\r\n"),
        row: ("line endings", "note"),
        says: &["flake.nix has CRLF"],
        remedy: "sed -i",
    },
    Fault {
        plant: |checkout, _| checkout.write(lab::LIVE_ACTIVITIES, b"\xFF\xFE/\0"),
        row: ("encoding", "note"),
        says: &["activities.rs is not UTF-8"],
        remedy: "save it as UTF-8",
    },
    Fault {
        plant: |checkout, _| {
            fs::remove_file(checkout.path(lab::LIVE_WORKFLOW)).expect("it is this test's own");
        },
        row: ("live modules", "note"),
        says: &["workflow.rs is gone"],
        remedy: "cargo xtask stage jerry --bare",
    },
];

fn put_first_on_path(checkout: &Checkout, command: &mut Command, folder: &str) {
    let planted = command
        .get_envs()
        .find(|(name, _)| *name == "PATH")
        .and_then(|(_, path)| path.map(ToOwned::to_owned));
    let path = planted.or_else(|| env::var_os("PATH")).expect("it is set");
    command.env("PATH", path_with(checkout.path(folder), &path));
}

/// `doctor` in a checkout whose home folder is its own, and where these faults are planted.
fn doctor(checkout: &Checkout, faults: &[&Fault], flags: &[&str]) -> Outcome {
    let mut doctor = checkout.xtask(&[&["doctor"], flags].concat());
    checkout.write(".git/HEAD", "");
    doctor.envs(rust_folders());
    checkout.write("home/here", "");
    doctor.env("HOME", checkout.path("home")).env_remove("XDG_CONFIG_HOME");
    doctor.env("BUGLAB_TEMPORAL_CLI", temporal_cli().path());
    checkout.write(lab::LIVE_WORKFLOW, lab::STAGES[0].workflow.source);
    checkout.write(lab::LIVE_ACTIVITIES, lab::STAGES[0].activities.source);
    for fault in faults {
        (fault.plant)(checkout, &mut doctor);
    }
    outcome(doctor)
}

/// Whether a row names this fault, and what to do.
fn names(row: &Value, fault: &Fault) -> bool {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (text("name"), text("state")) == (fault.row.0.to_owned(), fault.row.1.to_owned())
        && fault.says.iter().all(|part| text("says").contains(part))
        && text("remedy").contains(fault.remedy)
}

#[test]
fn doctor_names_each_fault_of_a_machine_that_has_them_all() {
    let checkout = Checkout::new("planted");
    let healthy = doctor(&checkout, &[], &["--json"]).findings();
    for fault in FAULTS {
        assert!(!healthy.iter().any(|row| names(row, fault)), "{}: it was not planted", fault.row.0);
    }
    let all: Vec<&Fault> = FAULTS.iter().collect();
    let told = doctor(&checkout, &all, &["--json"]);
    assert_eq!(told.code, Some(1), "one of them is an error: {told:#?}");
    let found = told.findings();
    for fault in FAULTS {
        assert!(found.iter().any(|row| names(row, fault)), "{}: {found:#?}", fault.row.0);
    }
    assert!(!told.stdout.contains("a secret"), "{told:#?}");
    // The same for people.
    let text = doctor(&checkout, &all, &[]);
    assert_eq!((text.code, &*text.stderr), (Some(1), ""), "{text:#?}");
    for fault in FAULTS {
        let line = format!("{:<8} {:<16} ", fault.row.1, fault.row.0);
        let after = text.stdout.split_once(&line).map(|(_, after)| after);
        assert!(after.is_some_and(|after| after.contains(fault.remedy)), "{line}: {text:#?}");
    }
}

#[test]
fn a_machine_with_nothing_but_notes_is_all_right() {
    let checkout = Checkout::without_server("notes");
    let notes: Vec<&Fault> = FAULTS.iter().filter(|fault| fault.row.1 == "note").collect();
    let told = doctor(&checkout, &notes, &[]).ok();
    assert!(told.ends_with("everything the lab needs is installed\n"), "{told}");
}

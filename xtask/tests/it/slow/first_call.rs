//! `cargo xtask` as it is typed: what the first call shows, and what a dependency that a learner adds does to it.

use std::process::Command;

use super::story::real_checkout;
use crate::support::{Checkout, Outcome, outcome};

const MANIFEST: &str = "crates/worker/Cargo.toml";

/// This command in the worker's folder of the checkout, as in a shell.
fn typed(checkout: &Checkout, program: &str, words: &[&str]) -> Outcome {
    let mut command = Command::new(program);
    checkout.prepare(&mut command);
    command.args(words).current_dir(checkout.path("crates/worker"));
    command.env_remove("CARGO_MANIFEST_DIR").env("CARGO_NET_OFFLINE", "true");
    outcome(command)
}

#[test]
fn the_first_call_shows_its_build_later_ones_are_silent_and_a_dependency_of_the_worker_stops_none() {
    let checkout = real_checkout("first-call");
    let status = || typed(&checkout, env!("CARGO"), &["xtask", "lab", "status"]);
    let first = status();
    assert!(first.stderr.contains("] ") && first.stderr.contains("xtask"), "{first:?}");
    first.ok();
    let second = status();
    assert_eq!(second.stderr, "", "nothing is built");
    second.ok();

    checkout.write(
        "vendor/fees/Cargo.toml",
        "[package]\nname = \"fees\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    checkout.write("vendor/fees/src/lib.rs", "");
    let manifest = checkout.read_text(MANIFEST);
    let with = manifest.replace("[dependencies]", "[dependencies]\nfees = { path = \"../../vendor/fees\" }");
    checkout.write(MANIFEST, &with);
    status().ok();
    assert!(String::from_utf8_lossy(&checkout.read("Cargo.lock")).contains("name = \"fees\""));

    // What cargo cannot read keeps it from running anything; the program itself runs, and says what to type.
    checkout.write(MANIFEST, manifest.replace("[dependencies]", "[dependencies"));
    assert_eq!(status().code, Some(101));
    let program = checkout.path("target/debug/xtask");
    let program = program.to_str().expect("it is text");
    typed(&checkout, program, &["lab", "status"]).ok();
    typed(&checkout, program, &["stage", "restore"]).ok();
    let doctor = typed(&checkout, program, &["doctor"]);
    assert!(doctor.stdout.contains("cargo cannot use crates/worker/Cargo.toml: "), "{doctor:?}");
    assert_eq!(doctor.code, Some(1));

    checkout.write(MANIFEST, &manifest);
    status().ok();
    assert!(!String::from_utf8_lossy(&checkout.read("Cargo.lock")).contains("name = \"fees\""));
}

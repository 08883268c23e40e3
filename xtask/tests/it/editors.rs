//! What editors do to the lab, and what they need: line endings, encodings, rust-analyzer.

use std::fs;

use lab::{LIVE_ACTIVITIES, LIVE_WORKFLOW, STAGES};
use serde_json::Value;

use crate::support::{Checkout, outcome, path_with};

fn with_crlf(code: &str) -> String {
    code.replace('\n', "\r\n")
}

#[test]
fn modules_with_crlf_are_no_edit_for_any_command() {
    let checkout = Checkout::without_server("crlf");
    checkout.write(LIVE_WORKFLOW, with_crlf(STAGES[0].workflow.source));
    checkout.write(LIVE_ACTIVITIES, with_crlf(STAGES[0].activities.source).trim_end());
    let told = checkout.run(&["stage", "jerry", "--diff"]).ok();
    assert!(told.contains("no difference"), "{told}");
    let entered = checkout.run(&["stage", "fix-workflow"]);
    assert!(!entered.stderr.contains("saved"), "{entered:?}");
    assert_eq!(checkout.read(LIVE_WORKFLOW), STAGES[1].workflow.source.as_bytes());
    let kept = checkout.read_text(LIVE_ACTIVITIES);
    assert_eq!(kept, with_crlf(STAGES[0].activities.source).trim_end(), "both stages have this code");
    assert!(checkout.run(&["stage", "restore"]).ok().contains("nothing was saved"));
}

#[test]
fn an_edit_with_crlf_is_shown_alone_and_comes_back_byte_for_byte() {
    let checkout = Checkout::without_server("crlf-edit");
    let edit = with_crlf(&format!("// mine\n{}", STAGES[0].workflow.source));
    checkout.write(LIVE_WORKFLOW, &edit);
    let told = checkout.run(&["stage", "jerry", "--diff"]).ok();
    let changes: Vec<&str> = told.lines().filter(|line| line.starts_with(['+', '-', '\\'])).collect();
    assert_eq!(changes[2..], ["-// mine"], "{told}");
    checkout.run(&["stage", "fix-workflow"]).ok();
    let list = checkout.run(&["stage", "restore", "--json"]).json();
    let id = list["backups"][0]["id"].as_str().expect("the edit is saved");
    checkout.run(&["stage", "restore", id]).ok();
    assert_eq!(checkout.read(LIVE_WORKFLOW), edit.as_bytes());
}

#[test]
#[cfg(target_os = "linux")]
fn a_running_lab_takes_modules_with_crlf_for_those_of_the_stage() {
    let lab = crate::fake_lab::FakeLab::start("crlf-running");
    let mine = with_crlf(&format!("// mine\n{}", STAGES[0].workflow.source));
    lab.checkout.write(LIVE_WORKFLOW, &mine);
    lab.checkout.write(LIVE_ACTIVITIES, with_crlf(STAGES[0].activities.source));
    let entered = lab.checkout.run(&["stage", "jerry", "--keep", "--json"]).json();
    assert_eq!((&entered["kept"], &entered["build_failed"]), (&true.into(), &false.into()), "{entered}");
    assert_eq!(lab.live(), [mine, with_crlf(STAGES[0].activities.source)]);

    lab.checkout.write(LIVE_WORKFLOW, with_crlf(STAGES[0].workflow.source));
    let builds = lab.world().builds;
    let entered = lab.checkout.run(&["stage", "jerry", "--json"]).json();
    assert_eq!((&entered["saved"], &entered["kept"]), (&Value::Null, &false.into()), "{entered}");
    assert_eq!(lab.world().builds, builds, "what is in place was not built again");
}

#[test]
fn doctor_names_files_that_an_editor_made_unusable() {
    let checkout = Checkout::without_server("doctor-endings");
    checkout.write("flake.nix", "{ }\n");
    let report = checkout.run(&["doctor", "--json"]);
    assert_eq!(
        (report.findings_of("line endings").pop(), report.findings_of("encoding").pop()),
        (None, None)
    );

    checkout.write("flake.nix", "{ }\r\n");
    checkout.write("nix/test", "#!/bin/sh\r\n");
    checkout.write(LIVE_WORKFLOW, with_crlf(STAGES[0].workflow.source));
    // Windows calls UTF-16 "Unicode".
    let utf_16: Vec<u8> = "// mine".encode_utf16().flat_map(u16::to_le_bytes).collect();
    checkout.write(LIVE_ACTIVITIES, [b"\xFF\xFE", &utf_16[..]].concat());
    let report = checkout.run(&["doctor", "--json"]);
    let found = report.findings_of("line endings").pop().expect("it is reported");
    assert_eq!(found["says"], "flake.nix and 1 more have CRLF, and work only with LF");
    assert_eq!(found["remedy"], "sed -i 's/\\r$//' flake.nix nix/test");
    let found = report.findings_of("encoding").pop().expect("it is reported");
    assert_eq!(found["says"], format!("{LIVE_ACTIVITIES} is not UTF-8"));
}

#[test]
fn doctor_says_what_an_editor_lacks_and_the_command_that_brings_it() {
    let checkout = Checkout::without_server("doctor-editor");
    let bin = checkout.path(".cargo/bin");
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let rust_analyzer = || {
        let mut command = checkout.xtask(&["doctor", "--json"]);
        command.env("PATH", path_with(bin.clone(), &path));
        for name in ["RUSTC", "RUST_SRC_PATH"] {
            command.env_remove(name);
        }
        outcome(command).findings_of("rust-analyzer").pop().expect("it is reported")
    };
    let rustc = format!(
        "#!/bin/sh\ncase $* in '--print sysroot') echo '{}' ;; *) echo rustc 1.95.0 ;; esac\n",
        checkout.path("toolchain").display()
    );
    checkout.write_program(".cargo/bin/rustc", &rustc);
    let remedy = "for your editor, in this folder: rustup component add rust-analyzer rust-src";
    // As rustup's proxy without the component.
    let proxy =
        "#!/bin/sh\necho \"error: Unknown binary 'rust-analyzer' in official toolchain\" >&2; exit 1\n";
    checkout.write_program(".cargo/bin/rust-analyzer", proxy);
    let found = rust_analyzer();
    assert_eq!((&found["state"], &found["remedy"]), (&"note".into(), &remedy.into()), "{found}");
    assert!(found["says"].as_str().is_some_and(|says| says.contains("does not run")), "{found}");

    checkout.write_program(".cargo/bin/rust-analyzer", "#!/bin/sh\necho rust-analyzer 1.95.0\n");
    let found = rust_analyzer();
    assert_eq!((&found["state"], &found["remedy"]), (&"note".into(), &remedy.into()), "{found}");
    assert!(found["says"].as_str().is_some_and(|says| says.contains("source")), "{found}");

    fs::create_dir_all(checkout.path("toolchain/lib/rustlib/src/rust/library")).expect("it can be made");
    let found = rust_analyzer();
    assert_eq!(found["says"], "rust-analyzer 1.95.0, with the standard library's source");
    assert_eq!((&found["state"], &found["remedy"]), (&"ok".into(), &Value::Null), "{found}");
}

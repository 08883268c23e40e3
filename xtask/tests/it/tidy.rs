//! `tidy` for authors.

use std::{fs, path::Path, process::Command};

use crate::support::{Checkout, outcome};

#[test]
fn this_project_has_no_problems() {
    let here = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("tidy").env("CARGO_MANIFEST_DIR", here).current_dir(Path::new(here).join(".."));
    let told = outcome(command);
    assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
}

#[test]
fn problems_are_reported_with_their_lines_and_exit_code_one() {
    let checkout = Checkout::without_server("tidy");
    checkout.write("crates/stages/src/lib.rs", "modules! { workflow: jerry; activities: fixed, jerry; }");
    checkout.write("README.md", "# The lab\n\n```sh\ncargo xtask lab strat\n```\n[more](docs/more.md)\n");
    checkout.write(lab::LIVE_WORKFLOW, "// mine");
    for file in ["account-api/openapi.json", "transfer-web/openapi.json", "transfer-web/page/index.html"] {
        let file = format!("crates/{file}");
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&file);
        checkout.write(&file, fs::read(real).expect("the project has it"));
    }
    // Two files of a crate that import each other, and a crate that is not in the table.
    checkout.write(
        "docs/architecture.md",
        "| crate | what it does | imports |\n| --- | --- | --- |\n| `stages` | variants | |\n",
    );
    for name in ["stages", "circle"] {
        checkout.write(&format!("crates/{name}/Cargo.toml"), "[dependencies]\n");
    }
    checkout.write("crates/circle/src/lib.rs", "mod a;\nmod b;\n");
    checkout.write("crates/circle/src/a.rs", "use crate::b::B;\npub(crate) struct A;\n");
    checkout.write("crates/circle/src/b.rs", "use crate::a::A;\npub(crate) struct B;\n");
    let workflow = "- run: cargo xtask tset\n- run: curl http://127.0.0.1:5051/api/transfers\n";
    checkout.write(".github/workflows/ci.yml", workflow);

    checkout.write(".ci/run", "#!/bin/sh\r\n");

    let told = checkout.run(&["tidy"]);
    assert_eq!(told.code, Some(1), "{told:#?}");
    for expected in [
        "README.md:4: `cargo xtask lab strat` does not work",
        "README.md:6: the link to docs/more.md is broken: no such file",
        "crates/stages/src/lib.rs: workflow/fixed.rs belongs to a stage",
        "crates/circle/src/a.rs: 2 files import each other: a.rs imports b.rs (B); b.rs imports a.rs (A)",
        "docs/architecture.md: the crate circle is not in the table",
        ".github/workflows/ci.yml:1: `cargo xtask tset` does not work",
        ".ci/run:1: this line ends with CRLF; save it with LF, or type: sed -i 's/\\r$//' .ci/run",
        ".github/workflows/ci.yml:2: no service has the route GET /api/transfers",
    ] {
        assert!(told.stdout.contains(expected), "{expected} in {}", told.stdout);
    }
    assert!(told.stdout.lines().next_back().is_some_and(|last| last.ends_with("problems found")));

    // In a lab that is in use, edited modules are only a remark; in CI they are a problem.
    let json = |variable: Option<&str>| {
        let mut command = checkout.xtask(&["tidy", "--json"]);
        command.env_remove("CI").envs(variable.map(|name| (name, "true")));
        let told = outcome(command);
        let report: serde_json::Value = serde_json::from_str(&told.stdout).expect("it is JSON");
        let is_there = |list: &str| {
            let list = report[list].as_array().expect("there is a list").iter();
            list.clone().any(|complaint| complaint["file"] == lab::LIVE_WORKFLOW)
        };
        (is_there("complaints"), is_there("remarks"))
    };
    assert_eq!(json(None), (true, false));
    checkout.write(".lab/stage.json", r#"{"stage":"jerry"}"#);
    assert_eq!((json(None), json(Some("CI"))), ((false, true), (true, false)));
}

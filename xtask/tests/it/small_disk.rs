//! Running a test that mounts a small disk, in a separate mount namespace.

use std::{env, path::Path, process::Command};

use webtest::skip;

/// Runs an ignored test by its full name after a line of shell that mounts something; `$TMPDIR` is the folder for temporary files.
/// Skips the test if nothing can be mounted.
pub(crate) fn run(test: &str, mount: &str, temporary: &Path) {
    let script = format!("{mount} && exec \"$@\"");
    let small = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]).args(arguments);
        command.env("TMPDIR", temporary);
        command
    };
    match small(&["true"]).output() {
        Ok(output) if output.status.success() => {}
        other => {
            skip(&format!("a small file system needs Linux, unshare and the right to mount: {other:?}"));
            return;
        }
    }
    let this = env::current_exe().expect("a test has an executable");
    let this = this.to_str().expect("cargo's paths are text");
    let output = small(&[this, "--exact", test, "--ignored", "--nocapture"]).output().expect("it ran before");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

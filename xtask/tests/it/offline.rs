//! No network: once everything is fetched, the lab is built, started and played without one.

use std::{env, process::Command};

/// Plays the whole story again, in a network namespace that has nothing but loopback.
#[test]
fn the_whole_story_needs_no_network() {
    let inside = "ip link set lo up && exec \"$@\"";
    let namespace = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c", inside, "sh"]).args(arguments);
        command
    };
    match namespace(&["true"]).output() {
        Ok(output) if output.status.success() => {}
        other => {
            webtest::skip(&format!(
                "a network namespace needs Linux, unshare, ip and the right to use them: {other:?}"
            ));
            return;
        }
    }
    let this = env::current_exe().expect("a test has an executable");
    let this = this.to_str().expect("cargo's paths are text");
    let story = "story::a_learner_mends_both_bugs_under_a_running_transfer";
    let played = namespace(&[this, "--exact", story, "--nocapture"]).output().expect("it ran before");
    let said = String::from_utf8_lossy(&played.stdout);
    let complained = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

//! Whether the worker runs the code as it is saved, and whether that code blocks it, in words.

use lab_client::{
    state::WORKER,
    supervisor::{self, BuildState, is_deployed, versions},
};
use serde_json::Value;

/// Why the worker does not run the code as it is saved, by the supervisor's status, and what to type; none where it does.
pub(crate) fn warning(status: &Value) -> Option<String> {
    let has_versions = !versions(status).is_empty();
    match BuildState::of(status)? {
        BuildState::Building => Some("a build is in progress: cargo xtask lab logs build -f".to_owned()),
        BuildState::Failed => {
            let runs = runs(status);
            // Then cargo runs no other command, and the reason says what to type.
            let error = status["build_error"].as_str().filter(|_| status["manifest_unusable"] == true);
            if let Some(error) = error {
                return Some(format!("{error}; {runs}"));
            }
            Some(format!("the last build failed, so {runs}: cargo xtask lab logs build"))
        }
        BuildState::Ok if is_deployed(status) => None,
        BuildState::Ok if has_versions && status["unbuilt"] != true => {
            Some("an edit is not deployed as a version yet: cargo xtask lab deploy".to_owned())
        }
        BuildState::Ok if status["watch"] == false => {
            Some("an edit is not deployed yet: cargo xtask lab deploy".to_owned())
        }
        BuildState::Ok => Some("an edit is not deployed yet; the lab is about to build it".to_owned()),
    }
}

/// What runs although the last build failed.
fn runs(status: &Value) -> &'static str {
    let mut services = status["services"].as_array().into_iter().flatten();
    if !versions(status).is_empty() {
        return "only the deployed versions run";
    }
    match services.any(|one| one["name"] == WORKER && one["state"] == "stopped") {
        true => "no worker is running",
        false => "the worker still runs the previous code",
    }
}

/// The first compile error of the last build as the compiler prints it, a line each; empty where the code compiles.
pub(crate) fn excerpt(status: &Value) -> Vec<String> {
    if BuildState::of(status) != Some(BuildState::Failed) {
        return Vec::new();
    }
    let excerpt = status["build_errors"][0]["excerpt"].as_str().unwrap_or_default();
    excerpt.lines().map(|line| format!("    {line}")).collect()
}

/// The code that blocks the worker, by the supervisor's status, and what to type.
pub(crate) fn blocking(status: &Value) -> Vec<String> {
    let blocking = supervisor::blocking(status).into_iter();
    blocking
        .map(|(service, blocking)| format!("{}: cargo xtask lab logs {service}", blocking.words()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_worker_that_runs_other_code_is_reported_with_what_to_type() {
        let of = |build: &str, watch: bool, undeployed: bool, worker: &str| {
            let services = json!([{ "name": WORKER, "state": worker }]);
            let status =
                json!({ "build": build, "watch": watch, "undeployed": undeployed, "services": services });
            warning(&status).unwrap_or_default()
        };
        assert_eq!(of("ok", true, false, "running"), "");
        assert_eq!(of("ok", false, false, "running"), "");
        assert_eq!(of("ok", false, true, "running"), "an edit is not deployed yet: cargo xtask lab deploy");
        assert!(
            of("failed", true, true, "running")
                .contains("still runs the previous code: cargo xtask lab logs")
        );
        assert!(
            of("failed", true, true, "stopped").contains("no worker is running: cargo xtask lab logs build")
        );
        assert!(of("building", true, true, "running").contains("in progress"));
        assert_eq!(warning(&json!({})), None, "a lab that is down has no worker");
        let with_versions = |build: &str, undeployed: bool| {
            let versions = json!([{ "version": 1, "service": "worker@1" }]);
            warning(&json!({ "build": build, "watch": true, "undeployed": undeployed, "versions": versions }))
        };
        assert_eq!(with_versions("ok", false), None);
        assert!(with_versions("ok", true).is_some_and(|says| says.ends_with("yet: cargo xtask lab deploy")));
        assert!(
            with_versions("failed", true).is_some_and(|says| says.contains("only the deployed versions run"))
        );
    }

    #[test]
    fn the_first_compile_error_is_shown_as_long_as_the_build_has_failed() {
        let of = |build: &str| {
            excerpt(&json!({ "build": build, "build_errors": [{ "excerpt": "error: a\n --> b" }, {}] }))
        };
        assert_eq!(of("failed"), ["    error: a", "     --> b"]);
        assert!(of("building").is_empty() && excerpt(&json!({ "build": "failed" })).is_empty());
    }
}

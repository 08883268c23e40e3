//! What a lab keeps for its class: the number that tells it from another of the same name, and what its learner asks for.

use std::fs;

use anyhow::{Context, Result, bail};
use checkout::project::Project;
use lab_client::{
    class::{self, Help},
    temporal::Server,
    time,
};
use serde_json::{Value, json};

use crate::services::Setup;

/// The file with what the learner asks for.
pub const HELP_FILE: &str = "help.json";
/// The file with the number that tells this lab from another of the same name.
const LAB_FILE: &str = "class-lab";
/// The file with how many seconds this machine's clock is ahead of the class server's, if it is wrong.
const CLOCK_FILE: &str = "class-clock.json";

/// What the learner asks for, if anything.
pub fn help(project: &Project) -> Option<Help> {
    let text = fs::read_to_string(project.in_lab(HELP_FILE)).ok()?;
    Help::from_json(&serde_json::from_str::<Value>(&text).ok()?)
}

/// How many seconds this machine's clock is ahead of the class server's, if it is wrong; negative if behind.
pub(crate) fn clock_ahead(project: &Project) -> Option<f64> {
    fs::read_to_string(project.in_lab(CLOCK_FILE)).ok()?.parse().ok()
}

/// Records that.
///
/// # Errors
/// The lab's folder cannot be written to.
pub(crate) fn keep_clock(project: &Project, ahead: Option<f64>) -> Result<()> {
    match ahead {
        Some(ahead) => project.write_json(CLOCK_FILE, &json!(ahead)),
        None => project.remove_json(CLOCK_FILE),
    }
}

/// The number that tells this lab from another of the same name.
pub fn lab_id(project: &Project) -> Result<String> {
    let path = project.in_lab(LAB_FILE);
    match fs::read_to_string(&path) {
        Ok(id) if id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit()) => Ok(id),
        _ => {
            let id = format!("{:016x}", fastrand::u64(..));
            files::replace(&path, id.as_bytes(), 0o600)
                .with_context(|| format!("could not write {}", path.display()))?;
            Ok(id)
        }
    }
}

/// That no other lab reports or polls under this learner's name at this moment: two would take one another's tasks, and one that begins
/// anew would end the other's transfers.
pub fn check_name(setup: &Setup) -> Result<()> {
    let endpoints = setup.endpoints();
    let Some(learner) = &endpoints.learner else { return Ok(()) };
    let server = Server::new(&endpoints);
    let Some(held) = class::last(&server, learner)? else { return Ok(()) };
    if held.report.stopped || held.report.lab == lab_id(&setup.project)? {
        return Ok(());
    }
    let poll = if held.report.worker_polls { class::last_poll(&server, learner)? } else { None };
    let age = time::now().as_secs_f64() - poll.unwrap_or_default().max(held.taken);
    if age < class::SILENT_AFTER {
        bail!(
            "another lab is {learner} at this moment, and was seen {} ago: choose another name with --learner; or, if it is an \
             older lab of yours, stop that, or wait for three minutes",
            terminal::duration(age.max(0.0))
        );
    }
    Ok(())
}

/// Records what the learner asks for; nothing takes it back.
///
/// # Errors
/// The lab's folder cannot be written to.
pub fn ask_for_help(project: &Project, help: Option<&Help>) -> Result<()> {
    match help {
        Some(help) => project.write_json(HELP_FILE, &help.to_json()),
        None => project.remove_json(HELP_FILE),
    }
}

/// Asks for help with this text, or removes the question, for the page. The lab's next report delivers it.
///
/// # Errors
/// This lab is not in a class, the text is empty, or the lab's folder is not writable.
pub(crate) fn answer_help(project: &Project, learner: Option<&str>, text: Option<&str>) -> Result<Value> {
    if learner.is_none() {
        bail!("this lab has not joined a class");
    }
    let since = time::rfc3339_exact(time::now());
    let asked = match text {
        None => None,
        Some(text) => Some(Help::new(text, &since).context("write your question as a sentence")?),
    };
    ask_for_help(project, asked.as_ref())?;
    Ok(json!({ "help": asked.as_ref().map(Help::to_json) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporter::tests::lab_at;

    #[test]
    fn a_name_is_taken_while_the_worker_of_another_lab_polls() {
        for (worker_polls, polled_before, is_free) in
            [(true, 100, false), (true, 200, true), (false, 100, true)]
        {
            let address = webtest::web_service(move |request| {
                let ago = |seconds: u64| time::rfc3339(time::unix_now() - seconds);
                if request.head.contains("/task-queues/") {
                    return (
                        200,
                        json!({ "pollers": [{ "lastAccessTime": ago(polled_before) }] }).to_string(),
                    );
                }
                let last = json!({
                    "execution": { "workflowId": "learner-ada", "runId": "r" },
                    "startTime": ago(500),
                    "memo": { "fields": { "report": { "lab": "another", "worker_polls": worker_polls } } },
                });
                (200, json!({ "workflowExecutionInfo": last }).to_string())
            });
            let name = format!("taken-{worker_polls}-{polled_before}");
            let (setup, _) = lab_at(address.port(), &name, Some("ada"));
            assert_eq!(check_name(&setup).is_ok(), is_free, "{name}");
            fs::remove_dir_all(&setup.project.root).expect("it is there");
        }
    }

    #[test]
    fn what_is_asked_for_is_read_as_it_was_written_and_taken_back() {
        let root = std::env::temp_dir().join(format!("xtask-help-{}", std::process::id()));
        fs::create_dir(&root).expect("temporary folders can be made");
        let project = Project { root: root.clone(), lab: root.clone() };
        assert_eq!(help(&project), None);
        let asked = Help::new("which file?", "2026-11-22T12:00:00Z");
        ask_for_help(&project, asked.as_ref()).expect("it can be written");
        assert_eq!(help(&project), asked);
        let id = lab_id(&project).expect("it can be written");
        assert_eq!(lab_id(&project).expect("it is there"), id);
        for _ in 0..2 {
            ask_for_help(&project, None).expect("it can be taken back");
            assert_eq!(help(&project), None);
        }
        fs::remove_dir_all(root).expect("it is there");
    }
}

//! This lab's values for the placeholders of a task, and for the sample ids and process ids in its commands.

use std::collections::BTreeMap;

use lab::{Block, Command, Facts, Report, Verdict};
use lab_client::temporal::{Run, Server};
use serde_json::Value;

/// The placeholder for the process id of each service.
const PIDS: [(&str, &str); 3] =
    [("pid_worker", "worker"), ("pid_temporal", "temporal"), ("pid_account_api", "account-api")];

/// The values for one task, without those that are not known yet.
#[derive(Debug, Default)]
pub(crate) struct Values {
    known: BTreeMap<&'static str, String>,
    /// The Workflow Id that the next step names, for a command in a page form: on another transfer, the command might fail.
    next: Option<String>,
    /// The Workflow Id that the text shows for each transfer that the stage starts, and the real one.
    started: Vec<(String, String)>,
    /// The process id that the text shows for a service, and the service's real one.
    pids: Vec<(String, String)>,
}

impl Values {
    /// The values for the task that this goal completes, if it is one.
    pub(crate) fn of(goal: &str, report: &Report, facts: &Facts, server: &Server, status: &Value) -> Values {
        let mut values = Values::default();
        let mut know = |name: &'static str, value: String| {
            if !value.is_empty() {
                values.known.insert(name, value);
            }
        };
        know("ui", server.ui_list());
        know("deployment", server.deployment_name());
        if let Some(id) = subject(goal, report, facts).filter(|id| is_plain(id)) {
            let transfer = facts.transfers.iter().find(|transfer| transfer.workflow_id == id);
            if let Some(transfer) = transfer {
                let run_id = transfer.last().run_id.clone();
                let point = transfer.runs.iter().rev().find_map(lab::reset_point);
                know("event_id", point.map(|event| event.to_string()).unwrap_or_default());
                know("run", server.ui_link(&Run { workflow_id: id.clone(), run_id }));
            }
            know("workflow_id", id);
        }
        values.next = named_next(goal, report).filter(|id| is_plain(id)).map(str::to_owned);
        for (name, service) in PIDS {
            know(name, pid(status, service).unwrap_or_default());
        }
        let transfers = facts.transfers.iter().map(|transfer| transfer.workflow_id.clone());
        values.started = shown_transfers(report.stage.text.source)
            .into_iter()
            .zip(transfers)
            .filter(|(_, id)| is_plain(id))
            .collect();
        let shown = shown_pids(report.stage.text.source);
        values.pids =
            shown.into_iter().filter_map(|(shown, service)| Some((shown, pid(status, &service)?))).collect();
        values
    }

    /// The Workflow Id of the transfer that the task is about.
    pub(crate) fn workflow_id(&self) -> Option<&str> {
        self.known.get("workflow_id").map(String::as_str)
    }

    /// A page form with its placeholders filled in. A line with a command whose values are not all known is left out; in a
    /// sentence, "the transfer" stands for its id.
    pub(crate) fn in_page(&self, text: &str) -> String {
        let mut filled = String::new();
        for line in text.lines() {
            let mut line = line.to_owned();
            let is_command = line.starts_with("$ ");
            for name in lab::PLACEHOLDERS {
                let placeholder = format!("{{{name}}}");
                let is_next = is_command && name == "workflow_id";
                match if is_next { self.next.as_ref() } else { self.known.get(name) } {
                    Some(value) => line = line.replace(&placeholder, value),
                    None if name == "workflow_id" => line = line.replace("`{workflow_id}`", "the transfer"),
                    None => {}
                }
            }
            if is_command && is_open(&line) {
                continue;
            }
            filled.push_str(&line);
            filled.push('\n');
        }
        // What is still missing is a link's address, which stays empty, or a number.
        for name in lab::PLACEHOLDERS {
            filled = filled.replace(&format!("({{{name}}})"), "()").replace(&format!("{{{name}}}"), "…");
        }
        filled
    }

    /// A command of the text with this lab's values in place of the samples; none if they are not known.
    pub(crate) fn in_command(&self, typed: &str) -> Option<String> {
        let mut typed = typed.to_owned();
        for id in sample_ids(&typed) {
            let started = self.started.iter().find(|(shown, _)| *shown == id).map(|(_, real)| real);
            typed = typed.replace(&id, started.or_else(|| self.known.get("workflow_id"))?);
        }
        if let Some(sample) = after(&typed, "--event-id ") {
            let (sample, value) = (format!("--event-id {sample}"), self.known.get("event_id")?);
            typed = typed.replace(&sample, &format!("--event-id {value}"));
        }
        if let Some(deployment) = self.known.get("deployment") {
            typed = lab::with_deployment(&typed, deployment);
        }
        if let Some(sample) = typed.strip_prefix("kill -9 ") {
            let (_, real) = self.pids.iter().find(|(shown, _)| shown == sample)?;
            typed = format!("kill -9 {real}");
        }
        Some(typed)
    }
}

/// Whether an id means nothing else in a command, in Markdown or in an address: other clients choose their ids themselves.
fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether a placeholder is not filled in.
fn is_open(line: &str) -> bool {
    lab::PLACEHOLDERS.iter().any(|name| line.contains(&format!("{{{name}}}")))
}

/// The Workflow Id of the transfer that a task is about: the one that reached its goal, that its next step names, that reached
/// an earlier goal, or the latest one.
fn subject(goal: &str, report: &Report, facts: &Facts) -> Option<String> {
    let reached = |verdict: &Verdict| match verdict {
        Verdict::Reached(evidence) => evidence.first().map(|evidence| evidence.workflow_id.clone()),
        Verdict::Open(_) => None,
    };
    let goals = report.stage.goals.iter().zip(&report.verdicts);
    let own = goals.clone().find(|(row, _)| row.name == goal).and_then(|(_, verdict)| reached(verdict));
    own.or_else(|| named_next(goal, report).map(str::to_owned))
        .or_else(|| goals.rev().find_map(|(_, verdict)| reached(verdict)))
        .or_else(|| facts.transfers.last().map(|transfer| transfer.workflow_id.clone()))
}

/// The Workflow Id in the command that leads to an open goal.
fn named_next<'a>(goal: &str, report: &'a Report) -> Option<&'a str> {
    let mut goals = report.stage.goals.iter().zip(&report.verdicts);
    match goals.find(|(row, _)| row.name == goal)?.1 {
        Verdict::Open(next) => after(next.to_type()?, "--workflow-id "),
        Verdict::Reached(_) => None,
    }
}

/// The word after this one.
fn after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_whitespace().next()
}

fn pid(status: &Value, service: &str) -> Option<String> {
    let services = status["services"].as_array()?;
    let found = services.iter().find(|known| known["name"] == service)?;
    Some(found["pid"].as_u64()?.to_string())
}

/// The commands of a text.
fn commands(source: &str) -> impl Iterator<Item = Command> {
    let blocks = lab::blocks(source).into_iter().filter_map(|block| match block {
        Block::Commands(commands) => Some(commands),
        Block::Fix | Block::Write(..) | Block::Settle => None,
    });
    blocks.flatten()
}

/// The Workflow Ids in the output of the command that enters a text's stage, of the transfers that it starts.
fn shown_transfers(source: &str) -> Vec<String> {
    let entering = commands(source).filter(|command| command.typed.starts_with("cargo xtask stage "));
    let lines = entering.flat_map(|command| command.prints).filter(|line| line.starts_with("started "));
    lines.flat_map(|line| sample_ids(&line)).collect()
}

/// The process ids in a text's output, each with the service that it is of: `  worker …pid 12273…`.
fn shown_pids(source: &str) -> Vec<(String, String)> {
    let lines = commands(source).flat_map(|command| command.prints);
    let shown = lines.filter_map(|line| {
        let digits = line.split_once("pid ")?.1;
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        let service = line.split_whitespace().next()?;
        Some((digits[..end].to_owned(), service.to_owned()))
    });
    shown.collect()
}

/// The Workflow Ids in a command of a text: `transfer-`, ten digits, and eight hexadecimal ones.
pub(crate) fn sample_ids(typed: &str) -> Vec<String> {
    let mut ids: Vec<String> = typed
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| {
            let parts: Vec<&str> = word.split('-').collect();
            matches!(parts[..], ["transfer", seconds, random] if seconds.len() == 10 && random.len() == 8)
        })
        .map(str::to_owned)
        .collect();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(known: &[(&'static str, &str)]) -> Values {
        let known = known.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let started = vec![("transfer-1795354421-a0000001".to_owned(), "first".to_owned())];
        Values { known, next: None, started, pids: vec![("12273".to_owned(), "7".to_owned())] }
    }

    #[test]
    fn a_command_has_this_labs_values_or_is_not_offered() {
        let reset = "cargo xtask temporal workflow reset --workflow-id transfer-1795354421-c0000001 --event-id 17 --reason 'x'";
        assert_eq!(values(&[]).in_command(reset), None);
        assert_eq!(values(&[("workflow_id", "t")]).in_command(reset), None);
        let expected = "cargo xtask temporal workflow reset --workflow-id t --event-id 9 --reason 'x'";
        assert_eq!(
            values(&[("workflow_id", "t"), ("event_id", "9")]).in_command(reset).as_deref(),
            Some(expected)
        );
        assert_eq!(values(&[]).in_command("kill -9 12273").as_deref(), Some("kill -9 7"));
        assert_eq!(values(&[]).in_command("kill -9 1"), None);
        assert_eq!(values(&[]).in_command("cargo xtask check").as_deref(), Some("cargo xtask check"));
        let ramp = "cargo xtask temporal worker deployment set-ramping-version --deployment-name money-transfer --build-id 2";
        assert_eq!(
            values(&[("deployment", "money-transfer-ada")]).in_command(ramp).as_deref(),
            Some(&*ramp.replace("money-transfer", "money-transfer-ada"))
        );
    }

    #[test]
    fn a_page_form_has_this_labs_values_and_no_braces() {
        let text =
            "[`{workflow_id}`](#transfer) in [the UI]({run}), event {event_id}\n$ kill -9 {pid_worker}\n";
        assert_eq!(values(&[]).in_page(text), "[the transfer](#transfer) in [the UI](), event …\n");
        let known = [("workflow_id", "t"), ("run", "http://ui/t"), ("event_id", "9"), ("pid_worker", "7")];
        assert_eq!(
            values(&known).in_page(text),
            "[`t`](#transfer) in [the UI](http://ui/t), event 9\n$ kill -9 7\n"
        );
    }

    #[test]
    fn a_command_of_a_page_form_is_only_about_the_transfer_that_the_next_step_names() {
        let text = "Unpause `{workflow_id}`:\n$ unpause --workflow-id {workflow_id}\n";
        let mut values = values(&[("workflow_id", "completed")]);
        assert_eq!(values.in_page(text), "Unpause `completed`:\n");
        values.next = Some("paused".to_owned());
        assert_eq!(values.in_page(text), "Unpause `completed`:\n$ unpause --workflow-id paused\n");
    }

    #[test]
    fn a_command_about_a_transfer_that_the_stage_started_names_that_one() {
        let source = "```console\n$ cargo xtask stage roll-out\n…\nstarted transfer-1795354421-a0000001: 5.00 from account_C to account_D\n…\n\
                      $ cargo xtask transfer account_A account_B 1\nstarted transfer-1795354422-a0000002\n```\n";
        assert_eq!(shown_transfers(source), ["transfer-1795354421-a0000001"]);
        let unpause = "cargo xtask temporal activity unpause --workflow-id transfer-1795354421-a0000001 --activity-id deposit";
        let values = values(&[("workflow_id", "t")]);
        assert_eq!(
            values.in_command(unpause).as_deref(),
            Some("cargo xtask temporal activity unpause --workflow-id first --activity-id deposit")
        );
        assert!(
            values
                .in_command(&unpause.replace("a0000001", "a0000002"))
                .is_some_and(|typed| typed.contains("-id t "))
        );
    }

    #[test]
    fn a_page_form_names_the_learners_deployment() {
        let text = "$ cargo xtask temporal workflow count --query 'TemporalWorkerDeploymentVersion=\"{deployment}:2\"'\n";
        let known = [("deployment", "money-transfer-ada")];
        assert_eq!(values(&known).in_page(text), text.replace("{deployment}", "money-transfer-ada"));
        assert_eq!(values(&[]).in_page(text), "");
    }

    #[test]
    fn process_ids_are_those_of_the_services_that_the_text_shows() {
        let source = "```console\n$ cargo xtask lab status\n…\n  worker …pid 12273…\n```\n";
        assert_eq!(shown_pids(source), [("12273".to_owned(), "worker".to_owned())]);
        let status = json!({ "services": [{ "name": "worker", "pid": 7 }, { "name": "temporal" }] });
        assert_eq!(pid(&status, "worker").as_deref(), Some("7"));
        assert_eq!(pid(&status, "temporal"), None);
    }
}

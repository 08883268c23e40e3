//! `lab status`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command};
use lab::Halt;
use lab_client::{
    bank::{Bank, Outage},
    link::LinkReport,
    progress::Progress,
    state::RemoteService,
    stuck::{self, Found, Stuck},
    supervisor::is_running,
    temporal::Server,
    time,
    versions::VersionRow,
};
use serde_json::{Value, json};

use crate::{
    args::{example, json_flag},
    class_status, deployment, service_trouble, versions,
};
use checkout::{modules, project::Project};
use lab_client::state::State;
use supervisor::{
    attach,
    control::{self, Request},
    remote_service, services,
};
use terminal::{bold, duration, shorten, stdoutln};

/// So many transfers in progress are described, so that the answer comes at once.
const LOOKED_AT: usize = 200;
/// From so many milliseconds a round trip on, a link is called slow.
const SLOW: f64 = 400.0;
/// From so many attempts on, the backoff between them is felt where the lab cannot shorten it.
const WAITS_SHOW: u64 = 4;
/// What is said of that backoff.
const WAITS: &str = "(this service waits longer after each failure, up to 10 min, and the lab cannot shorten that; a new \
     transfer shows a fix at once)";
/// So many seconds it is shown what a restart of the bank ended.
const ENDED_FAULTS_SHOWN: f64 = 600.0;
/// So many stuck transfers are listed for a person.
const LISTED: usize = 10;

pub(crate) fn command() -> Command {
    Command::new("status")
        .about("Shows what runs, where and since when, the stage, and which transfers are stuck on what")
        .arg(json_flag())
        .after_help(example(&["cargo xtask lab status", "cargo xtask lab status --json"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach(project)?;
    let progress = Progress::read(&project.lab);
    let stage = progress.stage;
    let mut status = match &state {
        Some(state) => control::ask(state, &Request::Status)?,
        None => json!({ "services": stopped(), "class": null }),
    };
    // If the server does not answer, they are unknown.
    let found = match &state {
        Some(state) if is_running(&status, services::TEMPORAL) => {
            stuck::find(&Server::new(&state.endpoints()), LOOKED_AT).ok()
        }
        _ => None,
    };
    let versions = match &state {
        Some(state) if found.is_some() => versions::rows(state, &status),
        _ => Vec::new(),
    };
    let bank = state.as_ref().map(|state| Bank::new(&state.endpoints()));
    let outage = bank.as_ref().and_then(|bank| bank.outage().ok()).unwrap_or_default();
    let real_world = bank.as_ref().is_some_and(|bank| bank.real_world_mode().unwrap_or_default());
    if arguments.get_flag("json") {
        status["stage"] = json!(stage.name);
        status["number"] = json!(stage.number());
        status["title"] = json!(stage.title());
        status["done"] = json!(progress.is_done(stage));
        status["link"] = json!(state.as_ref().and_then(link).map(|link| link.to_json()));
        status["misplaced"] = json!(modules::misplaced(project));
        let stuck = found.iter().flat_map(|found| &found.stuck).map(Stuck::to_json);
        status["stuck"] = json!(stuck.collect::<Vec<_>>());
        // Otherwise the supervisor's shorter rows stay.
        if !versions.is_empty() {
            status["versions"] = versions::to_json(&versions);
        }
        status["transfers_running"] = json!(found.map(|found| found.running));
        stdoutln!("{status}");
    } else {
        // How an incident's bank behaves is for the learner to find.
        let is_bank_set = stage.incident().is_some_and(|incident| incident.bank.is_some());
        let mut trouble = trouble(outage, real_world && !is_bank_set);
        if trouble.is_empty() && !is_bank_set {
            trouble.extend(ended_faults(&status["ended_faults"]));
        }
        for line in class_status::lines(&status) {
            stdoutln!("{line}");
        }
        stdoutln!("{} {}", bold(stage.kind()), stage.heading());
        if stage.incident().is_some() {
            stdoutln!("  its goals and its clock: cargo xtask drill status");
        }
        for misplaced in modules::misplaced(project) {
            stdoutln!("  {misplaced}");
        }
        print(state.as_ref(), &status, &versions, &trouble, found.as_ref());
    }
    Ok(ExitCode::SUCCESS)
}

/// The services of a lab that is down.
fn stopped() -> Vec<Value> {
    services::names()
        .map(|name| json!({ "name": name, "state": "stopped", "pid": null, "address": null, "url": null, "public_url": null }))
        .collect()
}

fn print(
    state: Option<&State>,
    status: &Value,
    versions: &[VersionRow],
    trouble: &[String],
    found: Option<&Found>,
) {
    let Some(state) = state else {
        stdoutln!("the lab is not running; start it with: cargo xtask lab start --detach");
        return;
    };
    stdoutln!("{} supervised by pid {}", bold("services"), state.supervisor.pid);
    let link = link(state);
    for service in status["services"].as_array().into_iter().flatten() {
        stdoutln!("  {}", line(service));
        for trouble in service_trouble::of(service) {
            stdoutln!("    {trouble}");
        }
    }
    if let Some(remote_service) = &state.remote_service
        && let Some(trouble) = trouble_on(remote_service, link.as_ref())
    {
        stdoutln!("  {trouble}");
    }
    if let Some(warning) = deployment::warning(status) {
        stdoutln!("  {warning}");
        deployment::excerpt(status).iter().for_each(|line| stdoutln!("{line}"));
    }
    for blocking in deployment::blocking(status) {
        stdoutln!("  {blocking}");
    }
    if status["watch"] == false {
        stdoutln!("  watch is off: saved edits wait until you type: cargo xtask lab deploy");
    }
    for trouble in trouble {
        stdoutln!("  {trouble}");
    }
    for line in versions::lines(versions) {
        stdoutln!("{line}");
    }
    let is_short = link.as_ref().is_some_and(|link| link.findings.short_retries);
    let waits_long = state.remote_service.is_some() && !is_short;
    let Some(Found { stuck, running, looked_at, unknown, .. }) = found else {
        match link.filter(|link| !link.answers) {
            Some(LinkReport { silence: Some(silence), .. }) if silence.refuses => {
                stdoutln!("{} unknown until authentication succeeds; they wait until then", bold("transfers"))
            }
            Some(_) => {
                stdoutln!("{} unknown until it answers; they wait, and continue then", bold("transfers"))
            }
            None => stdoutln!(
                "{} unknown, because the Temporal server is not responding: cargo xtask lab logs temporal",
                bold("transfers")
            ),
        }
        return;
    };
    // What somebody has paused waits for that person.
    let is_paused =
        |stuck: &&Stuck| matches!(&stuck.halt, Some(halt @ Halt::Paused { .. }) if !halt.is_of_retry());
    let paused = stuck.iter().filter(is_paused).count();
    let and_paused = if paused > 0 { format!(", {paused} paused") } else { String::new() };
    match (stuck.len() - paused, running) {
        (0, 0) => stdoutln!("{} none in progress", bold("transfers")),
        (0, _) => stdoutln!("{} {running} in progress, none stuck{and_paused}", bold("transfers")),
        (stuck, _) => stdoutln!("{} {running} in progress, {stuck} stuck{and_paused}", bold("transfers")),
    }
    if looked_at < running || !unknown.is_empty() {
        stdoutln!("  {} more were not checked", running - looked_at + unknown.len());
    }
    for stuck in stuck.iter().take(LISTED) {
        stdoutln!("  {}", describe(stuck));
        if waits_long && let Some(waits) = waits_on(stuck) {
            stdoutln!("    {waits}");
        }
        if let Some(why) = &stuck.nondeterminism {
            stdoutln!("    {why}");
        }
        if let Some(way_out) = stuck.way_out() {
            stdoutln!("    {way_out}");
        }
        if stuck.says().as_ref() != Some(&stuck.failure) {
            stdoutln!("    {}", shorten(&stuck.failure, 200));
        }
    }
    if stuck.len() > LISTED {
        stdoutln!("  and {} more: cargo xtask lab status --json", stuck.len() - LISTED);
    }
}

/// What the gateway reports about the connection to a remote service.
fn link(state: &State) -> Option<LinkReport> {
    state.remote_service.as_ref()?;
    LinkReport::ask(&state.endpoints().temporal_http).ok()
}

/// What is wrong with the connection to a service, if anything.
fn trouble_on(remote_service: &RemoteService, link: Option<&LinkReport>) -> Option<String> {
    let service = remote_service::name(remote_service);
    let Some(link) = link else {
        return Some(format!("{service}: the gateway to it is restarting"));
    };
    let round_trip = link.round_trip_ms.unwrap_or_default();
    match &link.silence {
        Some(silence) => {
            let why = shorten(&silence.why, 120);
            let since = duration(silence.seconds as f64);
            Some(match silence.refuses {
                true => format!(
                    "{service}: AUTHENTICATION FAILED for {since} ({why}); nothing is lost: put a valid key or certificate in \
                     the profile, and restart the lab"
                ),
                false if remote_service.learner.is_some() => format!(
                    "the class server has been unreachable for {since}; retrying; nothing is lost, and everything continues when it is back"
                ),
                false => format!(
                    "{service}: NO ANSWER for {since} ({why}); nothing is lost, and everything continues when it is back"
                ),
            })
        }
        None if round_trip > SLOW => Some(format!(
            "{service}: slow, {} a round trip, so every step takes longer",
            duration(round_trip / 1000.0)
        )),
        None => None,
    }
}

/// What somebody has switched on in the bank.
fn trouble(outage: Outage, real_world: bool) -> Vec<String> {
    let down = [("withdrawals", outage.withdrawals), ("deposits", outage.deposits)];
    let outage = down
        .into_iter()
        .filter(|(_, is_down)| *is_down)
        .map(|(what, _)| format!("the bank accepts no {what}; to end that: cargo xtask outage {what} up"));
    let real_world =
        real_world.then(|| "Real World Mode is on; to end it: cargo xtask real-world-mode off".to_owned());
    outage.chain(real_world).collect()
}

/// What a restart of the bank ended, if that was not long ago.
fn ended_faults(ended: &Value) -> Option<String> {
    let time = time::parse_rfc3339(ended["time"].as_str()?)?;
    let age = time::now().as_secs_f64() - time;
    let what = ended["what"].as_str()?;
    (age < ENDED_FAULTS_SHOWN).then(|| format!("the restart of the bank ended {what} {} ago", duration(age)))
}

fn line(service: &Value) -> String {
    let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
    let age = time::parse_rfc3339(&text("since")).map_or(0.0, |since| time::now().as_secs_f64() - since);
    let state = if service["failing"].is_object() { "failing".to_owned() } else { text("state") };
    let mut line = format!("{:<12} {state:<10} for {:<9}", text("name"), duration(age));
    if let Some(pid) = service["pid"].as_u64() {
        line.push_str(&format!(" pid {pid:<8}"));
    }
    let place = if service["url"].is_null() { text("address") } else { text("url") };
    line.push_str(&format!(" {place}"));
    if let Some(public) = service["public_url"].as_str() {
        line.push_str(&format!(" and {public}"));
    }
    match service["restarts"].as_u64() {
        None | Some(0) => {}
        Some(1) => line.push_str(" restarted once"),
        Some(times) => line.push_str(&format!(" restarted {times} times")),
    }
    line.trim_end().to_owned()
}

/// What it is stuck on, and when its next attempt is.
fn describe(stuck: &Stuck) -> String {
    if stuck.halt.is_some() {
        return format!("{}: {}", stuck.run.workflow_id, stuck.words());
    }
    let when = match &stuck.next_attempt {
        _ if stuck.trying => "in progress".to_owned(),
        Some(next) => {
            let left = time::parse_rfc3339(next).map_or(0.0, |next| next - time::now().as_secs_f64());
            if left > 0.0 { format!("in {}", duration(left)) } else { "now".to_owned() }
        }
        None => "soon".to_owned(),
    };
    let cancel = if stuck.cancel_requested { ", cancellation requested" } else { "" };
    format!("{}: {}, attempt {}, {when}{cancel}", stuck.run.workflow_id, stuck.what(), stuck.attempt)
}

/// What is said of the backoff before its next attempt, once it is felt.
fn waits_on(stuck: &Stuck) -> Option<&'static str> {
    // An Activity's backoff is the Workflow's own choice, and short.
    (stuck.activity.is_none() && stuck.attempt > WAITS_SHOW).then_some(WAITS)
}

#[cfg(test)]
mod tests {
    use lab_client::{link::Silence, stuck::Kind, temporal::Run};

    use super::*;

    #[test]
    fn a_service_that_does_not_answer_refuses_or_is_slow_is_reported() {
        let remote_service =
            RemoteService { address: "10.0.0.7:7233".to_owned(), ..RemoteService::default() };
        let said = |link: Option<&LinkReport>| trouble_on(&remote_service, link).unwrap_or_default();
        let silent = |refuses| LinkReport {
            silence: Some(Silence { seconds: 42, refuses, why: "HTTP status 401".to_owned() }),
            ..LinkReport::default()
        };
        let takes = |ms| LinkReport { answers: true, round_trip_ms: Some(ms), ..LinkReport::default() };
        let refused = said(Some(&silent(true)));
        assert!(refused.contains("AUTHENTICATION FAILED for 42 s (HTTP status 401)"), "{refused}");
        let down = said(Some(&silent(false)));
        assert!(down.contains("NO ANSWER for 42 s") && down.contains("continues when it is back"), "{down}");
        assert!(said(Some(&takes(2500.0))).contains("slow, 2.5 s"));
        assert_eq!(said(Some(&takes(3.0))), "");
        assert!(said(None).contains("is restarting"));
    }

    #[test]
    fn what_is_out_of_service_is_named_with_the_command_that_ends_it() {
        let both = Outage { withdrawals: true, deposits: true };
        assert_eq!(trouble(both, true).len(), 3);
        let deposits = Outage { deposits: true, ..Outage::default() };
        let said = trouble(deposits, false).join("\n");
        assert_eq!(said, "the bank accepts no deposits; to end that: cargo xtask outage deposits up");
        assert!(trouble(Outage::default(), false).is_empty());
    }

    #[test]
    fn what_a_restart_of_the_bank_ended_is_shown_for_some_minutes() {
        let ended = |ago: f64| {
            let time = time::now().saturating_sub(std::time::Duration::from_secs_f64(ago));
            ended_faults(&json!({ "what": "Real World Mode", "time": time::rfc3339_exact(time) }))
        };
        assert_eq!(ended(42.0).as_deref(), Some("the restart of the bank ended Real World Mode 42 s ago"));
        assert_eq!((ended(ENDED_FAULTS_SHOWN + 1.0), ended_faults(&Value::Null)), (None, None));
    }

    #[test]
    fn backoff_that_the_lab_cannot_shorten_is_explained_when_it_is_felt() {
        let stuck = |attempt, activity: Option<&str>| Stuck {
            run: Run { workflow_id: "t".to_owned(), run_id: "r".to_owned() },
            kind: if activity.is_some() { Kind::Activity } else { Kind::WorkflowTask },
            activity: activity.map(|name| ("1".to_owned(), name.to_owned())),
            halt: None,
            cancel_requested: false,
            trying: false,
            attempt,
            failure: "attempt to divide by zero".to_owned(),
            nondeterminism: None,
            next_attempt: None,
        };
        assert_eq!(waits_on(&stuck(WAITS_SHOW, None)), None);
        let said = waits_on(&stuck(WAITS_SHOW + 1, None)).expect("it is felt");
        assert!(
            said.contains("longer after each failure") && said.contains("a new transfer shows a fix"),
            "{said}"
        );
        assert_eq!(waits_on(&stuck(WAITS_SHOW + 1, Some("withdraw"))), None);
    }
}

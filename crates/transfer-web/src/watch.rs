//! The threads that watch the lab for the open pages, one per subject.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use contract::{
    Money,
    bank::{ACCOUNTS, Accounts},
};
use lab_client::{
    Endpoints,
    bank::Bank,
    facts::Reader,
    http::get_json,
    journal,
    kept_versions::service_of,
    moves::{self, Looks, Pace},
    progress::{self, Progress},
    side_by_side,
    state::WORKER,
    supervisor::{self, BuildState, Supervisor, is_deployed},
    temporal::{Server, status_name},
    versions::{self, VersionRow},
};
use serde_json::{Value, json};

use crate::{
    drill,
    feed::{Feed, Subject},
    guide,
    transfers::{Transfers, Window},
};

/// The poll interval for transfers on the lab's own server, and on a shared service for the gateway's counter of what moves.
const TRANSFERS: Duration = Duration::from_millis(350);
/// How often transfers are read from a shared service. Temporal Cloud limits a namespace to thirty lists and counts a second, and a class
/// of forty has forty open pages.
const SHARED_TRANSFERS: Pace = Pace {
    busy: Duration::from_secs(3),
    busy_for: Duration::from_secs(15),
    quiet: Duration::from_secs(30),
    uncounted: Duration::from_secs(3),
};
/// The poll interval for the bank and the supervisor.
const LAB: Duration = Duration::from_millis(500);
/// The poll interval for the goals. A slow evaluation is followed by a pause of up to four seconds.
const GUIDE: Duration = Duration::from_millis(400);
/// The goals are evaluated again after this long even if no visible transfer has changed.
const GUIDE_ANYWAY: Duration = Duration::from_secs(10);
/// The same on a shared service.
const SHARED_GUIDE_ANYWAY: Duration = Duration::from_secs(30);

/// The poll interval for the versions of the worker, where there are any.
const VERSIONS: Duration = Duration::from_secs(1);
/// How often they are read from a shared service.
const SHARED_VERSIONS: Pace =
    Pace { busy: Duration::from_secs(5), uncounted: Duration::from_secs(5), ..SHARED_TRANSFERS };

/// So many transfers in progress are described for the versions, beside those that a page shows. Of more, the server counts those of each
/// version.
const MOST_DESCRIBED: usize = 50;

/// The state that the watchers and the API share. Clones share it.
#[derive(Clone)]
pub(crate) struct Watched {
    /// The addresses of the lab's parts.
    pub(crate) endpoints: Endpoints,
    /// The lab's folder, if the service belongs to a lab.
    pub(crate) lab: Option<PathBuf>,
    /// The events for the pages.
    pub(crate) feed: Feed,
    transfers: Arc<Mutex<Transfers>>,
    reader: Arc<Mutex<Reader>>,
    seen: Arc<Mutex<Seen>>,
}

/// What one watcher has observed, for the others.
#[derive(Default)]
struct Seen {
    /// When the bank's ledger was opened, in seconds since 1970.
    opened: f64,
    temporal_silent: bool,
    bank_silent: bool,
    /// The supervisor's last answer.
    status: Value,
    /// The versions of the worker, for the event; empty unless the supervisor runs any.
    versions: Vec<Value>,
    /// Increases whenever a change of a transfer is observed.
    changes: u64,
    /// The gateway's counter of what moves, on a shared service.
    moves: Option<u64>,
}

impl Watched {
    /// The watchers of a lab with these endpoints.
    pub(crate) fn new(endpoints: Endpoints, lab: Option<PathBuf>) -> Watched {
        let transfers = Arc::new(Mutex::new(Transfers::new(Server::new(&endpoints))));
        let reader = Arc::new(Mutex::new(Reader::new(&endpoints)));
        Watched { endpoints, lab, feed: Feed::new(), transfers, reader, seen: Arc::default() }
    }

    /// Writes to the journal of a drill what was done on the page. If it cannot be written, the report lacks it, which is no reason not to do
    /// it.
    pub(crate) fn note(&self, did: &str) {
        if let Some(lab) = &self.lab {
            let _ = journal::note(lab, &format!("{}{did}", journal::ON_PAGE));
        }
    }

    /// The lab's supervisor, if the page belongs to a lab that has been started.
    pub(crate) fn supervisor(&self) -> Option<Supervisor> {
        self.lab.as_deref().and_then(Supervisor::of)
    }

    /// The transfers, locked.
    pub(crate) fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the goals are judged by, locked.
    pub(crate) fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the bank's ledger was opened, if known.
    pub(crate) fn opened(&self) -> f64 {
        self.seen().opened
    }

    /// Asks the bank when its ledger was opened. If it does not answer, the last known time stays.
    pub(crate) fn ask_opened(&self) -> f64 {
        self.try_ask_opened().unwrap_or_else(|_| self.opened())
    }

    fn try_ask_opened(&self) -> Result<f64> {
        let page = Bank::new(&self.endpoints).entries("limit=1")?;
        let opened = page["entries"][0]["time"].as_f64().unwrap_or_default();
        self.seen().opened = opened;
        Ok(opened)
    }

    /// Starts the watchers. They end with the feed.
    pub(crate) fn start(&self) {
        let watch = |period: Duration, pace: Pace, look: fn(&Watched, &mut Memory)| {
            let watched = self.clone();
            thread::spawn(move || {
                let mut memory = Memory { looks: Looks::new(pace), ..Memory::default() };
                let mut wait = Duration::ZERO;
                while watched.feed.wait(wait) {
                    let begin = Instant::now();
                    look(&watched, &mut memory);
                    wait = period.max(4 * begin.elapsed().min(Duration::from_secs(1)));
                }
            });
        };
        let shared = |pace: Pace| if self.endpoints.learner.is_some() { pace } else { Pace::default() };
        watch(LAB, Pace::default(), watch_lab);
        watch(TRANSFERS, shared(SHARED_TRANSFERS), watch_transfers);
        watch(GUIDE, Pace::default(), watch_guide);
        watch(VERSIONS, shared(SHARED_VERSIONS), watch_versions);
    }
}

/// What a watcher remembers from one poll to the next.
#[derive(Default)]
struct Memory {
    /// When the server is asked again.
    looks: Looks,
    /// The versions that the lab ran.
    versions: Vec<u32>,
    judged: Option<(Instant, Basis)>,
    report: Value,
    tasks: Vec<Value>,
    /// What the drill is judged by.
    drill: Value,
    /// The stage of the report, and when it was entered.
    entered: Option<(&'static str, String)>,
    reached: guide::Reached,
    /// The windows that were published, and as of which change.
    published: (u64, f64, BTreeSet<Window>),
}

/// The inputs of the goals: if they are unchanged, so are the goals.
#[derive(PartialEq)]
struct Basis {
    changes: u64,
    progress: Progress,
    services: Value,
    /// Of each version its Build ID, its status and its share of the new transfers.
    routing: Vec<Value>,
    /// Whether the stage's transfers are still being prepared.
    is_entering: bool,
}

fn watch_transfers(watched: &Watched, memory: &mut Memory) {
    // Without it, transfers terminated with an older ledger would be shown for a moment.
    let opened = if watched.opened() > 0.0 { watched.opened() } else { watched.ask_opened() };
    let windows: BTreeSet<_> = watched.feed.windows().into_iter().collect();
    let moves =
        watched.endpoints.learner.as_ref().and_then(|_| moves::counter(&watched.endpoints.temporal_http));
    watched.seen().moves = moves;
    // A page that was opened or scrolled is served at once.
    let is_shown = (memory.published.1, &memory.published.2) == (opened, &windows)
        && windows.iter().all(|&window| watched.feed.has(Subject::Transfers(window)));
    let mut transfers = watched.transfers();
    if memory.looks.is_due(moves, Instant::now()) || !is_shown {
        let looked = transfers.sync().and_then(|()| transfers.look(&windows, opened));
        memory.looks.note_look(Instant::now(), looked.is_ok());
        watched.seen().temporal_silent = looked.is_err();
    }
    let now = (transfers.version(), opened, windows);
    watched.seen().changes = now.0;
    if watched.seen().temporal_silent || is_shown && memory.published == now {
        return;
    }
    let events: Vec<_> = now.2.iter().map(|&window| (window, transfers.event(window, opened))).collect();
    drop(transfers);
    for (window, event) in events {
        watched.feed.publish(Subject::Transfers(window), event);
    }
    memory.published = now;
}

fn watch_lab(watched: &Watched, _: &mut Memory) {
    let supervisor = watched.supervisor();
    let stopped = supervisor.as_ref().and_then(Supervisor::stopped);
    let status = supervisor.map(|supervisor| supervisor.status());
    let is_lost = watched.lab.is_some() && stopped.is_none() && !matches!(status, Some(Ok(_)));
    let status = status.and_then(Result::ok).unwrap_or_default();
    watched.seen().status = status.clone();
    // One request first: if the bank hangs, the others are not sent.
    let bank = watched.try_ask_opened().and_then(|_| bank_event(watched));
    watched.seen().bank_silent = bank.is_err();
    if let Ok(event) = bank {
        watched.feed.publish(Subject::Bank, event);
    }
    let (temporal_silent, bank_silent, versions) = {
        let seen = watched.seen();
        // Asked for less often than the lab's status.
        let has_versions = !supervisor::versions(&status).is_empty();
        let versions = if has_versions { seen.versions.clone() } else { Vec::new() };
        (seen.temporal_silent, seen.bank_silent, versions)
    };
    watched.feed.publish(
        Subject::Lab,
        json!({
            "services": services(&status, temporal_silent, bank_silent),
            "build": BuildState::of(&status).map(BuildState::name),
            "build_error": status["build_error"],
            "build_errors": status["build_errors"],
            "build_began": status["build_began"],
            "live_since": live_since(&status),
            "checkout": status["checkout"],
            "manifest_unusable": status["manifest_unusable"] == true,
            "watch": status["watch"] != false,
            "versions": versions,
            "undeployed": status["undeployed"] == true && status["unbuilt"] != true,
            "class": status["class"],
            "temporal_ui": watched.endpoints.temporal_ui,
            "down": down(&status, temporal_silent, bank_silent, is_lost, stopped),
        }),
    );
}

/// Asks the server about the versions of the worker, but only while the lab runs any.
fn watch_versions(watched: &Watched, memory: &mut Memory) {
    let (status, moves) = {
        let seen = watched.seen();
        (seen.status.clone(), seen.moves)
    };
    let versions = supervisor::versions(&status);
    if !memory.looks.is_due(moves, Instant::now()) && memory.versions == versions {
        return;
    }
    memory.versions = versions;
    let rows = version_rows(watched, &status);
    memory.looks.note_look(Instant::now(), rows.is_ok());
    // If the server does not answer, the last rows stay.
    if let Ok(rows) = rows {
        watched.seen().versions = rows.iter().map(VersionRow::to_json).collect();
    }
}

/// The rows of [`versions::rows`]. Transfers on a page were described a moment ago, so they are not described again.
fn version_rows(watched: &Watched, status: &Value) -> Result<Vec<VersionRow>> {
    if supervisor::versions(status).is_empty() {
        return Ok(Vec::new());
    }
    let server = Server::new(&watched.endpoints);
    let (mut descriptions, mut others) = watched.transfers().descriptions();
    let are_counted = others.len() > MOST_DESCRIBED;
    others.truncate(MOST_DESCRIBED);
    let deployment = server.deployment()?.unwrap_or_default();
    let described =
        side_by_side::try_map(&others, |run| server.describe_if_there(run))?.into_iter().flatten();
    let is_running =
        |description: &Value| status_name(&description["workflowExecutionInfo"]["status"]) == "RUNNING";
    descriptions.extend(described.filter(is_running));
    let mut rows = versions::rows_of(&deployment, status, &descriptions);
    if are_counted {
        versions::count(&server, &mut rows)?;
    }
    rows.iter_mut().for_each(|row| row.deployment = server.deployment_name());
    Ok(rows)
}

/// Since when a worker with the learner's last edit polls.
fn live_since(status: &Value) -> Option<f64> {
    let deployment = |step: &str| status["deployment"][step].as_f64().unwrap_or_default();
    let (built, polls) = (deployment("built"), deployment("polls"));
    let is_live = built > 0.0 && polls >= built && is_deployed(status) && status["edited"] == true;
    is_live.then_some(polls)
}

/// Whether this service is down only for a moment, because of a command or a deployment.
fn restarts_as_planned(status: &Value, name: &str) -> bool {
    let mut services = status["services"].as_array().into_iter().flatten();
    let Some(service) = services.find(|service| service["name"] == name) else { return false };
    let is_built = name == WORKER && BuildState::of(status) == Some(BuildState::Building);
    is_built || service["planned"] == true && service["state"] != "running"
}

/// The event for the bank.
fn bank_event(watched: &Watched) -> Result<Value> {
    let bank = &watched.endpoints.bank;
    let Accounts { accounts } = serde_json::from_value(get_json(&format!("{bank}/accounts"))?)?;
    let total: i64 = accounts.iter().map(|account| account.balance.cents()).sum();
    let at_start: i64 = ACCOUNTS.iter().map(|(_, money)| money.cents()).sum();
    Ok(json!({
        "accounts": accounts,
        "opened": watched.opened(),
        "total": Money::from_cents(total),
        "in_transit": Money::from_cents(at_start - total),
        "real_world_mode": get_json(&format!("{bank}/real-world-mode"))?,
        "outage": get_json(&format!("{bank}/outage"))?,
    }))
}

/// The services as the supervisor reports them; without a supervisor, by whether they answer.
fn services(status: &Value, temporal_silent: bool, bank_silent: bool) -> Value {
    if status["services"].is_array() {
        return status["services"].clone();
    }
    let service = |name: &str, silent: bool| json!({ "name": name, "state": if silent { "stopped" } else { "running" } });
    json!([service("temporal", temporal_silent), service("account-api", bank_silent)])
}

/// The parts that are down, in words, and what to type.
fn down(
    status: &Value,
    temporal_silent: bool,
    bank_silent: bool,
    lost: bool,
    stopped: Option<u32>,
) -> Vec<Value> {
    let entry = |name: &str, says: &str, what: &str| json!({ "name": name, "says": says, "do": what });
    if lost {
        return vec![entry("lab", "the lab has stopped", "cargo xtask lab start --detach")];
    }
    let state = |name: &str| {
        let services = status["services"].as_array().into_iter().flatten();
        let mut states = services.filter(|service| service["name"] == *name).map(|service| &service["state"]);
        states.next().and_then(Value::as_str).unwrap_or("running")
    };
    let mut down = Vec::new();
    if let Some(pid) = stopped {
        let says = "the lab's supervisor is stopped, as after Ctrl-Z: it builds no edit and restarts nothing";
        down.push(entry("lab", says, &format!("kill -CONT {pid}")));
    }
    let is_down =
        |name: &str, silent: bool| (silent || state(name) != "running") && !restarts_as_planned(status, name);
    if is_down("temporal", temporal_silent) {
        let says = match status["class"].is_object() {
            true => "the class server is unreachable; retrying",
            false => "the Temporal server does not answer; transfers pause and continue once it is back",
        };
        down.push(entry("temporal", says, "cargo xtask lab status"));
    }
    if is_down("account-api", bank_silent) {
        let says = "the bank does not answer; Temporal retries the Activities that call it";
        down.push(entry("account-api", says, "cargo xtask lab status"));
    }
    if let Some((service, blocking)) = supervisor::blocking(status).first() {
        down.push(entry(service, &blocking.words(), &format!("cargo xtask lab logs {service}")));
    }
    if is_down(WORKER, false) {
        let says = "no worker is running; transfers wait on the Task Queue";
        down.push(entry(WORKER, says, "cargo xtask lab logs worker"));
    }
    for version in supervisor::versions(status) {
        let name = service_of(version);
        if is_down(&name, false) {
            let says = format!("no worker of version {version} is running; its transfers wait");
            down.push(entry(&name, &says, &format!("cargo xtask lab logs {name}")));
        }
    }
    for service in status["services"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, failing) = (text(&service["name"]), &service["failing"]);
        let see = format!("cargo xtask lab logs {name}");
        if failing.is_object() {
            let last = failing["log"].as_array().and_then(|lines| lines.last()).map(text).unwrap_or_default();
            let (why, times) = (text(&failing["why"]), &failing["in_a_row"]);
            let says = format!("{name} is failing: it {why}, {times} times in a row; its last line: {last}");
            down.push(entry(&name, &says, &see));
        } else if service["lines_left_out"].as_u64().unwrap_or_default() > 0 {
            let says = format!("{name} prints more than its log takes; is there a print in a loop?");
            down.push(entry(&name, &says, &see));
        }
    }
    down
}

fn watch_guide(watched: &Watched, memory: &mut Memory) {
    let Some(lab) = &watched.lab else { return };
    let (status, changes, routing) = {
        let seen = watched.seen();
        let routing =
            seen.versions.iter().map(|row| json!([row["build_id"], row["status"], row["percentage"]]));
        (seen.status.clone(), seen.changes, routing.collect())
    };
    let target = progress::entering(lab);
    let is_entering = target.is_some();
    let basis = Basis {
        changes,
        progress: Progress::read(lab),
        services: running_since(&status),
        routing,
        is_entering,
    };
    let anyway = if watched.endpoints.learner.is_some() { SHARED_GUIDE_ANYWAY } else { GUIDE_ANYWAY };
    let is_known =
        memory.judged.as_ref().is_some_and(|(at, judged)| *judged == basis && at.elapsed() < anyway);
    let build_failed = BuildState::of(&status) == Some(BuildState::Failed);
    if is_known {
        return;
    }
    let stage = basis.progress.stage;
    // To enter a stage, the lab may enter others first, which the page does not show.
    let is_intermediate = target.is_some_and(|target| target != stage);
    if is_intermediate && !memory.report.is_null() {
        return;
    }
    let server = Server::new(&watched.endpoints);
    let services = supervisor::services(&status);
    let error = match watched.reader().read(&basis.progress, services) {
        Ok(facts) => {
            let report = lab::Report { build_failed, ..lab::Report::of(stage, &facts) };
            memory.report = guide::report_json(&report, &server, watched.opened());
            memory.tasks = guide::tasks(&report, &facts, &server, &status, is_entering);
            memory.drill = drill::judged(lab, &basis.progress, &report, &facts);
            memory.reached.learn(&basis.progress, &memory.report);
            memory.entered = Some((stage.name, basis.progress.entered.clone()));
            None
        }
        Err(error) => {
            let entered = Some((stage.name, basis.progress.entered.clone()));
            // Of another stage, or of the last time at this one.
            if memory.entered != entered {
                memory.entered = entered;
                let nothing = lab::Facts::default();
                let report = lab::Report::of(stage, &nothing);
                memory.report = guide::report_json(&report, &server, 0.0);
                memory.tasks = guide::tasks(&report, &nothing, &server, &status, is_entering);
                memory.drill = drill::judged(lab, &basis.progress, &report, &nothing);
            }
            Some(format!("cannot evaluate the goals right now: {error:#}"))
        }
    };
    let is_error = error.is_some();
    let drill = drill::to_json(&basis.progress, &memory.drill);
    let event = guide::event(&basis.progress, &memory.reached, &memory.report, &memory.tasks, drill, error);
    watched.feed.publish(Subject::Guide, event);
    memory.judged = (!is_error).then(|| (Instant::now(), basis));
}

/// The part of the supervisor's status that the goals depend on.
fn running_since(status: &Value) -> Value {
    let services = status["services"].as_array().into_iter().flatten();
    let since = services.map(|service| json!([service["name"], service["since"]]));
    json!([since.collect::<Vec<_>>(), status["build"], status["watch"]])
}

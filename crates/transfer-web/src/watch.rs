//! The threads that watch over the lab for the open pages, one a subject.

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
    progress::Progress,
    supervisor::{self, BuildState, Supervisor},
    temporal::Server,
};
use serde_json::{Value, json};

use crate::{
    feed::{Feed, Subject},
    guide,
    transfers::{Transfers, Window},
};

/// How often the transfers are looked at, at a server of the lab's own.
const TRANSFERS: Duration = Duration::from_millis(350);
/// The same at a service that others share. Temporal Cloud answers thirty lists and counts of a namespace in a second, and a
/// class of forty has forty open pages.
const SHARED_TRANSFERS: Duration = Duration::from_secs(3);
/// How often the bank and the supervisor are.
const LAB: Duration = Duration::from_millis(500);
/// How often the goals are judged at most; where that takes long, there is a rest of up to four seconds.
const GUIDE: Duration = Duration::from_millis(400);
/// The goals are judged again after so long, also where no transfer in view has changed.
const GUIDE_ANYWAY: Duration = Duration::from_secs(10);
/// The same at a service that others share.
const SHARED_GUIDE_ANYWAY: Duration = Duration::from_secs(30);

/// What the watchers and the API share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Watched {
    /// Where to ask.
    pub(crate) endpoints: Endpoints,
    /// The lab's folder, if there is a lab around.
    pub(crate) lab: Option<PathBuf>,
    /// What the pages are told.
    pub(crate) feed: Feed,
    transfers: Arc<Mutex<Transfers>>,
    seen: Arc<Mutex<Seen>>,
}

/// What one watcher has seen, for the others.
#[derive(Default)]
struct Seen {
    /// When the bank's books were opened, in seconds since 1970.
    opened: f64,
    temporal_silent: bool,
    bank_silent: bool,
    /// The supervisor's last answer.
    status: Value,
    /// Counts up whenever a transfer has changed, as far as that was seen.
    changes: u64,
}

impl Watched {
    /// What answers there.
    pub(crate) fn new(endpoints: Endpoints, lab: Option<PathBuf>) -> Watched {
        let transfers = Arc::new(Mutex::new(Transfers::new(Server::new(&endpoints))));
        Watched { endpoints, lab, feed: Feed::new(), transfers, seen: Arc::default() }
    }

    /// The transfers, for this thread alone.
    pub(crate) fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the bank's books were opened, as far as it is known.
    pub(crate) fn opened(&self) -> f64 {
        self.seen().opened
    }

    /// Asks the bank when its books were opened. Where it does not answer, what was known stays.
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
        let watch = |period: Duration, look: fn(&Watched, &mut Memory)| {
            let watched = self.clone();
            thread::spawn(move || {
                let mut memory = Memory::new(&watched.endpoints);
                let mut wait = Duration::ZERO;
                while watched.feed.wait(wait) {
                    let begin = Instant::now();
                    look(&watched, &mut memory);
                    wait = period.max(4 * begin.elapsed().min(Duration::from_secs(1)));
                }
            });
        };
        watch(LAB, watch_lab);
        let is_shared = self.endpoints.learner.is_some();
        watch(if is_shared { SHARED_TRANSFERS } else { TRANSFERS }, watch_transfers);
        watch(GUIDE, watch_guide);
    }
}

/// What a watcher keeps from one look to the next.
struct Memory {
    reader: Reader,
    judged: Option<(Instant, Basis)>,
    report: Value,
    /// The windows that were told of, and as of which change.
    told: (u64, f64, BTreeSet<Window>),
}

/// What the goals were judged by: where it is the same, so are they.
#[derive(PartialEq)]
struct Basis {
    changes: u64,
    progress: Progress,
    services: Value,
}

impl Memory {
    fn new(endpoints: &Endpoints) -> Memory {
        Memory { reader: Reader::new(endpoints), judged: None, report: Value::Null, told: Default::default() }
    }
}

fn watch_transfers(watched: &Watched, memory: &mut Memory) {
    // Without it, what was swept away with older books would be shown for a moment.
    let opened = if watched.opened() > 0.0 { watched.opened() } else { watched.ask_opened() };
    let windows: BTreeSet<_> = watched.feed.windows().into_iter().collect();
    let mut transfers = watched.transfers();
    let looked = transfers.sync().and_then(|()| transfers.look(&windows, opened));
    let now = (transfers.version(), opened, windows);
    {
        let mut seen = watched.seen();
        seen.temporal_silent = looked.is_err();
        seen.changes = now.0;
    }
    let is_told =
        memory.told == now && now.2.iter().all(|&window| watched.feed.has(Subject::Transfers(window)));
    if looked.is_err() || is_told {
        return;
    }
    let events: Vec<_> = now.2.iter().map(|&window| (window, transfers.event(window, opened))).collect();
    drop(transfers);
    for (window, event) in events {
        watched.feed.tell(Subject::Transfers(window), event);
    }
    memory.told = now;
}

fn watch_lab(watched: &Watched, _: &mut Memory) {
    let supervisor = watched.lab.as_deref().and_then(Supervisor::of);
    let status = supervisor.map(|supervisor| supervisor.status());
    let is_supervised = matches!(status, Some(Ok(_)));
    let status = status.and_then(Result::ok).unwrap_or_default();
    watched.seen().status = status.clone();
    // A bank that hangs is asked one thing, and not all.
    let bank = watched.try_ask_opened().and_then(|_| bank_event(watched));
    watched.seen().bank_silent = bank.is_err();
    if let Ok(event) = bank {
        watched.feed.tell(Subject::Bank, event);
    }
    let (temporal_silent, bank_silent) = {
        let seen = watched.seen();
        (seen.temporal_silent, seen.bank_silent)
    };
    watched.feed.tell(
        Subject::Lab,
        json!({
            "services": services(&status, temporal_silent, bank_silent),
            "build": BuildState::of(&status).map(BuildState::name),
            "watch": status["watch"] != false,
            "temporal_ui": watched.endpoints.temporal_ui,
            "down": down(&status, temporal_silent, bank_silent, watched.lab.is_some() && !is_supervised),
        }),
    );
}

/// What the bank says of itself.
fn bank_event(watched: &Watched) -> Result<Value> {
    let bank = &watched.endpoints.bank;
    let Accounts { accounts } = serde_json::from_value(get_json(&format!("{bank}/accounts"))?)?;
    let total: i64 = accounts.iter().map(|account| account.balance.cents()).sum();
    let at_start: i64 = ACCOUNTS.iter().map(|(_, money)| money.cents()).sum();
    Ok(json!({
        "accounts": accounts,
        "total": Money::from_cents(total),
        "in_transit": Money::from_cents(at_start - total),
        "real_world_mode": get_json(&format!("{bank}/real-world-mode"))?,
        "outage": get_json(&format!("{bank}/outage"))?,
    }))
}

/// The services, as the supervisor has them; without one, those that answer or do not.
fn services(status: &Value, temporal_silent: bool, bank_silent: bool) -> Value {
    if status["services"].is_array() {
        return status["services"].clone();
    }
    let service = |name: &str, silent: bool| json!({ "name": name, "state": if silent { "stopped" } else { "running" } });
    json!([service("temporal", temporal_silent), service("account-api", bank_silent)])
}

/// What does not do its work, in words, and what to type.
fn down(status: &Value, temporal_silent: bool, bank_silent: bool, lost: bool) -> Vec<Value> {
    let entry = |name: &str, says: &str, what: &str| json!({ "name": name, "says": says, "do": what });
    if lost {
        return vec![entry("lab", "the lab has ended", "cargo xtask lab start --detach")];
    }
    let state = |name: &str| {
        let services = status["services"].as_array().into_iter().flatten();
        let mut states = services.filter(|service| service["name"] == *name).map(|service| &service["state"]);
        states.next().and_then(Value::as_str).unwrap_or("running")
    };
    let mut down = Vec::new();
    if temporal_silent || state("temporal") != "running" {
        let says = "the Temporal server does not answer; transfers stand still, and go on when it is back";
        down.push(entry("temporal", says, "cargo xtask lab status"));
    }
    if bank_silent || state("account-api") != "running" {
        let says = "the bank does not answer; Activities that ask it are tried again until it does";
        down.push(entry("account-api", says, "cargo xtask lab status"));
    }
    if state("worker") != "running" {
        let says = "no worker runs; transfers wait on the Task Queue for one";
        down.push(entry("worker", says, "cargo xtask lab logs worker"));
    }
    down
}

fn watch_guide(watched: &Watched, memory: &mut Memory) {
    let Some(lab) = &watched.lab else { return };
    let (status, changes) = {
        let seen = watched.seen();
        (seen.status.clone(), seen.changes)
    };
    let basis = Basis { changes, progress: Progress::read(lab), services: running_since(&status) };
    let anyway = if watched.endpoints.learner.is_some() { SHARED_GUIDE_ANYWAY } else { GUIDE_ANYWAY };
    let is_known =
        memory.judged.as_ref().is_some_and(|(at, judged)| *judged == basis && at.elapsed() < anyway);
    let build_failed = BuildState::of(&status) == Some(BuildState::Failed);
    if is_known {
        return;
    }
    let stage = basis.progress.stage;
    let server = Server::new(&watched.endpoints);
    let services = supervisor::services(&status);
    let error = match memory.reader.read(&basis.progress, services) {
        Ok(facts) => {
            let report = lab::Report { build_failed, ..lab::Report::of(stage, &facts) };
            memory.report = guide::report_json(&report, &server);
            None
        }
        Err(error) => {
            if memory.report["stage"] != stage.name {
                memory.report = guide::report_json(&lab::Report::of(stage, &lab::Facts::default()), &server);
            }
            Some(format!("the goals are not known at this moment: {error:#}"))
        }
    };
    let is_error = error.is_some();
    watched.feed.tell(Subject::Guide, guide::event(stage, basis.progress.hints, &memory.report, error));
    memory.judged = (!is_error).then(|| (Instant::now(), basis));
}

/// What of the supervisor's answer the goals depend on.
fn running_since(status: &Value) -> Value {
    let services = status["services"].as_array().into_iter().flatten();
    let since = services.map(|service| json!([service["name"], service["since"]]));
    json!([since.collect::<Vec<_>>(), status["build"]])
}

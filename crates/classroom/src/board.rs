//! The class board: finding its class, and showing it in a terminal or as a page.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use contract::PublicHosts;
use lab_client::{
    Endpoints, OWN_NAMESPACE,
    class::{self, Polls, notices},
    state::RemoteService,
    temporal::Server,
    time,
};
use serde_json::json;

use crate::{served::Served, table};
use checkout::project::Project;
use supervisor::{gateway::Gateway, ports, remote_service, signals};
use terminal::{stderrln, stdoutln};

/// How often `--watch` updates.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The page's port, unless it is in use.
const PAGE_PORT: u16 = 7240;
/// How often to check whether the page's program has ended.
const TICK: Duration = Duration::from_millis(200);

/// Prints the board once, or with `watch` repeatedly until the reader is gone.
///
/// # Errors
/// Its Temporal Service does not answer the first time.
pub fn print(project: &Project, place: &Place, as_json: bool, watch: bool) -> Result<()> {
    // The gateway runs for as long as the board is shown.
    let (server, _gateway) = reach(project, place)?;
    let name = place.name();
    let polls = Polls::default();
    let look = || -> Result<Vec<String>> {
        let board = look_at(&server, &polls)?;
        Ok(if as_json { vec![board.to_json().to_string()] } else { table::lines(&board, &name) })
    };
    if !watch {
        stdoutln!("{}", look()?.join("\n"));
        return Ok(());
    }
    let in_place = terminal::is_screen() && !as_json;
    let mut shown = Vec::new();
    loop {
        let lines = look().unwrap_or_else(|error| {
            let error = format!("{error:#}");
            vec![if as_json {
                json!({ "error": error }).to_string()
            } else {
                format!("could not read the board: {error}")
            }]
        });
        let footer = in_place.then(time::checked_now);
        // The reader is gone. Returning drops the gateway, which ends it.
        if terminal::show(&lines, &shown, footer.as_deref()).is_err() {
            return Ok(());
        }
        shown = lines;
        thread::sleep(POLL_INTERVAL);
    }
}

/// Reads the board once.
///
/// # Errors
/// Its Temporal Service does not answer.
pub fn read(project: &Project, place: &Place) -> Result<class::Board> {
    let (server, _gateway) = reach(project, place)?;
    look_at(&server, &Polls::default())
}

/// The board with what the instructor has told the room.
fn look_at(server: &Server, polls: &Polls) -> Result<class::Board> {
    let mut board = class::board_at(server, polls, time::now())?;
    board.note(notices::read(server)?);
    Ok(board)
}

/// A client of the class's Temporal Service, and the gateway that it needs, if any.
///
/// # Errors
/// The gateway cannot reach the service.
pub fn reach(project: &Project, place: &Place) -> Result<(Server, Option<Gateway>)> {
    Ok(match place {
        Place::Here(served) => (Server::new(&Endpoints::own(&served.http(), &served.ui(), "")), None),
        Place::RemoteService(remote_service) => {
            let gateway =
                Gateway::start(project, remote_service, &["--http-port".to_owned(), "0".to_owned()])?;
            (Server::new(&gateway.endpoints()), Some(gateway))
        }
    })
}

/// Where a class runs.
pub enum Place {
    /// Served from this checkout.
    Here(Served),
    /// On a remote Temporal Service.
    RemoteService(RemoteService),
}

impl Place {
    fn name(&self) -> String {
        match self {
            Place::Here(served) => served.address(),
            Place::RemoteService(RemoteService { profile: Some(profile), .. }) => {
                format!("profile {profile}")
            }
            Place::RemoteService(remote_service) => remote_service.address.clone(),
        }
    }
}

/// Finds the class: the one that the flags name, else the one served from here, else the service of the lab's last start.
///
/// # Errors
/// There is no class.
pub fn find(project: &Project, named: Option<RemoteService>) -> Result<Place> {
    if let Some(named) = named {
        return Ok(Place::RemoteService(named));
    }
    if let Some(served) = Served::find(project) {
        return Ok(Place::Here(served));
    }
    match remote_service::last(project) {
        // The board shows all learners.
        Some(last) => Ok(Place::RemoteService(RemoteService { learner: None, ..last })),
        None => bail!(
            "no class is served from here; to serve one: cargo xtask class serve --bind ADDRESS; to see another one, \
             add --address HOST:PORT or --profile NAME"
        ),
    }
}

/// Serves the board as a page, by a gateway, until Ctrl-C.
///
/// # Errors
/// The port is taken, or the gateway cannot reach the service or ends.
pub fn serve_page(project: &Project, place: &Place, port: Option<u16>) -> Result<()> {
    let port = match port {
        Some(port) if !ports::is_free(port) => bail!(
            "port {port} for the page is in use by {}; end that program, or choose another port with --page-port",
            ports::holder_or_unknown(port)
        ),
        Some(port) => port,
        None => match (PAGE_PORT..PAGE_PORT + 100).find(|&port| ports::is_free(port)) {
            Some(port) => port,
            None => ports::any_free()?,
        },
    };
    let (signal, signals) = mpsc::channel();
    signals::listen(move || {
        let _ = signal.send(());
    })?;
    let remote_service = match place {
        Place::Here(served) => RemoteService {
            address: served.address(),
            namespace: OWN_NAMESPACE.to_owned(),
            ..RemoteService::default()
        },
        Place::RemoteService(remote_service) => remote_service.clone(),
    };
    let public = PublicHosts::from_env()?.of_port(port).url();
    let flags = ["--board".to_owned(), "--http-port".to_owned(), port.to_string()];
    let mut gateway = Gateway::start(project, &remote_service, &flags)?;
    stdoutln!("the class board on {}: {}", place.name(), gateway.url);
    if let Some(public) = public {
        stdoutln!("its public URL: {public}");
    }
    stderrln!("Ctrl-C ends the page, not the class");
    loop {
        if let Some(status) = gateway.ended() {
            bail!("the page's program has exited unexpectedly ({status}); see .lab/logs/board.log");
        }
        match signals.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return Ok(()),
        }
    }
}

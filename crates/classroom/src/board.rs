//! `class board`.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab_client::{Endpoints, OWN_NAMESPACE, class, state::RemoteService, temporal::Server};
use serde_json::json;

use super::{example, flag, gateway::Gateway, json_flag, served::Served, table};
use checkout::project::Project;
use supervisor::{ports, remote_service, signals};
use terminal::{stderrln, stdoutln};

/// How often `--watch` looks.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Where the page is, unless that port is taken.
const PAGE_PORT: u16 = 7240;
/// How often is looked whether the page's program has ended.
const TICK: Duration = Duration::from_millis(200);

pub fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("board")
        .about("Tells how each learner of a class does: stage, goals, stuck on what, last sign of life, and who asks for help")
        .arg(
            value("profile", "NAME", "Of the Temporal Service of this profile of temporal.toml")
                .conflicts_with("address"),
        )
        .arg(value("address", "HOST:PORT", "Of the Temporal Service at this address, without TLS"))
        .arg(value("namespace", "NAME", "The namespace there [default: default]").requires("address"))
        .arg(flag("watch", "Go on looking, until Ctrl-C"))
        .arg(flag("page", "Serve the board as a page on this machine, until Ctrl-C").conflicts_with_all(["watch", "json"]))
        .arg(
            value("page-port", "PORT", "Where to have the page [default: 7240, or the next free one]")
                .value_parser(value_parser!(u16).range(1..))
                .requires("page"),
        )
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask class board --watch",
            "cargo xtask class board --page",
            "cargo xtask class board --profile class --json",
        ]))
}

pub fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let place = place(project, arguments)?;
    if arguments.get_flag("page") {
        return serve_page(project, &place, arguments.get_one::<u16>("page-port").copied());
    }
    // It is there for as long as the board is looked at.
    let gateway = match &place {
        Place::Here(_) => None,
        Place::RemoteService(remote_service) => {
            Some(Gateway::start(project, remote_service, &["--http-port".to_owned(), "0".to_owned()])?)
        }
    };
    let endpoints = match (&place, &gateway) {
        (Place::Here(served), _) => Endpoints::own(&served.http(), &served.ui(), ""),
        (_, Some(gateway)) => gateway.endpoints(),
        (Place::RemoteService(_), None) => bail!("there is no way to the service"),
    };
    let server = Server::new(&endpoints);
    let (as_json, name) = (arguments.get_flag("json"), place.name());
    let look = || -> Result<Vec<String>> {
        let board = class::board(&server)?;
        Ok(if as_json { vec![board.to_json().to_string()] } else { table::lines(&board, &name) })
    };
    if !arguments.get_flag("watch") {
        stdoutln!("{}", look()?.join("\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let in_place = io::stdout().is_terminal() && !as_json;
    let mut shown = Vec::new();
    loop {
        let lines = look().unwrap_or_else(|error| {
            let error = format!("{error:#}");
            vec![if as_json {
                json!({ "error": error }).to_string()
            } else {
                format!("not known at this moment: {error}")
            }]
        });
        // Nobody reads it any more: the gateway ends on the way out.
        if terminal::show(&lines, &shown, in_place).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        shown = lines;
        thread::sleep(POLL_INTERVAL);
    }
}

/// Where the class is.
enum Place {
    /// It is served from this checkout.
    Here(Served),
    /// It is at a remote service.
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

/// The class that is meant: by flags, else the one that is served from here, else where this lab was last.
fn place(project: &Project, arguments: &ArgMatches) -> Result<Place> {
    if let Some(named) = remote_service::named(arguments) {
        return Ok(Place::RemoteService(named));
    }
    if let Some(served) = Served::find(project) {
        return Ok(Place::Here(served));
    }
    match remote_service::last(project) {
        // A board is of all.
        Some(last) => Ok(Place::RemoteService(RemoteService { learner: None, ..last })),
        None => bail!(
            "there is no class here: begin one with: cargo xtask class serve --bind ADDRESS; or name the service of one, \
             by --address HOST:PORT or --profile NAME"
        ),
    }
}

/// Has a gateway serve the board as a page, until Ctrl-C.
fn serve_page(project: &Project, place: &Place, port: Option<u16>) -> Result<ExitCode> {
    let port = match port {
        Some(port) if !ports::is_free(port) => bail!(
            "port {port} for the page is taken by {}; end that, or give --page-port another one",
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
    let flags = ["--board".to_owned(), "--http-port".to_owned(), port.to_string()];
    let mut gateway = Gateway::start(project, &remote_service, &flags)?;
    stdoutln!("the board of the class on {}: {}", place.name(), gateway.url);
    stderrln!("Ctrl-C ends the page; the class goes on");
    loop {
        if let Some(status) = gateway.ended() {
            bail!("the page's program has ended by itself ({status}); see .lab/logs/board.log");
        }
        match signals.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return Ok(ExitCode::SUCCESS),
        }
    }
}

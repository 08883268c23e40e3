//! The gateway program. See `gateway --help`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use contract::PublicHosts;
use gateway::{Gateway, Guard, Link, Service};
use lab_client::start_failure::StartFailure;

fn main() -> ExitCode {
    let arguments = cli().get_matches();
    loopback::block_on(async {
        let outcome = run(&arguments).await;
        if let (Err(error), Some(file)) = (&outcome, arguments.get_one::<PathBuf>("failure-file")) {
            let failure = StartFailure { error: format!("{error:#}") };
            // Standard error has it too.
            let _ = files::replace(file, failure.to_json().to_string().as_bytes(), 0o600);
        }
        outcome
    })
}

/// The command line.
fn cli() -> Command {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let port = |name, default: &'static str, help| {
        flag(name, "PORT", help).default_value(default).value_parser(value_parser!(u16))
    };
    Command::new("gateway")
        .about("A remote Temporal Service, on loopback: gRPC and the server's HTTP API, with the profile's TLS and API key")
        .after_help(
            "The service is that of a profile of temporal.toml and of TEMPORAL_* variables, as every Temporal tool has it.\n\n\
             Example: gateway --profile class --learner ada --port 7233 --http-port 7243",
        )
        .arg(flag("profile", "NAME", "The profile in temporal.toml [default: $TEMPORAL_PROFILE, or default]"))
        .arg(flag("address", "HOST:PORT", "A service without TLS at this address, instead of a profile's"))
        .arg(flag("namespace", "NAME", "The namespace").default_value("default").requires("address"))
        .arg(flag("learner", "NAME", "The learner whose lab this is, if several share the namespace; other learners' Workflows are protected"))
        .arg(
            Arg::new("board")
                .long("board")
                .action(ArgAction::SetTrue)
                // A learner's lists would show only that learner's Workflows.
                .conflicts_with("learner")
                .help("Serve the class board too: a page at / of the HTTP port, and its rows at /board.json"),
        )
        .arg(port("port", "7233", "The port for gRPC; 0 picks a free one"))
        .arg(port("http-port", "7243", "The port for the HTTP API; 0 picks a free one"))
        .arg(
            flag("ready-file", "FILE", "Write the URL of the HTTP API to this file once the service has passed the preflight")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            flag("failure-file", "FILE", "Write the error as JSON to this file if the gateway does not start")
                .value_parser(value_parser!(PathBuf)),
        )
}

async fn run(arguments: &ArgMatches) -> Result<()> {
    let text = |name: &str| arguments.get_one::<String>(name).map(String::as_str);
    let port = |name: &str| arguments.get_one::<u16>(name).copied().unwrap_or_default();
    let shutdown = loopback::shutdown_signal()?;
    loopback::allow_files();
    let public = PublicHosts::from_env()?;
    let service = match text("address") {
        Some(address) => Service::at(address, text("namespace").unwrap_or("default"))?,
        None => Service::load(text("profile"))?,
    };
    let grpc = loopback::listen("127.0.0.1", port("port"), "gateway").await?;
    let http = loopback::listen("127.0.0.1", port("http-port"), "gateway").await?;
    let link = Link::new(service);
    tokio::pin!(shutdown);
    let findings = tokio::select! {
        () = &mut shutdown => return Ok(()),
        findings = gateway::preflight(&link) => findings?,
    };
    let service = &link.service;
    // The reader of stdout may be gone; the gateway runs on.
    let _ = writeln!(
        io::stdout(),
        "gateway to {}, namespace {}{}: gRPC on {}, HTTP API on {}",
        service.address,
        service.namespace,
        if service.tls { ", over TLS" } else { "" },
        grpc.local_addr()?,
        http.local_addr()?
    );
    for made in &findings.made {
        let _ = writeln!(io::stdout(), "created {made}, which was missing");
    }
    let url = format!("http://{}", http.local_addr()?);
    let guard = Arc::new(Guard::new(text("learner"), &service.namespace));
    let board = arguments.get_flag("board");
    let gateway = Gateway { link, guard, findings: Arc::new(findings), board, public };
    let served = gateway::serve(gateway, grpc, http, shutdown);
    if let Some(file) = arguments.get_one::<PathBuf>("ready-file") {
        loopback::write_ready_file(file, &url)?;
    }
    served.await;
    Ok(())
}

//! The program that serves the lab's page and API. See `transfer-web --help`.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command, value_parser};
use contract::{BANK_URL_VARIABLE, DEFAULT_BANK_URL, PublicHosts};
use lab_client::Endpoints;
use transfer_web::Web;

fn main() -> ExitCode {
    loopback::block_on(run(cli().get_matches_from(env::args_os())))
}

/// The command line.
fn cli() -> Command {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("transfer-web")
        .about("The Money Transfer API, and the page of the lab")
        .after_help(
            "The names at which a proxy forwards the page and the Temporal UI are read from $BUGLAB_PUBLIC_HOSTS.\n\n\
             Example: transfer-web --port 5051 --temporal-http http://127.0.0.1:7243 --lab .lab",
        )
        .arg(flag("host", "ADDRESS", "The address to listen on").default_value("127.0.0.1"))
        .arg(
            flag("port", "PORT", "The port to listen on; 0 picks a free one")
                .default_value("5051")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            flag("temporal-http", "URL", "The Temporal server's HTTP API")
                .default_value("http://127.0.0.1:7243"),
        )
        .arg(flag("temporal-ui", "URL", "The Temporal UI").default_value("http://127.0.0.1:8233"))
        .arg(flag("namespace", "NAME", "The transfers' namespace").default_value(lab_client::OWN_NAMESPACE))
        .arg(flag("learner", "NAME", "The learner whose lab this is, if several labs share the namespace"))
        .arg(flag("bank", "URL", "The bank [default: $ACCOUNT_API_URL, or http://127.0.0.1:5050]"))
        .arg(
            flag("lab", "FOLDER", "The lab's folder, for the guide and the state of the services")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            flag("ready-file", "FILE", "Write the service's URL to this file once it listens")
                .value_parser(value_parser!(PathBuf)),
        )
}

/// Runs the service until a shutdown signal.
async fn run(arguments: ArgMatches) -> anyhow::Result<()> {
    let text = |name: &str| arguments.get_one::<String>(name).cloned();
    let url = |name: &str| text(name).map(|url| url.trim_end_matches('/').to_owned()).unwrap_or_default();
    let bank =
        text("bank").or_else(|| env::var(BANK_URL_VARIABLE).ok()).unwrap_or(DEFAULT_BANK_URL.to_owned());
    let endpoints = Endpoints {
        temporal_http: url("temporal-http"),
        temporal_ui: url("temporal-ui"),
        bank: bank.trim_end_matches('/').to_owned(),
        namespace: text("namespace").unwrap_or_default(),
        learner: text("learner"),
    };
    let public = PublicHosts::from_env()?;
    let host = text("host").unwrap_or_default();
    let port = arguments.get_one::<u16>("port").copied().unwrap_or_default();

    let shutdown = loopback::shutdown_signal()?;
    loopback::allow_files();
    let listener = loopback::listen(&host, port, "transfer-web").await?;
    let address = listener.local_addr()?;
    loopback::warn_if_reachable(address, "move the lab's money, and reset the lab");
    let url = format!("http://{address}");
    if let Some(file) = arguments.get_one::<PathBuf>("ready-file") {
        loopback::write_ready_file(file, &url)?;
    }
    // The reader of stdout may be gone; the service runs on.
    let _ = writeln!(io::stdout(), "transfer-web listens on {url}");
    let web = Web::new(endpoints, arguments.get_one::<PathBuf>("lab").cloned()).at_public_hosts(public);
    Ok(transfer_web::serve(listener, web, shutdown).await?)
}

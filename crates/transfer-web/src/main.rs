//! The lab's page and API as a program. See `transfer-web --help`.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command, value_parser};
use contract::{BANK_URL_VARIABLE, DEFAULT_BANK_URL};
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
        .after_help("Example: transfer-web --port 5051 --temporal-http http://127.0.0.1:7243 --lab .lab")
        .arg(flag("host", "ADDRESS", "The address to listen on").default_value("127.0.0.1"))
        .arg(
            flag("port", "PORT", "The port to listen on; 0 takes a free one")
                .default_value("5051")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            flag("temporal-http", "URL", "The Temporal server's HTTP API")
                .default_value("http://127.0.0.1:7243"),
        )
        .arg(flag("temporal-ui", "URL", "The Temporal UI").default_value("http://127.0.0.1:8233"))
        .arg(
            flag("namespace", "NAME", "The namespace of the transfers")
                .default_value(lab_client::OWN_NAMESPACE),
        )
        .arg(flag("learner", "NAME", "Whose lab this is, where several share the namespace"))
        .arg(flag("bank", "URL", "The bank; else what ACCOUNT_API_URL says, else http://127.0.0.1:5050"))
        .arg(
            flag("lab", "FOLDER", "The lab's folder, for the guide and the state of its services")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            flag("ready-file", "FILE", "A file to write the service's URL to, once it listens")
                .value_parser(value_parser!(PathBuf)),
        )
}

/// Runs the service until it is asked to end.
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
    // Whoever reads this may be gone; the service goes on.
    let _ = writeln!(io::stdout(), "transfer-web listens on {url}");
    let web = Web::new(endpoints, arguments.get_one::<PathBuf>("lab").cloned());
    Ok(transfer_web::serve(listener, web, shutdown).await?)
}

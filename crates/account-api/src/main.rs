//! The bank of the lab as a program. See `account-api --help`.

use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use account_api::Bank;
use anyhow::{Context, anyhow};
use clap::{Arg, ArgMatches, Command, value_parser};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    match run(cli().get_matches_from(env::args_os())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The command line.
fn cli() -> Command {
    Command::new("account-api")
        .about("The bank of the lab: accounts in one SQLite file, behind HTTP")
        .after_help("Example: account-api --port 5050 --db account-api.db")
        .arg(
            Arg::new("host")
                .long("host")
                .value_name("ADDRESS")
                .default_value("127.0.0.1")
                .help("The address to listen on"),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .default_value("5050")
                .value_parser(value_parser!(u16))
                .help("The port to listen on; 0 takes a free one"),
        )
        .arg(
            Arg::new("db")
                .long("db")
                .value_name("FILE")
                .default_value("account-api.db")
                .value_parser(value_parser!(PathBuf))
                .help("The file to keep the books in; made if there is none"),
        )
        .arg(
            Arg::new("ready-file")
                .long("ready-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A file to write the bank's URL to, once it listens"),
        )
}

/// Runs the bank until it is asked to end.
async fn run(arguments: ArgMatches) -> anyhow::Result<()> {
    let (Some(host), Some(&port), Some(db)) = (
        arguments.get_one::<String>("host"),
        arguments.get_one::<u16>("port"),
        arguments.get_one::<PathBuf>("db"),
    ) else {
        unreachable!("each of them has a default");
    };
    let shutdown = shutdown_signal()?;
    let listener = listen(host, port).await?;
    let address = listener.local_addr()?;
    let bank = Bank::open(db)?;

    if !address.ip().is_loopback() {
        let _ = writeln!(
            io::stderr(),
            "warning: anyone who can reach {address} can move the lab's money; the default --host \
             is for this machine only"
        );
    }
    let url = format!("http://{address}");
    if let Some(file) = arguments.get_one::<PathBuf>("ready-file") {
        write_whole(file, &url)
            .with_context(|| format!("cannot write the --ready-file {}", file.display()))?;
    }
    // Whoever reads this may be gone; the bank goes on.
    let _ = writeln!(io::stdout(), "account-api listens on {url}");
    Ok(account_api::serve(listener, bank, shutdown).await?)
}

/// Takes the port.
async fn listen(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((host, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "port {port} of {host} is in use by another program, maybe another bank: stop that, or \
             choose another port with --port"
        ),
        _ => anyhow!("cannot listen on port {port} of {host}: {error}: choose others with --host and --port"),
    })
}

/// Writes beside the file and renames, so that nobody reads half of it.
fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, file)
}

/// Is done when the program is asked to end.
#[cfg(unix)]
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Is done when the program is asked to end.
#[cfg(not(unix))]
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    Ok(async {
        // An error means that no signal can come.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}

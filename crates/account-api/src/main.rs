//! The bank of the lab as a program. See `account-api --help`.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use account_api::Bank;
use clap::{Arg, ArgMatches, Command, value_parser};

fn main() -> ExitCode {
    loopback::block_on(run(cli().get_matches_from(env::args_os())))
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
                .help("The file to keep the ledger in; created if there is none"),
        )
        .arg(
            Arg::new("ready-file")
                .long("ready-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A file to write the bank's URL to, once it listens"),
        )
        .arg(
            Arg::new("faults-file")
                .long("faults-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(
                    "A file that says what is switched on, Real World Mode or an outage; a restart ends both",
                ),
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
    let shutdown = loopback::shutdown_signal()?;
    loopback::allow_files();
    let listener = loopback::listen(host, port, "bank").await?;
    let address = listener.local_addr()?;
    let mut bank = Bank::open(db)?;
    if let Some(file) = arguments.get_one::<PathBuf>("faults-file") {
        bank = bank.with_faults_file(file.clone());
    }

    loopback::warn_if_reachable(address, "move the lab's money");
    let url = format!("http://{address}");
    if let Some(file) = arguments.get_one::<PathBuf>("ready-file") {
        loopback::write_ready_file(file, &url)?;
    }
    // The reader may be gone; the bank keeps running.
    let _ = writeln!(io::stdout(), "account-api listens on {url}");
    Ok(account_api::serve(listener, bank, shutdown).await?)
}

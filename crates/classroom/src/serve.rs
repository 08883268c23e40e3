//! A class's Temporal server: starting, reaching and ending it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    process::{self as std_process, Child, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use dev_server::{Cli, DevServer};
use lab_client::{OWN_NAMESPACE, http, link::SHORT_RETRIES};
use serde_json::json;

use crate::{
    addresses::{self, join_line},
    qr, relay,
    served::{self, Served},
};
use checkout::project::Project;
use supervisor::{
    logs, ports,
    process::{self, Ending},
    signals, temporal_cli,
};
use terminal::{Usage, bold, stderrln, stdoutln};

/// The server's default port.
pub const PORT: u16 = 7233;
/// The UI's default port.
pub const UI_PORT: u16 = 8233;
/// The name of the server's log.
const LOG: &str = "class";
/// How long the server may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The grace period after TERM.
const GRACE: Duration = Duration::from_secs(8);
/// How long the server of a killed class may take to free its ports.
const FREED_WITHIN: Duration = Duration::from_secs(10);
/// How often to check conditions.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Serves a class until a signal: its server on 127.0.0.1, and a relay from the two ports at `bound` to it.
///
/// # Errors
/// A port is taken, another class is served from this checkout, or the server does not become ready.
pub fn run(project: &Project, bound: IpAddr, port: u16, ui_port: u16) -> Result<()> {
    let _lock = served::lock(project)?;
    let cli = temporal_cli::provide_server(project)?;
    let (signal, signals) = mpsc::channel();
    signals::listen(move || {
        let _ = signal.send(());
    })?;
    let left = Served::left(project);
    let timeout = if left.is_some() { FREED_WITHIN } else { Duration::ZERO };
    let listeners = [take(bound, port, "port", timeout)?, take(bound, ui_port, "ui-port", timeout)?];
    if let Some(warning) = warning(bound, port, ui_port) {
        stderrln!("{warning}");
    }

    if let Some(left) = left {
        wait_for_end(&left, timeout);
    }
    let room = Room::of(bound, listeners, [port, ui_port])?;
    let server = DevServer {
        port: room.ports[0],
        ui_port: Some(room.ports[1]),
        http_port: free_port(&room.ports)?,
        database: Some(dev_server::DATABASE),
        settings: dev_server::for_a_class(),
    };
    let served = Served {
        by: process::identify(std_process::id()).context("could not identify this process")?,
        host: served::own_host(bound),
        port,
        ui_port,
        http_port: server.http_port,
    };
    served.write(project)?;
    let mut child = start(project, &server, &cli)?;
    let outcome = serve(project, &served, room, &mut child, &signals);
    end(&mut child, &signals);
    served::forget(project);
    outcome
}

/// Waits until the server is ready, prints how to join, and then waits for a signal.
fn serve(
    project: &Project,
    served: &Served,
    room: Room,
    child: &mut Child,
    signals: &Receiver<()>,
) -> Result<()> {
    let begin = Instant::now();
    let bound = room.bound;
    let own_ui = format!("http://127.0.0.1:{}", room.ports[1]);
    // Kept until the server is ready.
    let mut closed = Some(room);
    loop {
        if let Some(status) = child.try_wait().context("could not wait for the server")? {
            let log = project.log(LOG);
            let lines = logs::last_lines(&log, 12).join("\n  ");
            bail!(
                "the server has exited unexpectedly ({status}); the end of {}:\n  {lines}",
                project.display(&log)
            );
        }
        if let Some(room) = closed.take() {
            let api = format!("{}/api/v1/namespaces/{OWN_NAMESPACE}", served.http());
            if http::answers(&api) && http::answers(&own_ui) {
                if let Err(error) = note_short_retries(&api) {
                    stderrln!(
                        "warning: learners' labs will report up to 10 min between attempts, although it is 2 s here: {error:#}"
                    );
                }
                room.open();
                summarize(served, bound);
            } else if begin.elapsed() > READY_WITHIN {
                bail!("the server was not ready within {}", terminal::duration(READY_WITHIN.as_secs_f64()));
            } else {
                closed = Some(room);
            }
        }
        logs::put_aside_if_large(&project.log(LOG));
        match signals.recv_timeout(POLL_INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => {
                if closed.is_none() {
                    stderrln!(
                        "the class has ended; its data is kept in {}",
                        project.display(&project.in_lab("class"))
                    );
                }
                return Ok(());
            }
        }
    }
}

/// Records in the namespace that this server retries a failed Workflow Task every two seconds, so that learners' labs report that.
fn note_short_retries(api: &str) -> Result<()> {
    let order = json!({ "updateInfo": { "data": { SHORT_RETRIES: "true" } } });
    http::post_json(&format!("{api}/update"), &order).map(|_| ())
}

/// Starts the server, which ends with this process, even if that is killed.
fn start(project: &Project, server: &DevServer, cli: &Cli) -> Result<Child> {
    let log = logs::open(project, LOG)?;
    let mut command = cli.command();
    command.args(server.arguments(cli)).current_dir(served::folder(project)?);
    let mut tied = process::tied(&command);
    // Ctrl-C reaches only this process, which then ends the server.
    tied.process_group(0);
    tied.stdin(Stdio::piped()).stdout(log.try_clone().context("could not open the log twice")?).stderr(log);
    tied.spawn().context("could not start the server")
}

fn end(child: &mut Child, signals: &Receiver<()>) {
    let hurry = || signals.try_recv().is_ok();
    process::end_group(child.id(), Some(child), &Ending { grace: GRACE, hurry: &hurry });
    let _ = child.wait();
}

/// Prints how to join, and the instructor's commands.
fn summarize(served: &Served, bound: IpAddr) {
    let line = |host: &str| join_line(host, served.port, served.ui_port, UI_PORT);
    let hosts: Vec<String> = addresses::to_type(bound).into_iter().map(addresses::host).collect();
    stdoutln!("{}", bold("the class is open; each learner joins with"));
    for host in &hosts {
        stdoutln!("  {}", line(host));
    }
    match hosts.len() {
        0 => {
            stdoutln!("  {}", line("ADDRESS"));
            stdoutln!("replace ADDRESS with this machine's address, which could not be determined");
        }
        1 => {}
        _ => stdoutln!("this machine has several addresses; use the one in the learners' network"),
    }
    // Only on a screen: in a file it would be noise.
    if let Some(host) = hosts.first().filter(|_| terminal::is_screen()) {
        let which = if hosts.len() > 1 { "the first command" } else { "the command" };
        stdoutln!("{}", bold(&format!("{which} as a QR code")));
        for row in qr::lines(&line(host), terminal::colours()) {
            stdoutln!("{row}");
        }
    }
    stdoutln!("{}", bold("for you"));
    stdoutln!("  cargo xtask class board --watch     each learner's progress, and who asks for help");
    stdoutln!("  cargo xtask class board --page      the same as a web page");
    stdoutln!(
        "  cargo xtask class slides --html slides.html     slides for the opening; class handout: a page to print"
    );
    stdoutln!("  {}      the Temporal UI, with all transfers", served.ui());
    stdoutln!("Ctrl-C ends the class; its data is kept for the next one");
}

/// The warning about who can use the server; none on loopback.
fn warning(bound: IpAddr, port: u16, ui_port: u16) -> Option<String> {
    let place = match bound {
        ip if ip.is_loopback() => return None,
        ip if ip.is_unspecified() => "an address of this machine".to_owned(),
        ip => ip.to_string(),
    };
    Some(format!(
        "warning: everyone who can reach {place}, ports {port} and {ui_port}, can read, start and terminate every Workflow. \
         There is no password and no encryption. Use a network that you trust, and end the class afterwards."
    ))
}

/// Parses a typed address.
///
/// # Errors
/// Wrong usage: it is not an address.
pub fn address(text: &str) -> Result<IpAddr> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| {
        let own = own_addresses();
        Usage(format!("{text:?} is not an IP address, such as 192.168.0.7{own}")).into()
    })
}

/// The addresses of a class: where learners reach it, and where its server listens.
///
/// The server listens on 127.0.0.1, and a relay forwards connections from the class's address. `temporal server start-dev --ip ADDRESS`
/// does not work: all of the server's internal services then listen at that address but look for each other at 127.0.0.1, so no
/// Workflow starts (CLI 1.9.1). It would also expose the internal services to the room.
struct Room {
    bound: IpAddr,
    /// The server's ports for gRPC and the UI.
    ports: [u16; 2],
    /// The relay's listeners, in the same order.
    listeners: Vec<TcpListener>,
}

impl Room {
    fn of(bound: IpAddr, listeners: [TcpListener; 2], ports: [u16; 2]) -> Result<Room> {
        if bound == Ipv4Addr::LOCALHOST {
            return Ok(Room { bound, ports, listeners: Vec::new() });
        }
        let own = free_port(&[])?;
        Ok(Room { bound, ports: [own, free_port(&[own])?], listeners: listeners.into() })
    }

    /// Starts the relay once the server is ready; until then, early clients wait instead of being disconnected.
    fn open(self) {
        for (listener, port) in self.listeners.into_iter().zip(self.ports) {
            relay::start(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
    }
}

/// Waits until the server of a killed class has ended and released the database.
fn wait_for_end(left: &Served, timeout: Duration) {
    let begin = Instant::now();
    while !ports::is_free(left.http_port) && begin.elapsed() < timeout {
        thread::sleep(POLL_INTERVAL);
    }
}

/// Listens on a port of the class, and waits for a killed class's server to free it.
fn take(bound: IpAddr, port: u16, flag: &str, timeout: Duration) -> Result<TcpListener> {
    let begin = Instant::now();
    loop {
        let error = match TcpListener::bind((bound, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::AddrInUse && begin.elapsed() < timeout {
            thread::sleep(POLL_INTERVAL);
            continue;
        }
        return Err(match error.kind() {
            io::ErrorKind::AddrInUse => anyhow!(
                "port {port} is in use by {}; end that program, or choose another port with --{flag}",
                ports::holder_or_unknown(port)
            ),
            io::ErrorKind::AddrNotAvailable => {
                anyhow!("this machine does not have the address {bound}{}", own_addresses())
            }
            _ => anyhow!("cannot listen on port {port} of {bound}: {error}"),
        });
    }
}

/// This machine's addresses, as the end of an error message.
fn own_addresses() -> String {
    let own: Vec<String> = addresses::of_this_machine().iter().map(ToString::to_string).collect();
    if own.is_empty() { String::new() } else { format!("; this machine has: {}", own.join(", ")) }
}

/// A free port other than these.
fn free_port(others: &[u16]) -> Result<u16> {
    loop {
        let port = ports::any_free()?;
        if !others.contains(&port) {
            return Ok(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_loopback_it_warns_who_can_use_the_server() {
        let of = |ip: &str| warning(ip.parse().expect("an address"), 7233, 8233);
        let said = of("192.168.0.7").expect("it is not loopback");
        for part in [
            "everyone who can reach 192.168.0.7, ports 7233 and 8233,",
            "read, start and terminate every Workflow",
            "no password and no encryption",
            "end the class afterwards",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(of("0.0.0.0").is_some_and(|said| said.contains("an address of this machine")));
        for loopback in ["127.0.0.1", "127.0.0.2", "::1"] {
            assert_eq!(of(loopback), None);
        }
    }

    #[test]
    fn an_invalid_address_is_wrong_usage() {
        assert!(address("192.168.0").expect_err("a number is missing").is::<Usage>());
        assert_eq!(address("[::1]").expect("it is one").to_string(), "::1");
        assert_eq!(address("localhost").expect("it is one").to_string(), "127.0.0.1");
    }

    #[test]
    fn another_machines_address_and_a_port_in_use_are_different_errors() {
        let other = "192.0.2.1".parse().expect("an address");
        let said = take(other, 7233, "port", Duration::ZERO).expect_err("nobody has it").to_string();
        assert!(said.contains("does not have the address 192.0.2.1"), "{said}");
        let held = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = held.local_addr().expect("it is bound").port();
        let said = take(Ipv4Addr::LOCALHOST.into(), port, "ui-port", Duration::ZERO).expect_err("it is held");
        assert!(said.to_string().contains("--ui-port"), "{said}");
    }
}

//! A Temporal server for a room: how it is started, reached and ended.

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
use dev_server::DevServer;
use lab_client::{OWN_NAMESPACE, http};

use crate::{
    addresses::{self, join_line},
    relay,
    served::{self, Served},
};
use checkout::project::Project;
use supervisor::{
    logs, ports,
    process::{self, Ending},
    signals, temporal_cli,
};
use terminal::{Usage, bold, stderrln, stdoutln};

/// Where the server is when nobody says otherwise.
pub const PORT: u16 = 7233;
/// Where its UI is.
pub const UI_PORT: u16 = 8233;
/// The log of the server.
const LOG: &str = "class";
/// How long the server may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it has to end after TERM.
const GRACE: Duration = Duration::from_secs(8);
/// How long the server of a class that was killed may take to give its ports back.
const FREED_WITHIN: Duration = Duration::from_secs(10);
/// How often is looked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Serves a class until a signal ends it: its server on 127.0.0.1, and what comes to the two ports at `bound` handed on to that.
///
/// # Errors
/// A port is taken, another class is served from this checkout, or the server does not become ready.
pub fn run(project: &Project, bound: IpAddr, port: u16, ui_port: u16) -> Result<()> {
    let _lock = served::lock(project)?;
    let cli = temporal_cli::provide(project)?;
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
        by: process::identify(std_process::id()).context("the system does not tell of this process")?,
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

/// Waits until the server is ready, says how to join, and then waits for the end.
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
    // Until the server is ready.
    let mut closed = Some(room);
    loop {
        if let Some(status) = child.try_wait().context("could not wait for the server")? {
            let log = project.log(LOG);
            let lines = logs::last_lines(&log, 12).join("\n  ");
            bail!(
                "the server has ended by itself ({status}); the end of {}:\n  {lines}",
                project.display(&log)
            );
        }
        if let Some(room) = closed.take() {
            let api = format!("{}/api/v1/namespaces/{OWN_NAMESPACE}", served.http());
            if http::answers(&api) && http::answers(&own_ui) {
                room.open();
                summarize(served, bound);
            } else if begin.elapsed() > READY_WITHIN {
                bail!("the server was not ready after {}", terminal::duration(READY_WITHIN.as_secs_f64()));
            } else {
                closed = Some(room);
            }
        }
        match signals.recv_timeout(POLL_INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => {
                if closed.is_none() {
                    stderrln!(
                        "the class is over; what was done stays in {}",
                        project.display(&project.in_lab("class"))
                    );
                }
                return Ok(());
            }
        }
    }
}

/// Starts the server, which ends with this process, however that ends.
fn start(project: &Project, server: &DevServer, cli: &std::path::Path) -> Result<Child> {
    let log = logs::open(project, LOG)?;
    let mut command = dev_server::command(cli);
    command.args(server.arguments()).current_dir(served::folder(project)?);
    let mut tied = process::tied(&command);
    // Ctrl-C is for this process, which ends the server in its own time.
    tied.process_group(0);
    tied.stdin(Stdio::piped()).stdout(log.try_clone().context("could not open the log twice")?).stderr(log);
    tied.spawn().context("could not start the server")
}

fn end(child: &mut Child, signals: &Receiver<()>) {
    let hurry = || signals.try_recv().is_ok();
    process::end_group(child.id(), Some(child), &Ending { grace: GRACE, hurry: &hurry });
    let _ = child.wait();
}

/// Says how to join, and where the instructor looks.
fn summarize(served: &Served, bound: IpAddr) {
    let line = |host: &str| join_line(host, served.port, served.ui_port, UI_PORT);
    let hosts: Vec<String> = addresses::to_type(bound).into_iter().map(addresses::host).collect();
    stdoutln!("{}", bold("the class is open: each learner types, with a name of their own"));
    for host in &hosts {
        stdoutln!("  {}", line(host));
    }
    match hosts.len() {
        0 => {
            stdoutln!("  {}", line("ADDRESS"));
            stdoutln!("where ADDRESS is one of this machine's, which the system does not tell");
        }
        1 => {}
        _ => stdoutln!("this machine has several addresses: take the one of the learners' network"),
    }
    stdoutln!("{}", bold("you look on"));
    stdoutln!("  cargo xtask class board --watch     how each learner does, and who asks for help");
    stdoutln!("  cargo xtask class board --page      the same as a page, for a browser");
    stdoutln!("  {}      the Temporal UI, with everybody's transfers", served.ui());
    stdoutln!("Ctrl-C ends the class; what was done is kept for the next one");
}

/// Who can do what now; nothing to warn of on loopback.
fn warning(bound: IpAddr, port: u16, ui_port: u16) -> Option<String> {
    let place = match bound {
        ip if ip.is_loopback() => return None,
        ip if ip.is_unspecified() => "an address of this machine".to_owned(),
        ip => ip.to_string(),
    };
    Some(format!(
        "warning: everyone who reaches {place}, ports {port} and {ui_port}, can now read, start and end every Workflow there. \
         There is no password and no encryption. Use it in a network that you trust, and end it after class."
    ))
}

/// The address that was typed.
///
/// # Errors
/// Wrong usage: it is none.
pub fn address(text: &str) -> Result<IpAddr> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| {
        let own = own_addresses();
        Usage(format!("{text:?} is no address of a machine, such as 192.168.0.7{own}")).into()
    })
}

/// Where a class is reached, and where its server listens.
///
/// The server is on 127.0.0.1. Where the class is to be reached elsewhere, what comes to its ports there is handed on to ports of the
/// server's own: `temporal server start-dev --ip ADDRESS` will not do. All services of the server then listen at that address, and go on
/// looking for each other at 127.0.0.1, so that no Workflow starts (CLI 1.9.1). Nor are the others anybody's in the room.
struct Room {
    bound: IpAddr,
    /// The server's own ports: of gRPC, and of the UI.
    ports: [u16; 2],
    /// What is handed on, in the same order.
    doors: Vec<TcpListener>,
}

impl Room {
    fn of(bound: IpAddr, doors: [TcpListener; 2], ports: [u16; 2]) -> Result<Room> {
        if bound == Ipv4Addr::LOCALHOST {
            return Ok(Room { bound, ports, doors: Vec::new() });
        }
        let own = free_port(&[])?;
        Ok(Room { bound, ports: [own, free_port(&[own])?], doors: doors.into() })
    }

    /// Hands on what comes, once the server answers: until then whoever is early waits, and does not find that it hangs up.
    fn open(self) {
        for (door, port) in self.doors.into_iter().zip(self.ports) {
            relay::start(door, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
    }
}

/// Waits until the server of a class that was killed has ended, and with it its hold on the database.
fn wait_for_end(left: &Served, timeout: Duration) {
    let begin = Instant::now();
    while !ports::is_free(left.http_port) && begin.elapsed() < timeout {
        thread::sleep(POLL_INTERVAL);
    }
}

/// The port of the class, once whoever is about to leave it has.
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
                "port {port} is taken by {}; end that, or give --{flag} another port",
                ports::holder_or_unknown(port)
            ),
            io::ErrorKind::AddrNotAvailable => {
                anyhow!("this machine does not have the address {bound}{}", own_addresses())
            }
            _ => anyhow!("cannot listen on port {port} of {bound}: {error}"),
        });
    }
}

/// The addresses that there are, for the end of a sentence.
fn own_addresses() -> String {
    let own: Vec<String> = addresses::of_this_machine().iter().map(ToString::to_string).collect();
    if own.is_empty() { String::new() } else { format!("; this machine has: {}", own.join(", ")) }
}

/// A free port that nobody in the room has to know, and none of these.
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
    fn off_loopback_it_says_who_can_now_do_what() {
        let of = |ip: &str| warning(ip.parse().expect("an address"), 7233, 8233);
        let said = of("192.168.0.7").expect("it is not loopback");
        for part in [
            "everyone who reaches 192.168.0.7, ports 7233 and 8233,",
            "read, start and end every Workflow",
            "no password and no encryption",
            "end it after class",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(of("0.0.0.0").is_some_and(|said| said.contains("an address of this machine")));
        for loopback in ["127.0.0.1", "127.0.0.2", "::1"] {
            assert_eq!(of(loopback), None);
        }
    }

    #[test]
    fn what_is_no_address_is_wrong_usage() {
        assert!(address("192.168.0").expect_err("a number is missing").is::<Usage>());
        assert_eq!(address("[::1]").expect("it is one").to_string(), "::1");
        assert_eq!(address("localhost").expect("it is one").to_string(), "127.0.0.1");
    }

    #[test]
    fn an_address_of_another_machine_is_told_from_a_port_that_is_taken() {
        let other = "192.0.2.1".parse().expect("an address");
        let said = take(other, 7233, "port", Duration::ZERO).expect_err("nobody has it").to_string();
        assert!(said.contains("does not have the address 192.0.2.1"), "{said}");
        let held = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = held.local_addr().expect("it is bound").port();
        let said = take(Ipv4Addr::LOCALHOST.into(), port, "ui-port", Duration::ZERO).expect_err("it is held");
        assert!(said.to_string().contains("--ui-port"), "{said}");
    }
}

//! The start and the end of a service's program. Its flags are `--host`, `--port` and `--ready-file`.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::CONNECTIONS;

/// Runs a service to its end: exit code 0, or 1 with the error and its causes on standard error. What it has asked on other threads,
/// such as for a stage to be entered, is not waited for.
pub fn block_on(service: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let outcome = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let outcome = runtime.block_on(service);
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Takes the port `--port` of the address `--host`; port 0 takes a free one. `service` is what the
/// program is, such as "bank": most likely it is another one that has the port.
///
/// # Errors
/// The port is in use, or cannot be listened on. The sentence says which flag to change.
pub async fn listen(host: &str, port: u16, service: &str) -> anyhow::Result<TcpListener> {
    bound(host, port).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "port {port} of {host} is in use by another program, maybe another {service}: stop that, or \
             choose another port with --port"
        ),
        _ => anyhow!("cannot listen on port {port} of {host}: {error}: choose others with --host and --port"),
    })
}

/// As `TcpListener::bind`, but with room for as many who wait to be let in as there are connections: by default there is room for
/// 128, and of those beyond that each tries again only after seconds.
async fn bound(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        outcome = socket.bind(address).and_then(|()| socket.listen(CONNECTIONS as u32));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Warns on standard error if others than this machine can reach the address. `can` is what they can do
/// there, such as "move the lab's money".
pub fn warn_if_reachable(address: SocketAddr, can: &str) {
    if !address.ip().is_loopback() {
        // Nobody may be there to read it.
        let _ = writeln!(
            io::stderr(),
            "warning: anyone who can reach {address} can {can}; the default --host is for this machine only"
        );
    }
}

/// Writes the service's URL to the `--ready-file`, now that it listens: beside it, and then renamed, so
/// that nobody reads half of it.
///
/// # Errors
/// The file cannot be written.
pub fn write_ready_file(file: &Path, url: &str) -> anyhow::Result<()> {
    files::replace(file, url.as_bytes(), 0o644)
        .with_context(|| format!("cannot write the --ready-file {}", file.display()))
}

/// Is done when the program is asked to end. From this call on a signal does not kill it; so call this
/// first, and no signal is missed.
///
/// # Errors
/// The system does not let signals be heard.
#[cfg(unix)]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
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
///
/// # Errors
/// None here; on other systems there may be.
#[cfg(not(unix))]
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // An error means that no signal can come.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}

//! Starting and stopping a service's program. Its flags are `--host`, `--port` and `--ready-file`.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    signal::unix::{SignalKind, signal},
};

use crate::CONNECTIONS;

/// Runs a service until it ends: exit code 0, or 1 with the error and its causes on standard error. It does not wait for blocking
/// requests on other threads, such as entering a stage.
pub fn block_on(service: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let outcome = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let outcome = runtime.block_on(service);
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The reader of stderr may be gone.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Listens on `--port` at the address `--host`; port 0 picks a free one. `service` names the program for errors, such as "bank": most
/// likely another one has the port.
///
/// # Errors
/// The port is in use or not allowed. The error says which flag to change.
pub async fn listen(host: &str, port: u16, service: &str) -> anyhow::Result<TcpListener> {
    bound(host, port).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "port {port} of {host} is in use by another program, maybe another {service}: stop that, or \
             choose another port with --port"
        ),
        _ => anyhow!("cannot listen on port {port} of {host}: {error}; choose others with --host and --port"),
    })
}

/// Like `TcpListener::bind`, but with a backlog as large as the number of connections: the default is 128, and clients beyond that
/// retry only after seconds.
async fn bound(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        outcome = socket.bind(address).and_then(|()| socket.listen(CONNECTIONS as u32));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Warns on standard error if other machines can reach the address. `can` says what they can do, such as "move the lab's money".
pub fn warn_if_reachable(address: SocketAddr, can: &str) {
    if !address.ip().is_loopback() {
        // The reader of stderr may be gone.
        let _ = writeln!(
            io::stderr(),
            "warning: anyone who can reach {address} can {can}; the default --host is for this machine only"
        );
    }
}

/// Writes the service's URL to the `--ready-file` once it listens. The write is atomic.
///
/// # Errors
/// The file cannot be written.
pub fn write_ready_file(file: &Path, url: &str) -> anyhow::Result<()> {
    files::replace(file, url.as_bytes(), 0o644)
        .with_context(|| format!("cannot write the --ready-file {}", file.display()))
}

/// Completes when the program gets a signal to end. From this call on a signal does not kill it, so call this first.
///
/// # Errors
/// The system does not allow handling signals.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

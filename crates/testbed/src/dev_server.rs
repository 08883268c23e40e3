//! A Temporal dev server for one test.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{self, Child, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use dev_server::Cli;
use tempfile::TempDir;

use crate::wait::until;

/// The Temporal CLI: `BUGLAB_TEMPORAL_CLI`, or the one that `cargo xtask` downloaded, or the one on PATH.
///
/// # Panics
/// There is none. The message says what to type.
pub fn temporal_cli() -> Cli {
    if let Some(cli) = env::var_os("BUGLAB_TEMPORAL_CLI") {
        return Cli::at(cli);
    }
    let downloaded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.lab/cli/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    [downloaded]
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join("temporal"))
        .find(|file| file.is_file())
        .map(Cli::at)
        .expect("no Temporal CLI found; run the tests with `cargo xtask test`, which provides it")
}

/// A dev server with the lab's settings. Killed when dropped.
pub struct DevServer {
    /// Its address, `host:port`.
    pub address: String,
    /// The URL of its HTTP API, without a path.
    pub http_url: String,
    ports: (u16, u16),
    keeps: bool,
    settings: &'static [&'static str],
    child: Child,
    folder: TempDir,
}

impl DevServer {
    /// Starts a server with its state in memory, and waits until it is ready.
    ///
    /// # Panics
    /// It cannot be started. The message has its log.
    pub async fn start() -> DevServer {
        DevServer::start_one(false, &[]).await
    }

    /// The same with additional dynamic configuration, such as `frontend.namespaceRPS=100`.
    ///
    /// # Panics
    /// It cannot be started.
    pub async fn start_with(settings: &'static [&'static str]) -> DevServer {
        DevServer::start_one(false, settings).await
    }

    /// The same with its state in a file, so that it can be restarted.
    ///
    /// # Panics
    /// It cannot be started.
    pub async fn start_keeping() -> DevServer {
        DevServer::start_one(true, &[]).await
    }

    async fn start_one(keeps: bool, settings: &'static [&'static str]) -> DevServer {
        // Another test may have taken the port in the meantime; then the server exits at once.
        for _ in 0..5 {
            let ports = (free_port(), free_port());
            let folder = tempfile::tempdir().expect("a temporary folder");
            let child = DevServer::spawn(ports, folder.path(), keeps, settings);
            let mut server = DevServer {
                address: format!("127.0.0.1:{}", ports.0),
                http_url: format!("http://127.0.0.1:{}", ports.1),
                ports,
                keeps,
                settings,
                child,
                folder,
            };
            if server.answers().await {
                return server;
            }
        }
        panic!("five dev servers in a row did not start")
    }

    /// Kills it with `kill -9`.
    pub fn stop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Restarts it on its ports with its state, and waits until it is ready.
    ///
    /// # Panics
    /// Its state was in memory, or it does not start.
    pub async fn start_again(&mut self) {
        assert!(self.keeps, "only a server that keeps its state can be started again");
        self.stop();
        self.child = DevServer::spawn(self.ports, self.folder.path(), true, self.settings);
        assert!(self.answers().await, "the dev server did not start again");
    }

    fn spawn((port, http_port): (u16, u16), folder: &Path, keeps: bool, settings: &[&str]) -> Child {
        let log = fs::File::create(folder.join("log")).expect("a log file");
        let server = dev_server::DevServer {
            port,
            ui_port: None,
            http_port,
            database: keeps.then_some(dev_server::DATABASE),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
        };
        let cli = temporal_cli();
        cli.command()
            .args(server.arguments(&cli))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the Temporal CLI can be run")
    }

    /// Waits until it is ready. Returns false if it has exited.
    async fn answers(&mut self) -> bool {
        until("the dev server", || {
            let ended = self.child.try_wait().expect("a child can be asked").is_some();
            let healthy = !ended && self.is_healthy();
            async move { if ended || healthy { Ok(healthy) } else { Err("it does not answer yet") } }
        })
        .await
    }

    fn is_healthy(&self) -> bool {
        let describe =
            ["operator", "namespace", "describe", "--namespace", "default", "--address", &self.address];
        let asked = temporal_cli()
            .command()
            .args(describe)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A free port that no other test gets, for a service that will be restarted. Not from the ephemeral range, which dev servers and
/// connections use.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Enough that no port is reused while its server is stopped for a moment.
    const PORTS: u16 = 200;
    let first = 10_000 + (process::id() % 100) as u16 * PORTS;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

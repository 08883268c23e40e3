//! A Temporal dev server of the test's own.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use crate::wait::until;

/// The Temporal CLI: `BUGLAB_TEMPORAL_CLI`, else the one on PATH, else the one that `cargo xtask` provisioned.
///
/// # Panics
/// Where there is none, with what to type.
pub fn temporal_cli() -> PathBuf {
    if let Some(cli) = env::var_os("BUGLAB_TEMPORAL_CLI") {
        return cli.into();
    }
    let provisioned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.lab/cli/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([provisioned])
        .map(|folder| folder.join("temporal"))
        .find(|file| file.is_file())
        .expect("no Temporal CLI here; run the tests by `cargo xtask test`, which provides it")
}

/// A dev server with the lab's settings and its state in memory. Killed when dropped.
pub struct DevServer {
    /// Where it answers, `host:port`.
    pub address: String,
    /// Where its HTTP API answers, a URL without a path.
    pub http_url: String,
    child: Child,
    _folder: TempDir,
}

impl DevServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// Where none can be started; the panic has its log.
    pub async fn start() -> DevServer {
        // A port that was free a moment ago may be another test's by now: then the server ends at once.
        for _ in 0..5 {
            if let Some(server) = DevServer::try_start().await {
                return server;
            }
        }
        panic!("five dev servers in a row did not start")
    }

    async fn try_start() -> Option<DevServer> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        let (port, http_port) = (free_port(), free_port());
        let child = Command::new(temporal_cli())
            .args(["server", "start-dev", "--ip", "127.0.0.1", "--headless", "--log-level", "warn"])
            .args(["--port", &port.to_string(), "--http-port", &http_port.to_string()])
            .args(["--search-attribute", "from_account=Keyword", "--search-attribute", "to_account=Keyword"])
            .args(["--dynamic-config-value", "history.workflowTaskRetryMaxInterval=\"1s\""])
            .args(["--dynamic-config-value", "history.defaultWorkflowTaskTimeout=\"2s\""])
            .args(["--dynamic-config-value", "history.transferProcessorMaxPollRPS=50"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the Temporal CLI can be run");
        let mut server = DevServer {
            address: format!("127.0.0.1:{port}"),
            http_url: format!("http://127.0.0.1:{http_port}"),
            child,
            _folder: folder,
        };
        let answers = until("the dev server", || {
            let ended = server.child.try_wait().expect("a child can be asked").is_some();
            let healthy = !ended && server.is_healthy();
            async move { if ended || healthy { Ok(healthy) } else { Err("it does not answer yet") } }
        });
        answers.await.then_some(server)
    }

    fn is_healthy(&self) -> bool {
        let describe =
            ["operator", "namespace", "describe", "--namespace", "default", "--address", &self.address];
        let asked = Command::new(temporal_cli())
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
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free and that no other test gets. Not from the range in which the system chooses ports by
/// itself, since a dev server takes some of those.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (process::id() % 100) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

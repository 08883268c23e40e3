//! A gateway of the test's own.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use testbed::until;
use tokio::process::{Child, Command};

/// A gateway as a program. Killed when dropped.
pub(crate) struct Program {
    /// Where its gRPC answers, `host:port`.
    pub(crate) grpc: String,
    /// Where its HTTP API answers, a URL without a path.
    pub(crate) http: String,
    _child: Child,
    _folder: TempDir,
}

/// What a gateway is started with.
#[derive(Default)]
pub(crate) struct Start<'a> {
    pub(crate) flags: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

impl Program {
    /// Starts a gateway and waits until it is ready.
    pub(crate) async fn start(start: Start<'_>) -> Program {
        Program::try_start(start).await.unwrap_or_else(|said| panic!("the gateway did not start: {said}"))
    }

    /// The same; or what it has said, where it ends instead.
    pub(crate) async fn try_start(start: Start<'_>) -> Result<Program, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ready = folder.path().join("ready");
        let log = folder.path().join("log");
        let file = fs::File::create(&log).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.args(["--port", "0", "--http-port", "0", "--ready-file"]).arg(&ready).args(start.flags);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TEMPORAL_")) {
            command.env_remove(name);
        }
        // Whatever stands in the home folder of who runs the tests.
        command.env("TEMPORAL_CONFIG_FILE", "/dev/null").envs(start.environment.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .kill_on_drop(true);
        let mut child = command.spawn().expect("it was built");
        let said = |log: &PathBuf| fs::read_to_string(log).unwrap_or_default();
        let ended = until("the gateway", || {
            let ended = child.try_wait().expect("a child can be asked").is_some();
            let is_ready = ready.exists();
            async move { if ended || is_ready { Ok(ended) } else { Err("neither ready nor over") } }
        })
        .await;
        if ended {
            return Err(said(&log));
        }
        let http = fs::read_to_string(&ready).expect("it is ready");
        let line = said(&log);
        let grpc =
            line.split("gRPC on ").nth(1).and_then(|rest| rest.split(',').next()).expect("it says where");
        Ok(Program { grpc: grpc.to_owned(), http, _child: child, _folder: folder })
    }

    /// A GET of its HTTP API: status and answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        get(&self.http, path).await
    }
}

/// A GET of an HTTP API: status and answer.
pub(crate) async fn get(url: &str, path: &str) -> (u16, Value) {
    let client =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(40)).build().expect("a client");
    let answer = client.get(format!("{url}{path}")).send().await.expect("it answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

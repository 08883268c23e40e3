//! A gateway to a remote Temporal Service for as long as a command runs.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use lab_client::{Endpoints, link::LinkReport, start_failure::StartFailure, state::RemoteService};

use crate::{
    build, logs,
    process::{self, Ending},
    services::{self, GATEWAY},
    toolchain,
};
use checkout::project::{Project, make_private};
use terminal::stderrln;

/// The log of gateways that commands run.
const LOG: &str = "board";
/// How long it may take to have found the service fit.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it has to end after TERM.
const GRACE: Duration = Duration::from_secs(3);
/// How often is looked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A gateway. It ends with this, and with this process, however that ends.
pub struct Gateway {
    child: Child,
    /// The gateway's shell ends it at the end of its input.
    _tie: Option<ChildStdin>,
    ready: PathBuf,
    /// The URL of its HTTP API, and of the page where it serves one.
    pub url: String,
    /// The namespace that it leads to.
    namespace: String,
}

impl Gateway {
    /// Starts one to that service, also with these flags, and waits until it has found the service fit.
    pub fn start(project: &Project, remote_service: &RemoteService, flags: &[String]) -> Result<Gateway> {
        toolchain::check(project)?;
        let program =
            build::build(project, &[GATEWAY])?.get(GATEWAY).context("cargo did not build the gateway")?;
        project.make_lab()?;
        // Not in the folder that is cleared at the start of a lab.
        let folder = project.in_lab("class");
        make_private(&folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
        let ready = folder.join(format!("gateway-{}.ready", std::process::id()));
        let failure = StartFailure::file_beside(&ready);
        for left in [&ready, &failure] {
            let _ = fs::remove_file(left);
        }
        let mut command = Command::new(program);
        // Where nobody asks for its gRPC, any port will do.
        command.args(["--port", "0"]).args(flags).arg("--ready-file").arg(&ready);
        command.arg("--failure-file").arg(&failure);
        for (flag, value) in services::flags_of(remote_service) {
            command.arg(flag).arg(value);
        }
        // A profile is what TEMPORAL_* variables may change; an address is only itself.
        if remote_service.profile.is_none() {
            dev_server::forget_settings(&mut command);
        }
        let log = logs::open(project, LOG)?;
        let mut tied = process::tied(&command);
        tied.process_group(0);
        tied.stdin(Stdio::piped())
            .stdout(log.try_clone().context("could not open the log twice")?)
            .stderr(log);
        let mut child = tied.spawn().context("could not start the gateway")?;
        let tie = child.stdin.take();
        let mut gateway = Gateway { child, _tie: tie, ready, url: String::new(), namespace: String::new() };
        let begin = Instant::now();
        loop {
            if let Ok(url) = fs::read_to_string(&gateway.ready) {
                url.trim().clone_into(&mut gateway.url);
                break;
            }
            if gateway.ended().is_some() {
                let why = StartFailure::read(&failure).map(|failure| failure.error);
                bail!("{}", why.unwrap_or_else(|| "the gateway ended and did not say why".to_owned()));
            }
            if begin.elapsed() > READY_WITHIN {
                bail!(
                    "the service has not answered within {}",
                    terminal::duration(READY_WITHIN.as_secs_f64())
                );
            }
            thread::sleep(POLL_INTERVAL);
        }
        let link = LinkReport::ask(&gateway.url)?;
        for made in &link.findings.made {
            stderrln!("created {made}, which was missing");
        }
        gateway.namespace = link.namespace;
        Ok(gateway)
    }

    /// Where to ask the service.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints { namespace: self.namespace.clone(), ..Endpoints::own(&self.url, "", "") }
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let ending = Ending { grace: GRACE, hurry: &|| false };
        process::end_group(self.child.id(), Some(&mut self.child), &ending);
        let _ = self.child.wait();
        for left in [&self.ready, &StartFailure::file_beside(&self.ready)] {
            let _ = fs::remove_file(left);
        }
    }
}

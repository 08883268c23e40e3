//! A client of a running lab's supervisor: one line of JSON each way, over loopback. While the supervisor works on a request, it
//! sends an empty line now and then, so a client never waits for one that is stopped or hangs.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use contract::Blocking;
use serde_json::{Value, json};

use crate::state::{FILE, Identity, State, WORKER};

/// How long the supervisor may be silent.
const SILENT: Duration = Duration::from_secs(5);
/// How often it sends an empty line while it works on a request.
pub const BEAT: Duration = Duration::from_secs(1);

/// The supervisor's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    /// Its port on loopback.
    pub port: u16,
    /// The token that a request must contain.
    pub token: String,
    /// Its process id, if known.
    pub pid: Option<u32>,
}

impl Supervisor {
    /// The supervisor named in a lab's folder. It may no longer be running.
    pub fn of(lab: &Path) -> Option<Supervisor> {
        Supervisor::parse(&fs::read_to_string(lab.join(FILE)).ok()?)
    }

    /// The supervisor named in the text of [`FILE`].
    pub fn parse(text: &str) -> Option<Supervisor> {
        let state: Value = serde_json::from_str(text).ok()?;
        Some(Supervisor {
            port: u16::try_from(state["control_port"].as_u64()?).ok()?,
            token: state["token"].as_str()?.to_owned(),
            pid: Identity::from_json(&state["supervisor"]).map(|identity| identity.pid),
        })
    }

    /// The supervisor of this lab.
    pub fn of_state(state: &State) -> Supervisor {
        Supervisor { port: state.control_port, token: state.token.clone(), pid: Some(state.supervisor.pid) }
    }

    /// The supervisor's process id, if it is stopped.
    pub fn stopped(&self) -> Option<u32> {
        self.pid.filter(|&pid| is_stopped(pid))
    }

    /// Checks that the supervisor is not stopped: then it answers nothing, and builds nothing.
    ///
    /// # Errors
    /// It is stopped; the error says how to continue it.
    pub fn check(&self) -> Result<()> {
        match self.stopped() {
            Some(pid) => bail!(
                "the lab's supervisor (pid {pid}) is stopped, as after Ctrl-Z; to continue it, type fg in its terminal, or: kill \
                 -CONT {pid}"
            ),
            None => Ok(()),
        }
    }

    /// The status of the lab.
    ///
    /// # Errors
    /// It does not answer within seconds.
    pub fn status(&self) -> Result<Value> {
        self.exchange(json!({ "request": "status" }))
    }

    /// Sends a request and waits for the response for as long as the supervisor works on it.
    ///
    /// # Errors
    /// The supervisor is stopped or silent, or it returned an error.
    pub fn exchange(&self, message: Value) -> Result<Value> {
        self.check()?;
        let line = self.answer(message).or_else(|error| {
            // It may have been stopped meanwhile.
            self.check()?;
            Err(error).context("the lab's supervisor does not answer; end it with: cargo xtask lab stop")
        })?;
        let answer: Value = serde_json::from_str(&line).context("the lab stopped during the request")?;
        match answer["error"].as_str() {
            Some(error) => Err(anyhow!("{error}")),
            None => Ok(answer),
        }
    }

    /// The line of the response; empty where the supervisor ended instead.
    fn answer(&self, mut message: Value) -> io::Result<String> {
        message["token"] = json!(self.token);
        let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.port).into(), SILENT)?;
        stream.set_read_timeout(Some(SILENT))?;
        writeln!(stream, "{message}")?;
        let mut lines = BufReader::new(stream).lines();
        let answer = lines.find(|line| !line.as_ref().is_ok_and(String::is_empty));
        answer.unwrap_or_else(|| Ok(String::new()))
    }
}

/// Whether this process is stopped, by Ctrl-Z or a signal.
#[cfg(target_os = "linux")]
pub fn is_stopped(pid: u32) -> bool {
    // The second field is the program's name in brackets, and may hold any character.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('T'))
}

/// Whether this process is stopped, by Ctrl-Z or a signal.
#[cfg(not(target_os = "linux"))]
pub fn is_stopped(pid: u32) -> bool {
    let output = std::process::Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| output.stdout.trim_ascii_start().starts_with(b"T"))
}

/// Whether this service runs, by the supervisor's status.
pub fn is_running(status: &Value, service: &str) -> bool {
    let mut services = status["services"].as_array().into_iter().flatten();
    services.any(|one| one["name"] == service && one["state"] == "running")
}

/// The versions of the worker that the lab runs, by the supervisor's status; none if it runs one worker.
pub fn versions(status: &Value) -> Vec<u32> {
    let versions = status["versions"].as_array().into_iter().flatten();
    versions.filter_map(|version| u32::try_from(version["version"].as_u64()?).ok()).collect()
}

/// The learner's code that blocks a worker, with the name of that worker's service, by the supervisor's status.
pub fn blocking(status: &Value) -> Vec<(String, Blocking)> {
    let blocking = status["blocking"].as_array().into_iter().flatten();
    let of_service = |one: &Value| {
        let service = one["service"].as_str().unwrap_or(WORKER).to_owned();
        Blocking::list(&json!([one])).pop().map(|blocking| (service, blocking))
    };
    blocking.filter_map(of_service).collect()
}

/// Whether the worker, or its newest version, runs the code as it is saved.
pub fn is_deployed(status: &Value) -> bool {
    BuildState::of(status) == Some(BuildState::Ok) && status["undeployed"] != true
}

/// The state of the build of the last saved version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildState {
    /// The last saved version has been built.
    Ok,
    /// A build is running.
    Building,
    /// The last saved version does not compile.
    Failed,
}

impl BuildState {
    /// All states.
    const ALL: [BuildState; 3] = [BuildState::Ok, BuildState::Building, BuildState::Failed];

    /// The build state in a [status](Supervisor::status) or a learner's report; none for a stopped lab.
    pub fn of(status: &Value) -> Option<BuildState> {
        let name = status["build"].as_str()?;
        BuildState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The same of the code as it is saved now: an edit is being built from the moment it is saved, also before the lab has noticed it.
    pub fn of_saved(status: &Value) -> Option<BuildState> {
        // A version is not deployed by saving a file, which only builds it.
        let awaits_build = if versions(status).is_empty() { "undeployed" } else { "unbuilt" };
        match BuildState::of(status)? {
            BuildState::Ok if status["watch"] == true && status[awaits_build] == true => {
                Some(BuildState::Building)
            }
            state => Some(state),
        }
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            BuildState::Ok => "ok",
            BuildState::Building => "building",
            BuildState::Failed => "failed",
        }
    }
}

/// The services in a [status](Supervisor::status), for the goals.
pub fn services(status: &Value) -> Vec<lab::Service> {
    let services = status["services"].as_array().into_iter().flatten();
    let service = |service: &Value| {
        let text = |name: &str| service[name].as_str().map(str::to_owned);
        Some(lab::Service { name: text("name")?, since: text("since")? })
    };
    services.filter_map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_edit_is_being_built_until_it_is_deployed_and_with_versions_until_it_is_built() {
        let of = |versions: Value, unbuilt: bool| {
            BuildState::of_saved(&json!({
                "build": "ok", "watch": true, "undeployed": true, "unbuilt": unbuilt, "versions": versions,
            }))
        };
        let versions = || json!([{ "version": 2, "service": "worker@2" }]);
        assert_eq!(of(json!([]), false), Some(BuildState::Building));
        assert_eq!(of(versions(), true), Some(BuildState::Building));
        assert_eq!(of(versions(), false), Some(BuildState::Ok));
        assert_eq!(super::versions(&json!({ "versions": versions() })), [2]);
    }

    #[test]
    fn code_that_blocks_a_worker_comes_with_the_service_whose_log_has_more() {
        let on = |service: Value| json!({ "workflow_id": "t", "activity": "deposit", "place": null, "service": service });
        let status = json!({ "blocking": [on(json!("worker@2")), on(Value::Null), 7] });
        let services: Vec<String> = blocking(&status).into_iter().map(|(service, _)| service).collect();
        assert_eq!(services, ["worker@2", "worker"]);
    }

    #[test]
    fn the_state_of_a_build_is_read_as_it_is_written() {
        for (state, name) in BuildState::ALL.into_iter().zip(["ok", "building", "failed"]) {
            assert_eq!(state.name(), name);
            assert_eq!(BuildState::of(&json!({ "build": name })), Some(state));
        }
        for status in [json!({}), json!(null), json!({ "build": 1 }), json!({ "build": "Ok" })] {
            assert_eq!(BuildState::of(&status), None);
        }
    }
}

//! A client of a running lab's supervisor: one line of JSON each way, over loopback.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use crate::state::FILE;

/// How long an immediate response may take.
const SOON: Duration = Duration::from_secs(5);

/// The supervisor's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    /// Its port on loopback.
    pub port: u16,
    /// The token that a request must contain.
    pub token: String,
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
        })
    }

    /// The status of the lab.
    ///
    /// # Errors
    /// It does not answer within seconds.
    pub fn status(&self) -> Result<Value> {
        self.exchange(json!({ "request": "status" }), Some(SOON))
    }

    /// Sends a request and waits for the response, up to a timeout if there is one.
    ///
    /// # Errors
    /// There is no response, or the supervisor returned an error.
    pub fn exchange(&self, mut message: Value, timeout: Option<Duration>) -> Result<Value> {
        message["token"] = json!(self.token);
        let silent = "the lab's supervisor does not answer; end it with: cargo xtask lab stop";
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context(silent)?;
        writeln!(stream, "{message}").context(silent)?;
        stream.set_read_timeout(timeout).context(silent)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).context(silent)?;
        let answer: Value = serde_json::from_str(&line).context("the lab stopped during the request")?;
        match answer["error"].as_str() {
            Some(error) => Err(anyhow!("{error}")),
            None => Ok(answer),
        }
    }
}

/// Whether the worker runs the code as it is saved.
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
        match BuildState::of(status)? {
            BuildState::Ok if status["watch"] == true && status["undeployed"] == true => {
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

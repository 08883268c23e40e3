//! Requests to the supervisor of a running lab: one line of JSON each way, over loopback.

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

/// How long an answer may take that is there already.
const SOON: Duration = Duration::from_secs(5);

/// Where a supervisor takes requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    /// Its port on loopback.
    pub port: u16,
    /// What a request must bring.
    pub token: String,
}

impl Supervisor {
    /// The supervisor that this folder of a lab names. Whether it lives, an answer tells.
    pub fn of(lab: &Path) -> Option<Supervisor> {
        Supervisor::parse(&fs::read_to_string(lab.join(FILE)).ok()?)
    }

    /// The supervisor that the text of [`FILE`] names.
    pub fn parse(text: &str) -> Option<Supervisor> {
        let state: Value = serde_json::from_str(text).ok()?;
        Some(Supervisor {
            port: u16::try_from(state["control_port"].as_u64()?).ok()?,
            token: state["token"].as_str()?.to_owned(),
        })
    }

    /// What runs, and since when.
    ///
    /// # Errors
    /// It does not answer within seconds.
    pub fn status(&self) -> Result<Value> {
        self.exchange(json!({ "request": "status" }), Some(SOON))
    }

    /// Asks and waits for the answer, for so long, or however long it takes.
    ///
    /// # Errors
    /// There is no answer, or it is one: in the supervisor's own words then.
    pub fn exchange(&self, mut message: Value, timeout: Option<Duration>) -> Result<Value> {
        message["token"] = json!(self.token);
        let silent = "the lab's supervisor does not answer; end it with: cargo xtask lab stop";
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context(silent)?;
        writeln!(stream, "{message}").context(silent)?;
        stream.set_read_timeout(timeout).context(silent)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).context(silent)?;
        let answer: Value = serde_json::from_str(&line).context("the lab ended while it was asked")?;
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

/// The state of the last build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildState {
    /// It succeeded.
    Ok,
    /// A build is in progress.
    Building,
    /// It failed.
    Failed,
}

impl BuildState {
    /// All of them.
    const ALL: [BuildState; 3] = [BuildState::Ok, BuildState::Building, BuildState::Failed];

    /// What a [status](Supervisor::status) or a learner's report says of the build; nothing of a lab that is down.
    pub fn of(status: &Value) -> Option<BuildState> {
        let name = status["build"].as_str()?;
        BuildState::ALL.into_iter().find(|state| state.name() == name)
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

/// The services of a [status](Supervisor::status), for the goals.
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

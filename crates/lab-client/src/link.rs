//! The gateway's report on its link to a remote Temporal Service: the response of `GET /link`.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http;

/// The gateway's report on its link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkReport {
    /// The service, `host:port`.
    pub address: String,
    /// The namespace.
    pub namespace: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The learner whose lab this is, if several share the namespace.
    pub learner: Option<String>,
    /// Whether the service answers.
    pub answers: bool,
    /// How long the last short request took.
    pub round_trip_ms: Option<f64>,
    /// Set while the service does not answer or authentication fails.
    pub silence: Option<Silence>,
    /// The findings of the preflight.
    pub findings: Findings,
    /// Increases whenever something of the lab moves: a request has changed something, or a worker has received a task. None from an
    /// older gateway.
    pub moves: Option<u64>,
}

/// The service does not answer, or authentication failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// How long, in seconds.
    pub seconds: u64,
    /// Whether the service answers, but authentication fails because a key or a certificate is no longer valid.
    pub refuses: bool,
    /// The error.
    pub why: String,
}

/// The findings of the preflight, and what it created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The version of the server, if known.
    pub server: String,
    /// What was missing and has been created, such as "the namespace spring".
    pub made: Vec<String>,
    /// Whether the service retries a failed Workflow Task within two seconds, as a server of `class serve` says of itself.
    pub short_retries: bool,
}

/// The entry in the data of a namespace with which `class serve` records that its server has short retries. A client cannot read the
/// server's own settings.
pub const SHORT_RETRIES: &str = "bug-lab-short-retries";

impl LinkReport {
    /// Requests the report from the gateway at this URL of its HTTP API.
    ///
    /// # Errors
    /// It does not answer, or it is not a gateway.
    pub fn ask(gateway: &str) -> Result<LinkReport> {
        let url = format!("{gateway}/link");
        LinkReport::from_json(&http::get_json(&url)?)
            .with_context(|| format!("{url} does not belong to a gateway"))
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let silence = self.silence.as_ref();
        json!({
            "address": self.address,
            "namespace": self.namespace,
            "tls": self.tls,
            "learner": self.learner,
            "answers": self.answers,
            "round_trip_ms": self.round_trip_ms,
            "silent_for_s": silence.map(|silence| silence.seconds),
            "refuses": silence.is_some_and(|silence| silence.refuses),
            "why": silence.map(|silence| &silence.why),
            "findings": { "server": self.findings.server, "made": self.findings.made, "short_retries": self.findings.short_retries },
            "moves": self.moves,
        })
    }

    /// Reads the report from JSON.
    pub fn from_json(answer: &Value) -> Option<LinkReport> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let silence = answer["silent_for_s"].as_u64().map(|seconds| Silence {
            seconds,
            refuses: answer["refuses"] == true,
            why: text(&answer["why"]).unwrap_or_default(),
        });
        let findings = &answer["findings"];
        Some(LinkReport {
            address: text(&answer["address"])?,
            namespace: text(&answer["namespace"])?,
            tls: answer["tls"] == true,
            learner: text(&answer["learner"]),
            answers: answer["answers"].as_bool()?,
            round_trip_ms: answer["round_trip_ms"].as_f64(),
            silence,
            findings: Findings {
                server: text(&findings["server"]).unwrap_or_default(),
                made: findings["made"].as_array().into_iter().flatten().filter_map(text).collect(),
                short_retries: findings["short_retries"] == true,
            },
            moves: answer["moves"].as_u64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let up = LinkReport {
            address: "10.0.0.7:7233".to_owned(),
            namespace: "spring".to_owned(),
            tls: true,
            learner: Some("ada".to_owned()),
            answers: true,
            round_trip_ms: Some(2.5),
            silence: None,
            findings: Findings {
                server: "1.31.2".to_owned(),
                made: vec!["the namespace spring".to_owned()],
                short_retries: true,
            },
            moves: Some(7),
        };
        let silence = Silence { seconds: 42, refuses: true, why: "HTTP status 401".to_owned() };
        let down = LinkReport { answers: false, silence: Some(silence), ..up.clone() };
        for report in [up, down] {
            assert_eq!(LinkReport::from_json(&report.to_json()), Some(report));
        }
        assert_eq!(LinkReport::from_json(&json!({ "message": "not found" })), None);
    }
}

//! The link to a remote Temporal Service, as the gateway reports it: the answer of its `GET /link`.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http;

/// What the gateway reports of its link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkReport {
    /// The service, `host:port`.
    pub address: String,
    /// The namespace there.
    pub namespace: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whose lab this is, where several share the namespace.
    pub learner: Option<String>,
    /// Whether the service answers.
    pub answers: bool,
    /// How long its last answer to a short question took.
    pub round_trip_ms: Option<f64>,
    /// Where it does not do what it is asked.
    pub silence: Option<Silence>,
    /// What the gateway found at its start.
    pub findings: Findings,
}

/// The service does not answer, or authentication failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// How long, in seconds.
    pub seconds: u64,
    /// Whether it does answer, but authentication failed: a key or a certificate is no longer valid.
    pub refuses: bool,
    /// What comes instead of an answer.
    pub why: String,
}

/// What the gateway found at its start, and what it made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The version of the server, as far as it says.
    pub server: String,
    /// What was missing and has been made, such as "the namespace spring".
    pub made: Vec<String>,
}

impl LinkReport {
    /// Asks the gateway whose HTTP API has this URL.
    ///
    /// # Errors
    /// It does not answer, or with something else.
    pub fn ask(gateway: &str) -> Result<LinkReport> {
        let url = format!("{gateway}/link");
        LinkReport::from_json(&http::get_json(&url)?).with_context(|| format!("{url} is not a gateway's"))
    }

    /// What the gateway answers.
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
            "findings": { "server": self.findings.server, "made": self.findings.made },
        })
    }

    /// The report that the gateway answered with.
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
            },
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
            findings: Findings { server: "1.31.2".to_owned(), made: vec!["the namespace spring".to_owned()] },
        };
        let silence = Silence { seconds: 42, refuses: true, why: "HTTP status 401".to_owned() };
        let down = LinkReport { answers: false, silence: Some(silence), ..up.clone() };
        for report in [up, down] {
            assert_eq!(LinkReport::from_json(&report.to_json()), Some(report));
        }
        assert_eq!(LinkReport::from_json(&json!({ "message": "not found" })), None);
    }
}

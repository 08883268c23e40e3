//! A gateway for one lab: the link to the service, the guard, and the findings of the preflight.

use std::{sync::Arc, time::Duration};

use contract::PublicHosts;
use lab_client::{
    class::{self, notices},
    link::{Findings, LinkReport, Silence},
};
use prost_reflect::{DynamicMessage, MethodDescriptor, prost::Message as _};
use tonic::Status;

use crate::{
    api,
    guard::Guard,
    link::{BUSY_TIMEOUT, Link},
};

/// A gateway for one lab.
#[derive(Clone)]
pub struct Gateway {
    /// The connection to the service.
    pub link: Link,
    /// Decides which of the learner's requests are forwarded.
    pub guard: Arc<Guard>,
    /// The findings of the preflight.
    pub findings: Arc<Findings>,
    /// Whether the class board is served too.
    pub board: bool,
    /// The names at which a proxy forwards ports of this machine. Those of the HTTP port are accepted, for the board.
    pub public: PublicHosts,
}

impl Gateway {
    /// The message as the guard lets it be forwarded.
    pub(crate) async fn guard(
        &self,
        method: &MethodDescriptor,
        message: DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        self.guard.check(&self.link, method, message).await
    }

    /// The service's response to a message, if the guard allows it.
    pub(crate) async fn ask(
        &self,
        method: &MethodDescriptor,
        message: &DynamicMessage,
        within: Duration,
    ) -> Result<DynamicMessage, Status> {
        let checked = self.guard(method, message.clone()).await?.encode_to_vec();
        let path = api::path(method);
        let workflow_type = api::text(message, &["workflow_type", "name"]).unwrap_or_default();
        let is_of_class = [class::WORKFLOW_TYPE, notices::WORKFLOW_TYPE].contains(&&*workflow_type);
        // Notices and reports replace the ones before. A retry of an old one would undo what was written meanwhile.
        let busy_timeout = if is_of_class { Duration::ZERO } else { BUSY_TIMEOUT };
        let answer = self.link.ask_with_retries(&path, checked, within, busy_timeout).await;
        // A report to the class is made of what has moved.
        if !is_of_class {
            self.link.moves.count(&path);
        }
        api::answer(method, &answer?)
            .ok_or_else(|| Status::internal("could not decode the service's response"))
    }

    /// The response of `GET /link`.
    pub(crate) fn report(&self) -> LinkReport {
        let heard = self.link.heard();
        let service = &self.link.service;
        LinkReport {
            address: service.address.clone(),
            namespace: service.namespace.clone(),
            tls: service.tls,
            learner: self.guard.learner().map(str::to_owned),
            answers: heard.silent.is_none() && heard.round_trip.is_some(),
            round_trip_ms: heard.round_trip.map(|time| (time.as_secs_f64() * 1e4).round() / 10.0),
            silence: heard.silent.as_ref().map(|silence| Silence {
                seconds: silence.since.elapsed().as_secs(),
                refuses: silence.refuses,
                why: silence.why.clone(),
            }),
            findings: (*self.findings).clone(),
            moves: Some(self.link.moves.total()),
        }
    }
}

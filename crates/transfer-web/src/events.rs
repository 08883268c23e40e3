//! The stream of events for a page.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures::stream;
use lab_client::time;
use loopback::Failure;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    feed::{Look, Subject},
    request::number,
    transfers::Window,
    watch::Watched,
};

/// So many streams there may be: a class looks at one lab, and no more.
const STREAMS: usize = 200;
/// So many rows a window has at most.
const LONGEST: usize = 50;
/// So many it has unless it says how many.
const USUAL: usize = 10;
/// How long nothing may be sent: then a beat is, by which a page knows that it is still heard.
const SILENCE: Duration = Duration::from_secs(10);

/// `GET /api/events?offset=&limit=`.
pub(crate) async fn events(State(watched): State<Watched>, RawQuery(query): RawQuery) -> Response {
    let number = |name: &str, usual: usize| number(query.as_deref(), name, usual);
    let window = match (number("offset", 0), number("limit", USUAL)) {
        (Ok(offset), Ok(limit)) => Window { offset: offset.min(1_000_000), limit: limit.clamp(1, LONGEST) },
        (Err(failure), _) | (_, Err(failure)) => return failure.into_response(),
    };
    let Some(look) = watched.feed.look_at(window, STREAMS) else {
        let error = "too many pages are open on this lab: close one, then reload this one";
        return Failure::new(StatusCode::SERVICE_UNAVAILABLE, error).into_response();
    };
    Sse::new(stream::unfold(Told::nothing(watched, look), next)).into_response()
}

/// A stream, and what it was told.
struct Told {
    watched: Watched,
    look: Look,
    changes: tokio::sync::watch::Receiver<u64>,
    versions: BTreeMap<Subject, u64>,
    waiting: Vec<(Subject, crate::feed::Event)>,
}

impl Told {
    fn nothing(watched: Watched, look: Look) -> Told {
        let mut changes = watched.feed.changes();
        changes.mark_changed();
        Told { watched, look, changes, versions: BTreeMap::new(), waiting: Vec::new() }
    }
}

/// The next event, once there is one; none when the service ends.
async fn next(mut told: Told) -> Option<(Result<Event, Infallible>, Told)> {
    while told.waiting.is_empty() {
        match timeout(SILENCE, told.changes.changed()).await {
            Ok(changed) => changed.ok()?,
            Err(_) => return Some((Ok(event("beat", "{}")), told)),
        }
        if told.watched.feed.is_closed() {
            return None;
        }
        told.waiting = told.watched.feed.news(&told.versions, told.look.window);
    }
    let (subject, event) = told.waiting.remove(0);
    told.versions.insert(subject, event.version);
    Some((Ok(self::event(subject.name(), &event.text)), told))
}

/// An event with this JSON object, and with the time, since the page's clock may be another one.
fn event(name: &str, text: &str) -> Event {
    let now = json!(time::now().as_secs_f64());
    let rest = text.strip_prefix('{').unwrap_or("}");
    let comma = if rest == "}" { "" } else { "," };
    Event::default().event(name).data(format!("{{\"now\":{now}{comma}{rest}"))
}

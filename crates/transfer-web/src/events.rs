//! The event stream of a page.

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

/// The largest number of open streams, enough for a class that watches one lab.
const STREAMS: usize = 200;
/// The largest number of rows in a window.
const LONGEST: usize = 50;
/// The number of rows in a window by default.
const USUAL: usize = 10;
/// After this long without an event, a beat is sent, so that the page knows that the connection is alive.
const BEAT_INTERVAL: Duration = Duration::from_secs(10);

/// `GET /api/events?offset=&limit=`.
pub(crate) async fn events(State(watched): State<Watched>, RawQuery(query): RawQuery) -> Response {
    let number = |name: &str, usual: usize| number(query.as_deref(), name, usual);
    let window = match (number("offset", 0), number("limit", USUAL)) {
        (Ok(offset), Ok(limit)) => Window { offset: offset.min(1_000_000), limit: limit.clamp(1, LONGEST) },
        (Err(failure), _) | (_, Err(failure)) => return failure.into_response(),
    };
    let Some(look) = watched.feed.look_at(window, STREAMS) else {
        let error = "too many pages of this lab are open; close one and reload this one";
        return Failure::new(StatusCode::SERVICE_UNAVAILABLE, error).into_response();
    };
    // Otherwise nginx and proxies like it hold events back until there are some kilobytes of them.
    let unbuffered = [("x-accel-buffering", "no")];
    (unbuffered, Sse::new(stream::unfold(Sent::nothing(watched, look), next))).into_response()
}

/// A stream, and the version of each subject that it has sent.
struct Sent {
    watched: Watched,
    look: Look,
    changes: tokio::sync::watch::Receiver<u64>,
    versions: BTreeMap<Subject, u64>,
    waiting: Vec<(Subject, crate::feed::Event)>,
}

impl Sent {
    fn nothing(watched: Watched, look: Look) -> Sent {
        let mut changes = watched.feed.changes();
        changes.mark_changed();
        Sent { watched, look, changes, versions: BTreeMap::new(), waiting: Vec::new() }
    }
}

/// Waits for the next event; none when the service shuts down.
async fn next(mut sent: Sent) -> Option<(Result<Event, Infallible>, Sent)> {
    while sent.waiting.is_empty() {
        match timeout(BEAT_INTERVAL, sent.changes.changed()).await {
            Ok(changed) => changed.ok()?,
            Err(_) => return Some((Ok(event("beat", "{}")), sent)),
        }
        if sent.watched.feed.is_closed() {
            return None;
        }
        sent.waiting = sent.watched.feed.news(&sent.versions, sent.look.window);
    }
    let (subject, event) = sent.waiting.remove(0);
    sent.versions.insert(subject, event.version);
    Some((Ok(self::event(subject.name(), &event.text)), sent))
}

/// An event with this JSON object and the server's time, because the browser's clock may differ.
fn event(name: &str, text: &str) -> Event {
    let now = json!(time::now().as_secs_f64());
    let rest = text.strip_prefix('{').unwrap_or("}");
    let comma = if rest == "}" { "" } else { "," };
    Event::default().event(name).data(format!("{{\"now\":{now}{comma}{rest}"))
}

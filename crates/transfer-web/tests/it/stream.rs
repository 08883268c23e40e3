//! A page's event stream, as a browser reads it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
};

use crate::support::{Client, OPENAPI, check_headers};

/// A timeout that suffices on a slow and busy machine.
const EVENT_TIMEOUT: Duration = Duration::from_secs(120);

/// A stream. Dropping it closes it.
pub(crate) struct Stream {
    events: UnboundedReceiver<Event>,
    /// The last event of each subject.
    last: BTreeMap<String, Value>,
    reader: JoinHandle<()>,
}

/// An event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) json: Value,
}

impl Stream {
    /// Opens a stream with this query, or returns the status of the response.
    pub(crate) async fn open(web: &Client, query: &str) -> Result<Stream, u16> {
        let request = web.request("GET", &format!("/api/events?{query}"));
        // A stream never ends by itself.
        let request = request.timeout(Duration::from_secs(3600));
        let mut response = request.send().await.expect("the service answers");
        check_headers("a stream", response.headers());
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let (tell, events) = unbounded_channel();
        let reader = tokio::spawn(async move {
            let mut text = Vec::new();
            // `None` means a clean end; a cut connection is an error.
            while let Some(some) = response.chunk().await.expect("a stream that ends in order") {
                text.extend_from_slice(&some);
                while let Some(end) = text.windows(2).position(|end| end == b"\n\n") {
                    let event: Vec<u8> = text.drain(..end + 2).collect();
                    let event = event_of(std::str::from_utf8(&event).expect("UTF-8"));
                    if event.is_some_and(|event| tell.send(event).is_err()) {
                        return;
                    }
                }
            }
        });
        Ok(Stream { events, last: BTreeMap::new(), reader })
    }

    /// The same; panics on an error status.
    pub(crate) async fn of(web: &Client, query: &str) -> Stream {
        Stream::open(web, query).await.expect("a stream")
    }

    /// The next event; none after a clean end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let next = self.events.recv();
        let event = tokio::time::timeout(EVENT_TIMEOUT, next).await.expect("an event, or the end, in time");
        match &event {
            Some(event) => drop(self.last.insert(event.name.clone(), event.json.clone())),
            None => (&mut self.reader).await.expect("a stream that ends in order"),
        }
        event
    }

    /// The first event of this subject that matches. Each event is the complete state of its subject.
    pub(crate) async fn until(&mut self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        while start.elapsed() < EVENT_TIMEOUT {
            match self.last.get(name) {
                Some(last) if is_so(last) => return last.clone(),
                _ => self.next().await.expect("the stream stays open"),
            };
        }
        panic!("timed out waiting for {name}; last event: {:?}", self.last.get(name))
    }

    /// The next event of this name.
    pub(crate) async fn next_of(&mut self, name: &str) -> Value {
        loop {
            let event = self.next().await.expect("the stream stays open");
            if event.name == name {
                return event.json;
            }
        }
    }

    /// The events that have arrived but were not read.
    pub(crate) fn arrived(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Reads until each of these subjects has sent an event; returns the last event of each.
    pub(crate) async fn each_of(&mut self, names: &[&str]) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        while !names.iter().all(|name| events.iter().any(|event| event.name == **name)) {
            events.push(self.next().await.expect("the stream stays open"));
        }
        events
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Parses an event; none for a comment.
fn event_of(text: &str) -> Option<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    let (name, data) = (field("event:")?, field("data:")?);
    let json: Value = serde_json::from_str(data).expect("an event's data is JSON");
    for row in json["rows"].as_array().into_iter().flatten() {
        OPENAPI.check_as("Workflow", row);
    }
    assert!(json["now"].as_f64() > Some(1_700_000_000.0), "each tells the time: {json}");
    Some(Event { name: name.to_owned(), json })
}

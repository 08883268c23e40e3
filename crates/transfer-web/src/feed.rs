//! The feed of events for the open pages: the state of each subject, and which pages are open.
//!
//! Each subject is published once, as the text of its event, by the one thread that watches it; the pages' streams only forward
//! it. So the cost of watching does not grow with the number of pages, and without an open page nothing is polled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

use crate::transfers::Window;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The services, and which of them are down.
    Lab,
    /// The accounts, and the bank's injected faults.
    Bank,
    /// The stage and its goals.
    Guide,
    /// A window of the list of transfers.
    Transfers(Window),
}

impl Subject {
    /// The name of its events in the stream.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Lab => "lab",
            Subject::Bank => "bank",
            Subject::Guide => "guide",
            Subject::Transfers(_) => "transfers",
        }
    }
}

/// An event: the state of a subject, and its version.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Increases with each change.
    pub(crate) version: u64,
    /// Its JSON.
    pub(crate) text: Arc<str>,
    value: Arc<Value>,
}

/// The feed. Clones share it.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    audience: Condvar,
}

#[derive(Default)]
struct State {
    events: BTreeMap<Subject, Event>,
    version: u64,
    /// How many streams show each window.
    windows: BTreeMap<Window, usize>,
    closed: bool,
}

impl Feed {
    pub(crate) fn new() -> Feed {
        let (changed, _) = watch::channel(0);
        Feed(Arc::new(Inner { state: Mutex::default(), changed, audience: Condvar::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the state of a subject, unless it is unchanged.
    pub(crate) fn publish(&self, subject: Subject, value: Value) {
        let mut state = self.state();
        if state.events.get(&subject).is_some_and(|event| *event.value == value) {
            return;
        }
        state.version += 1;
        let version = state.version;
        let event = Event { version, text: value.to_string().into(), value: value.into() };
        state.events.insert(subject, event);
        drop(state);
        self.0.changed.send_replace(version);
    }

    /// Makes the next `publish` of a subject an event even if nothing changed: a page may show something else since, from the
    /// response to its own request.
    pub(crate) fn publish_again(&self, subject: Subject) {
        if let Some(event) = self.state().events.get_mut(&subject) {
            event.value = Arc::default();
        }
    }

    /// Whether this subject has been published.
    pub(crate) fn has(&self, subject: Subject) -> bool {
        self.state().events.contains_key(&subject)
    }

    /// The events of a window's subjects that are newer than the versions already sent.
    pub(crate) fn news(&self, sent: &BTreeMap<Subject, u64>, window: Window) -> Vec<(Subject, Event)> {
        let state = self.state();
        let subjects = [Subject::Lab, Subject::Bank, Subject::Guide, Subject::Transfers(window)];
        subjects
            .into_iter()
            .filter_map(|subject| Some((subject, state.events.get(&subject)?.clone())))
            .filter(|(subject, event)| sent.get(subject).is_none_or(|version| *version < event.version))
            .collect()
    }

    /// A receiver that is notified of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Registers a page on this window until the result is dropped; none if `most` pages are open already.
    pub(crate) fn look_at(&self, window: Window, most: usize) -> Option<Look> {
        let mut state = self.state();
        if state.windows.values().sum::<usize>() >= most {
            return None;
        }
        *state.windows.entry(window).or_default() += 1;
        drop(state);
        self.0.audience.notify_all();
        Some(Look { feed: self.clone(), window })
    }

    /// The windows of the open pages.
    pub(crate) fn windows(&self) -> Vec<Window> {
        self.state().windows.keys().copied().collect()
    }

    /// Waits for this long, and then until a page is open. Returns false when the feed is closed.
    pub(crate) fn wait(&self, period: Duration) -> bool {
        let state = self.state();
        let closed = |state: &mut State| !state.closed;
        let (state, _) =
            self.0.audience.wait_timeout_while(state, period, closed).unwrap_or_else(PoisonError::into_inner);
        let nobody = |state: &mut State| !state.closed && state.windows.is_empty();
        let state = self.0.audience.wait_while(state, nobody).unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    /// Stops the watchers and ends the streams.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.0.audience.notify_all();
        self.0.changed.send_modify(|_| {});
    }

    /// Whether the feed is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

/// An open page on a window, for as long as it is held.
pub(crate) struct Look {
    feed: Feed,
    /// The window that the page shows.
    pub(crate) window: Window,
}

impl Drop for Look {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        if let Some(count) = state.windows.get_mut(&self.window) {
            *count -= 1;
            if *count == 0 {
                state.windows.remove(&self.window);
                state.events.remove(&Subject::Transfers(self.window));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WINDOW: Window = Window { offset: 0, limit: 10 };

    #[test]
    fn unchanged_state_is_published_once() {
        let feed = Feed::new();
        feed.publish(Subject::Bank, json!({ "total": 1 }));
        let news = feed.news(&BTreeMap::new(), WINDOW);
        let [(subject, event)] = &news[..] else { panic!("{news:?}") };
        assert_eq!(subject.name(), "bank");
        let sent = BTreeMap::from([(*subject, event.version)]);
        feed.publish(Subject::Bank, json!({ "total": 1 }));
        assert!(feed.news(&sent, WINDOW).is_empty());
        feed.publish(Subject::Bank, json!({ "total": 2 }));
        assert_eq!(feed.news(&sent, WINDOW).len(), 1);
    }

    #[test]
    fn unchanged_state_is_published_once_more_on_request() {
        let feed = Feed::new();
        feed.publish_again(Subject::Bank);
        feed.publish(Subject::Bank, json!({ "total": 1 }));
        let sent = BTreeMap::from([(Subject::Bank, feed.news(&BTreeMap::new(), WINDOW)[0].1.version)]);
        feed.publish_again(Subject::Bank);
        assert!(feed.news(&sent, WINDOW).is_empty());
        feed.publish(Subject::Bank, json!({ "total": 1 }));
        assert_eq!(feed.news(&sent, WINDOW).len(), 1);
    }

    #[test]
    fn a_window_is_dropped_with_its_last_page() {
        let feed = Feed::new();
        let look = || feed.look_at(WINDOW, 2);
        let (Some(first), Some(second)) = (look(), look()) else { panic!("there is room for two") };
        assert!(look().is_none(), "and for no more");
        feed.publish(Subject::Transfers(WINDOW), json!({ "total": 1 }));
        drop(first);
        assert_eq!(feed.windows().len(), 1);
        assert_eq!(feed.news(&BTreeMap::new(), second.window).len(), 1);
        drop(second);
        assert_eq!(feed.windows().len(), 0);
        assert!(feed.news(&BTreeMap::new(), WINDOW).is_empty());
    }

    #[test]
    fn a_watcher_waits_while_no_page_is_open() {
        let feed = Feed::new();
        let watcher = {
            let feed = feed.clone();
            std::thread::spawn(move || (feed.wait(Duration::ZERO), feed.wait(Duration::ZERO)))
        };
        let look = feed.look_at(WINDOW, 1);
        // Either both waits are over already, or closing the feed ends the second one.
        drop(look);
        feed.close();
        let (_, second) = watcher.join().expect("it ends");
        assert!(!second || !feed.wait(Duration::ZERO));
    }
}

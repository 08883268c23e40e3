//! The feed of events for the open pages: what is true of each subject, and which pages look.
//!
//! Each subject is recorded once, as the text of its event, by the one thread that watches over it; the pages' streams only
//! hand it on. So what it costs to watch does not grow with the number of pages, and without any page nothing is asked.

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
    /// What runs, and what is down.
    Lab,
    /// The accounts, and what is wrong with the bank on purpose.
    Bank,
    /// The stage and its goals.
    Guide,
    /// A window of the list of transfers.
    Transfers(Window),
}

impl Subject {
    /// The name of its events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Lab => "lab",
            Subject::Bank => "bank",
            Subject::Guide => "guide",
            Subject::Transfers(_) => "transfers",
        }
    }
}

/// An event: what is true of a subject, and since which change.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Counts up with each change.
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

    /// Writes down what is true of a subject. What is the same as before is no event.
    pub(crate) fn tell(&self, subject: Subject, value: Value) {
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

    /// Has what is true of a subject told once more, also where it is the same: a page has shown something else meanwhile,
    /// by the answer to an order of its own.
    pub(crate) fn tell_again(&self, subject: Subject) {
        if let Some(event) = self.state().events.get_mut(&subject) {
            event.value = Arc::default();
        }
    }

    /// Whether anything is told of this subject.
    pub(crate) fn has(&self, subject: Subject) -> bool {
        self.state().events.contains_key(&subject)
    }

    /// What is true of these subjects and newer than what was told; each with its version.
    pub(crate) fn news(&self, told: &BTreeMap<Subject, u64>, window: Window) -> Vec<(Subject, Event)> {
        let state = self.state();
        let subjects = [Subject::Lab, Subject::Bank, Subject::Guide, Subject::Transfers(window)];
        subjects
            .into_iter()
            .filter_map(|subject| Some((subject, state.events.get(&subject)?.clone())))
            .filter(|(subject, event)| told.get(subject).is_none_or(|version| *version < event.version))
            .collect()
    }

    /// Is told of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Somebody looks at this window, for as long as they hold what is returned; nobody where so many look already.
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

    /// The windows that somebody looks at.
    pub(crate) fn windows(&self) -> Vec<Window> {
        self.state().windows.keys().copied().collect()
    }

    /// Waits for so long, and then until somebody looks. Returns whether to go on.
    pub(crate) fn wait(&self, period: Duration) -> bool {
        let state = self.state();
        let closed = |state: &mut State| !state.closed;
        let (state, _) =
            self.0.audience.wait_timeout_while(state, period, closed).unwrap_or_else(PoisonError::into_inner);
        let nobody = |state: &mut State| !state.closed && state.windows.is_empty();
        let state = self.0.audience.wait_while(state, nobody).unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    /// Ends the watching, and the streams.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.0.audience.notify_all();
        self.0.changed.send_modify(|_| {});
    }

    /// Whether it is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

/// Somebody's look at a window; dropped, it is over.
pub(crate) struct Look {
    feed: Feed,
    /// The window.
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
    fn what_has_not_changed_is_told_once() {
        let feed = Feed::new();
        feed.tell(Subject::Bank, json!({ "total": 1 }));
        let news = feed.news(&BTreeMap::new(), WINDOW);
        let [(subject, event)] = &news[..] else { panic!("{news:?}") };
        assert_eq!(subject.name(), "bank");
        let told = BTreeMap::from([(*subject, event.version)]);
        feed.tell(Subject::Bank, json!({ "total": 1 }));
        assert!(feed.news(&told, WINDOW).is_empty());
        feed.tell(Subject::Bank, json!({ "total": 2 }));
        assert_eq!(feed.news(&told, WINDOW).len(), 1);
    }

    #[test]
    fn what_was_the_same_all_along_is_told_once_more_to_who_was_shown_something_else() {
        let feed = Feed::new();
        feed.tell_again(Subject::Bank);
        feed.tell(Subject::Bank, json!({ "total": 1 }));
        let told = BTreeMap::from([(Subject::Bank, feed.news(&BTreeMap::new(), WINDOW)[0].1.version)]);
        feed.tell_again(Subject::Bank);
        assert!(feed.news(&told, WINDOW).is_empty());
        feed.tell(Subject::Bank, json!({ "total": 1 }));
        assert_eq!(feed.news(&told, WINDOW).len(), 1);
    }

    #[test]
    fn a_window_is_forgotten_with_the_last_who_looks_at_it() {
        let feed = Feed::new();
        let look = || feed.look_at(WINDOW, 2);
        let (Some(first), Some(second)) = (look(), look()) else { panic!("there is room for two") };
        assert!(look().is_none(), "and for no more");
        feed.tell(Subject::Transfers(WINDOW), json!({ "total": 1 }));
        drop(first);
        assert_eq!(feed.windows().len(), 1);
        assert_eq!(feed.news(&BTreeMap::new(), second.window).len(), 1);
        drop(second);
        assert_eq!(feed.windows().len(), 0);
        assert!(feed.news(&BTreeMap::new(), WINDOW).is_empty());
    }

    #[test]
    fn without_anybody_who_looks_a_watcher_waits() {
        let feed = Feed::new();
        let watcher = {
            let feed = feed.clone();
            std::thread::spawn(move || (feed.wait(Duration::ZERO), feed.wait(Duration::ZERO)))
        };
        let look = feed.look_at(WINDOW, 1);
        // Both of its waits are over, or the second one ends with the feed.
        drop(look);
        feed.close();
        let (_, second) = watcher.join().expect("it ends");
        assert!(!second || !feed.wait(Duration::ZERO));
    }
}

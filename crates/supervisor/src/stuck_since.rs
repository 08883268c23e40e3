//! Since when transfers have been stuck on what they are stuck on.

use std::collections::BTreeMap;

use lab_client::{class::StuckOn, stuck::Stuck, stuck_since, temporal::Server};

/// The longest line of what went wrong.
const WIDTH: usize = 160;

/// What was stuck at the last look, and since when.
#[derive(Default)]
pub(crate) struct StuckSince {
    /// By run and by what it is stuck on.
    since: BTreeMap<(String, String), String>,
}

impl StuckSince {
    /// What has been stuck for the longest.
    pub(crate) fn longest(&mut self, server: &Server, stuck: &[Stuck]) -> Option<StuckOn> {
        self.since.retain(|name, _| stuck.iter().any(|stuck| name_of(stuck) == *name));
        for stuck in stuck {
            let name = name_of(stuck);
            if !self.since.contains_key(&name)
                && let Ok(events) = server.last_events(&stuck.run)
                && let Some(since) = stuck_since::since(stuck, &events)
            {
                self.since.insert(name, since);
            }
        }
        let since = |stuck: &Stuck| self.since.get(&name_of(stuck)).cloned();
        let longest = stuck.iter().min_by_key(|stuck| {
            let since = since(stuck);
            (since.is_none(), since)
        })?;
        Some(StuckOn {
            workflow_id: longest.run.workflow_id.clone(),
            what: longest.what(),
            attempt: longest.attempt,
            since: since(longest).unwrap_or_default(),
            failure: terminal::shorten(&longest.failure, WIDTH),
        })
    }
}

/// What is stuck, and on what.
pub(crate) fn name_of(stuck: &Stuck) -> (String, String) {
    (stuck.run.run_id.clone(), stuck.what())
}

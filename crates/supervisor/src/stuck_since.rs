//! Since when transfers have been stuck on what they are stuck on.

use std::collections::BTreeMap;

use lab_client::{class::StuckOn, stuck::Stuck, stuck_since, temporal::Server, time};

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
            self.since.entry(name_of(stuck)).or_insert_with(|| {
                let events = server.last_events(&stuck.run).unwrap_or_default();
                stuck_since::since(stuck, &events).unwrap_or_else(|| time::rfc3339_exact(time::now()))
            });
        }
        let since = |stuck: &&Stuck| self.since.get(&name_of(stuck)).cloned().unwrap_or_default();
        let longest = stuck.iter().min_by_key(since)?;
        Some(StuckOn {
            workflow_id: longest.run.workflow_id.clone(),
            what: longest.what(),
            attempt: longest.attempt,
            since: since(&longest),
            failure: terminal::shorten(&longest.failure, WIDTH),
        })
    }
}

/// What is stuck, and on what.
pub(crate) fn name_of(stuck: &Stuck) -> (String, String) {
    (stuck.run.run_id.clone(), stuck.what())
}

//! The polls of the learners' workers: the sign of life of a lab that has no news.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;

use super::{board::Board, row::Row};
use crate::{
    http::{encode, get_json},
    side_by_side,
    temporal::Server,
    time,
};

/// The board asks for the polls once a report is this many seconds old: a lab whose worker does not poll reports more often.
const ASK_AFTER: f64 = 75.0;
/// How many seconds the board uses an answer. A poll lasts up to a minute, so an answer rarely changes sooner.
const ANSWER_LASTS: f64 = 60.0;

/// When a worker last polled the learner's Task Queue, in seconds since 1970, by the service's clock; none if no worker has polled
/// in the last minutes.
///
/// # Errors
/// The service does not answer, or rejects the request.
pub fn last_poll(server: &Server, learner: &str) -> Result<Option<f64>> {
    let queue = encode(&contract::task_queue(Some(learner)));
    let path = format!("task-queues/{queue}?taskQueueType=TASK_QUEUE_TYPE_WORKFLOW");
    let description = get_json(&server.api(&path))?;
    let pollers = description["pollers"].as_array().into_iter().flatten();
    let times = pollers.filter_map(|poller| time::parse_rfc3339(poller["lastAccessTime"].as_str()?));
    Ok(times.max_by(f64::total_cmp))
}

/// The last polls of a class's workers, for a board that is read again and again.
#[derive(Debug, Default)]
pub struct Polls(Mutex<BTreeMap<String, Answer>>);

/// When the service was asked for a learner's polls, and the time of the last one. Not by an `Instant`, which stands still while the
/// machine sleeps.
type Answer = (f64, Option<f64>);

impl Polls {
    /// Counts a worker's poll as a sign of life, if the lab said that its worker polls.
    pub(super) fn complete(&self, board: &mut Board, server: &Server, now: f64) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |row: &Row| row.report.worker_polls && !row.report.stopped && row.seen > ASK_AFTER;
        let is_known =
            |learner: &str| answers.get(learner).is_some_and(|(at, _)| (now - at).abs() < ANSWER_LASTS);
        let learners = board.rows.iter().filter(|row| counts(row)).map(|row| row.report.learner.clone());
        let learners: Vec<String> = learners.filter(|learner| !is_known(learner)).collect();
        let polls = side_by_side::map(&learners, |learner| last_poll(server, learner));
        for (learner, poll) in learners.into_iter().zip(polls) {
            // After an error, or without a poller as after a restart of the service, the poll from before counts, or else the report.
            let before = answers.get(&learner).and_then(|(_, poll)| *poll);
            answers.insert(learner, (now, poll.unwrap_or_default().or(before)));
        }
        for row in board.rows.iter_mut().filter(|row| counts(row)) {
            if let Some((_, Some(poll))) = answers.get(&row.report.learner) {
                row.seen = row.seen.min((now - poll).max(0.0));
            }
        }
        board.sort();
    }
}

//! When to look again at a Temporal Service that a class shares.
//!
//! Everything that a learner's lab does passes through its gateway, which counts what moves. Asking the gateway costs the service
//! nothing. So the page and the reporter ask it often, and look at the service soon after something has moved, and otherwise seldom.

use std::time::{Duration, Instant};

use crate::link::LinkReport;

/// The gateway's counter. None if it does not answer or has no counter, and while the service does not answer it.
pub fn counter(gateway: &str) -> Option<u64> {
    let link = LinkReport::ask(gateway).ok()?;
    link.moves.filter(|_| link.answers)
}

/// How often to look. By default, a look is always due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// The interval after a move.
    pub busy: Duration,
    /// How long after a move: the service's lists lag behind.
    pub busy_for: Duration,
    /// The interval while nothing moves, for what the gateway cannot see, such as a timeout at the server.
    pub quiet: Duration,
    /// The same without a counter, and after a failed look.
    pub uncounted: Duration,
}

/// Decides when the next look is due.
#[derive(Debug, Default)]
pub struct Looks {
    pace: Pace,
    counter: Option<u64>,
    moved: Option<Instant>,
    /// When the last look ended, and whether it succeeded.
    looked: Option<(Instant, bool)>,
}

impl Looks {
    /// No look yet, so one is due.
    pub fn new(pace: Pace) -> Looks {
        Looks { pace, ..Looks::default() }
    }

    /// Whether a look is due, with the gateway's counter as it is now.
    pub fn is_due(&mut self, counter: Option<u64>, now: Instant) -> bool {
        if self.counter != counter {
            self.counter = counter;
            self.moved = Some(now);
        }
        let Some((looked, succeeded)) = self.looked else { return true };
        let is_busy =
            self.moved.is_some_and(|moved| now.saturating_duration_since(moved) < self.pace.busy_for);
        let interval = match (is_busy, counter) {
            (true, _) => self.pace.busy,
            (false, Some(_)) if succeeded => self.pace.quiet,
            _ => self.pace.uncounted,
        };
        now.saturating_duration_since(looked) >= interval
    }

    /// Notes a look that has ended.
    pub fn note_look(&mut self, now: Instant, succeeded: bool) {
        self.looked = Some((now, succeeded));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        busy: Duration::from_secs(3),
        busy_for: Duration::from_secs(15),
        quiet: Duration::from_secs(30),
        uncounted: Duration::from_secs(10),
    };

    /// The seconds at which a look is due, asked each second, with this counter at each of them.
    fn looks(mut looks: Looks, seconds: u64, counter: impl Fn(u64) -> Option<u64>) -> Vec<u64> {
        let begin = Instant::now();
        let is_due = |&second: &u64| {
            let now = begin + Duration::from_secs(second);
            let is_due = looks.is_due(counter(second), now);
            if is_due {
                looks.note_look(now, true);
            }
            is_due
        };
        (0..seconds).filter(is_due).collect()
    }

    #[test]
    fn a_look_is_due_soon_after_a_move_and_otherwise_seldom() {
        // The first counter is a move, too.
        assert_eq!(looks(Looks::new(PACE), 80, |_| Some(7)), [0, 3, 6, 9, 12, 42, 72]);
        let moves = |second| Some(u64::from(second >= 35) + u64::from(second >= 36));
        assert_eq!(looks(Looks::new(PACE), 80, moves), [0, 3, 6, 9, 12, 35, 38, 41, 44, 47, 50]);
    }

    #[test]
    fn without_a_counter_the_interval_is_as_long_as_without_a_gateway() {
        assert_eq!(looks(Looks::new(PACE), 30, |_| None), [0, 10, 20]);
        assert_eq!(looks(Looks::default(), 3, |_| None), [0, 1, 2]);
        // A gateway that no longer answers is a move, and one that answers again.
        let counter = |second| (!(20..40).contains(&second)).then_some(7);
        assert_eq!(looks(Looks::new(PACE), 46, counter)[5..], [20, 23, 26, 29, 32, 40, 43]);
    }

    #[test]
    fn after_a_failed_look_the_next_one_does_not_wait_for_a_move() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let mut looks = Looks::new(PACE);
        assert!(looks.is_due(Some(7), at(0)));
        looks.note_look(at(20), false);
        assert!(!looks.is_due(Some(7), at(29)) && looks.is_due(Some(7), at(30)));
        looks.note_look(at(30), true);
        assert!(!looks.is_due(Some(7), at(59)) && looks.is_due(Some(7), at(60)));
    }
}

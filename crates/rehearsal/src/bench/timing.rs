//! Waiting and timing.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// The timeout of each step.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How often to check a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits for the condition.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > TIMEOUT {
            bail!("timed out waiting until {what}");
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// How many seconds this takes.
pub(super) fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed().as_secs_f64())
}

/// The median; sorts the values.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

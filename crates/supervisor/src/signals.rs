//! Ctrl-C, TERM and a closed terminal, as events instead of a sudden end.

use std::thread;

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Calls `on_signal` for every signal that asks this process to end, on a thread of its own.
pub fn listen(mut on_signal: impl FnMut() + Send + 'static) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("could not listen to signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            on_signal();
        }
    });
    Ok(())
}

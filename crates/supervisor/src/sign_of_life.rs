//! A sign of life while something takes long that prints nothing.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use terminal::{duration, stderrln};

/// How long nothing may be printed.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// Does the work, and says every two seconds that it is still going on.
pub fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (is_working, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            let begin = Instant::now();
            while ended.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
                stderrln!("still {what}, for {}", duration(begin.elapsed().as_secs_f64()));
            }
        });
        let outcome = work();
        drop(is_working);
        outcome
    })
}

//! Waiting for a condition, with a timeout.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// A timeout that suffices on a slow and busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Polls until the result is `Ok`; the `Err` describes the current state.
///
/// # Panics
/// After two minutes, with the condition and the last state.
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(still) if start.elapsed() > DEADLINE => {
                panic!("timed out waiting for {what}; last state: {still:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

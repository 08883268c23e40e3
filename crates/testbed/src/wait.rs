//! Waiting for a condition, with an end.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// Longer than anything here takes on a slow and busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Asks again and again until the answer is `Ok`; the `Err` is what is still the case.
///
/// # Panics
/// After two minutes, with what was waited for and what was still the case.
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(still) if start.elapsed() > DEADLINE => panic!("waited in vain for {what}; still: {still:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

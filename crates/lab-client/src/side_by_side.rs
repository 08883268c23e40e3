//! Concurrent requests to a server.

use std::{
    iter,
    panic::resume_unwind,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use anyhow::Result;

/// The number of concurrent requests.
const THREADS: usize = 8;

/// Maps each item concurrently; the results are in order.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work_on_some = || {
        let next = || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, item))
        };
        iter::from_fn(next).map(|(at, item)| (at, work(item))).collect::<Vec<_>>()
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(items.len())).map(|_| scope.spawn(work_on_some)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The same for work that may fail: after the first failure, no further work is started.
///
/// # Errors
/// The error of the first item that failed.
pub fn try_map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let has_failed = AtomicBool::new(false);
    let results = map(items, |item| {
        if has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let result = work(item);
        has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        Some(result)
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::bail;

    use super::*;

    #[test]
    fn after_a_failure_no_further_work_is_started() {
        let items: Vec<usize> = (0..10_000).collect();
        let begun = AtomicUsize::new(0);
        let result = try_map(&items, |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *item == 3 {
                bail!("no");
            }
            // The work takes time, so that on a busy machine the others are not done before this one fails.
            thread::sleep(Duration::from_millis(1));
            Ok(*item)
        });
        assert_eq!(result.expect_err("one fails").to_string(), "no");
        assert!(begun.into_inner() < items.len());
        assert_eq!(try_map(&items[..3], |item| Ok(item + 1)).expect("none fails"), [1, 2, 3]);
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(
            super::map(&items, |item| item * 2),
            items.iter().map(|item| item * 2).collect::<Vec<_>>()
        );
        assert_eq!(super::map(&[], |item: &usize| *item), Vec::<usize>::new());
    }
}

//! Code that blocks the thread of all Workflows for amounts of 40.00 and more.

use std::{ops::RangeInclusive, time::Duration};

use contract::step;

use super::{Code, Does, Drill, modules};

/// In cents.
const LARGE: RangeInclusive<i64> = 40_00..=i64::MAX;

async fn begin() -> Drill {
    let drill = Drill::begin("nothing-moves").await;
    drill.until_hit().await;
    drill
}

/// Code that does this with these amounts before they are withdrawn, and is right otherwise.
fn with(amounts: RangeInclusive<i64>, does: Does) -> Code {
    Code { special: Some((amounts, step::WITHDRAW, does)), ..Code::default() }
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix() {
    let mut drill = begin().await;
    drill.stays_open("new-ones-are-safe", "a worker took its Workflow Task and did not answer").await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill.deploy(modules("reset-workflows")).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn a_timer_in_place_of_what_blocks() {
        let mut drill = begin().await;
        drill.deploy(with(LARGE, Does::Pause(Duration::from_secs(1)))).await;
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // Code that blocks only for larger amounts.
        drill.deploy(with(100_000..=i64::MAX, Does::Block)).await;
        drill.stays_open("new-ones-are-safe", "a worker took its Workflow Task and did not answer").await;
        // Code that refuses large amounts.
        drill.deploy(with(LARGE, Does::Fail)).await;
        drill.stays_open("new-ones-are-safe", "it failed, and the bank had no reason to refuse it").await;
        // Code that completes without having moved large amounts.
        drill.deploy(with(LARGE, Does::Complete)).await;
        drill.until_wrong("a fix must not skip a step").await;
    }
}

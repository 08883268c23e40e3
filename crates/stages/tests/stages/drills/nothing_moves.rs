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
async fn left_alone() {
    let drill = begin().await;
    drill.stays_open("new-ones-are-safe", "a worker took its Workflow Task and did not answer").await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
}

#[tokio::test]
async fn the_shipped_fix() {
    let mut drill = begin().await;
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
    async fn code_that_blocks_only_for_larger_amounts() {
        let mut drill = begin().await;
        drill.deploy(with(100_000..=i64::MAX, Does::Block)).await;
        drill.stays_open("new-ones-are-safe", "a worker took its Workflow Task and did not answer").await;
    }

    #[tokio::test]
    async fn code_that_refuses_large_amounts() {
        let mut drill = begin().await;
        drill.deploy(with(LARGE, Does::Fail)).await;
        drill.stays_open("none-is-lost", "it failed, and the bank had no reason to refuse it").await;
    }

    #[tokio::test]
    async fn code_that_completes_without_having_moved_large_amounts() {
        let mut drill = begin().await;
        drill.deploy(with(LARGE, Does::Complete)).await;
        drill.until_wrong("a fix must not skip a step").await;
    }
}

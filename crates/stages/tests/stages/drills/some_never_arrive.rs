//! Code that panics for amounts below 10.00.

use contract::step;

use super::{Code, Does, Drill, NEW_ONES, modules};

const SMALL: std::ops::RangeInclusive<i64> = 0..=9_99;

async fn begin() -> Drill {
    let drill = Drill::begin("some-never-arrive").await;
    drill.until_hit().await;
    drill
}

/// Code that does this with small amounts, and is right otherwise.
fn small_ones(before: &'static str, does: Does) -> Code {
    Code { special: Some((SMALL, before, does)), ..Code::default() }
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix() {
    let mut drill = begin().await;
    drill.stays_open(NEW_ONES, "4 is out of bounds").await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill.deploy(modules("reset-workflows")).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn other_code_and_a_reset_of_what_is_stuck() {
        let mut drill = begin().await;
        drill.deploy(Code::default()).await;
        for id in drill.stuck().await {
            drill.reset(&id, "FirstWorkflowTask").await;
        }
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // A transfer that is terminated.
        drill.terminate_one_that_is_stuck().await;
        drill.stays_open("none-is-lost", "it was ended before it completed").await;
        // Code that refuses small amounts.
        drill.deploy(small_ones(step::WITHDRAW, Does::Fail)).await;
        drill.stays_open(NEW_ONES, "it failed, and the bank had no reason to refuse it").await;
        // Code that catches the panic and completes.
        drill.deploy(small_ones(step::WITHDRAW, Does::Complete)).await;
        drill.until_wrong("a fix must not skip a step").await;
    }
}

//! A withdrawal that waits inside its Activity for the account to hold enough, and keeps one of ten connections to the bank.

use std::time::Duration;

use super::{Code, Drill, NEW_ONES, modules};

/// An hour, as the incident has it.
const HOUR: Duration = Duration::from_secs(3600);

/// Until a transfer is late.
async fn begin() -> Drill {
    let drill = Drill::begin("fine-after-restart").await;
    drill.until_hit().await;
    drill
}

/// Code that waits as the incident's does.
fn waits_inside() -> Code {
    Code { start_to_close: HOUR, connections: 10, waits_inside: true, ..Code::default() }
}

/// What the explanation types.
async fn shorten_the_attempts(drill: &Drill) {
    let query = r#"--query 'ExecutionStatus="Running"'"#;
    drill
        .type_in(&format!("activity update-options {query} --start-to-close-timeout 5s --reason gone --yes"))
        .await;
}

#[tokio::test]
async fn left_alone_and_then_with_the_shipped_fix_and_shorter_attempts() {
    let mut drill = begin().await;
    drill.stays_open(NEW_ONES, "it takes far too long").await;
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    drill.deploy(modules("reset-workflows")).await;
    // The attempts in progress have the timeout that was recorded for them.
    drill.stays_open("none-is-stuck", "in progress that should have closed").await;
    shorten_the_attempts(&drill).await;
    drill.until_recovered().await;
}

mod slow {
    use super::*;

    #[tokio::test]
    async fn other_code_and_resets() {
        let mut drill = begin().await;
        drill.deploy(Code { connections: 10, ..Code::default() }).await;
        for id in drill.stuck().await {
            drill.reset(&id, "LastWorkflowTask").await;
        }
        drill.until_recovered().await;
    }

    #[tokio::test]
    async fn wrong_fixes() {
        let mut drill = begin().await;
        // Another restart.
        drill.deploy(modules("fine-after-restart")).await;
        drill.stays_open(NEW_ONES, "it takes far too long").await;
        // Two thousand connections.
        drill.deploy(Code { connections: 2_000, ..waits_inside() }).await;
        shorten_the_attempts(&drill).await;
        drill.stays_open(NEW_ONES, "it takes far too long").await;
        // Heartbeats.
        let heartbeat_timeout = Some(Duration::from_secs(5));
        drill.deploy(Code { heartbeats: true, heartbeat_timeout, ..waits_inside() }).await;
        shorten_the_attempts(&drill).await;
        drill.stays_open(NEW_ONES, "it takes far too long").await;
        // A transfer that is terminated.
        drill.terminate_one_that_is_stuck().await;
        drill.stays_open("none-is-lost", "it was ended before it completed").await;
    }
}

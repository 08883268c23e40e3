//! From every state that roll-out can be in, `next` leads to its goals: learners who type nothing else get there.

use std::time::Duration;

use lab::Next;
use stages::Modules;

use crate::checks::roll_out::{FIX, JERRYS, LARGE, Learner, SMALL, words};

/// More commands than any way out takes: twice through the stage are up to 28, if each move finds one more that is stuck.
const MOST: usize = 35;

/// A learner who types what is next, with the fix at hand.
struct Follower {
    learner: Learner,
    /// The newest version that was deployed.
    deployed: u32,
    /// The code that the next ones are.
    code: Modules,
}

impl Follower {
    async fn enters() -> Follower {
        Follower { learner: Learner::enters().await, deployed: 2, code: FIX }
    }

    async fn deploys(&mut self) {
        self.deployed += 1;
        self.learner.deploy(self.deployed, self.code).await;
        self.code = FIX;
    }

    async fn act(&mut self, next: &Next) {
        let line = next.to_type().unwrap_or_else(|| panic!("no command: {next}"));
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[2..] {
            ["stage", "roll-out", "--keep"] => {
                self.learner.enter().await;
                self.deployed = 2;
            }
            ["traffic"] => self.learner.traffic().await,
            ["lab", "deploy"] => self.deploys().await,
            ["lab", "retire", version] => self.learner.retires(version.parse().expect("a version")).await,
            ["temporal", ..] => drop(self.learner.lab.testbed.temporal(&words[3..])),
            // To look.
            ["lab", "status"] => {}
            _ => panic!("{line}"),
        }
    }

    /// Types what is next, until all goals are reached.
    async fn follow_next(mut self) {
        let mut typed = Vec::new();
        while let Some(next) = self.learner.next().await {
            typed.push(next.to_string());
            assert!(typed.len() < MOST, "a dead end: {typed:#?}");
            self.act(&next).await;
            let changed = tokio::time::timeout(Duration::from_secs(60), async {
                while self.learner.next().await.as_ref() == Some(&next) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            assert!(changed.await.is_ok(), "a dead end: {typed:#?}");
        }
        println!("{typed:#?}");
        self.learner.leaves().await;
    }
}

#[tokio::test]
async fn the_beginning_and_a_fix_that_is_none_at_first() {
    let mut follower = Follower::enters().await;
    follower.code = JERRYS;
    follower.follow_next().await;
}

#[tokio::test]
async fn version_2_made_current_at_once() {
    let mut follower = Follower::enters().await;
    follower.learner.makes_current(2);
    follower.learner.traffic().await;
    follower.follow_next().await;
}

#[tokio::test]
async fn version_2_ramped_to_100_percent() {
    let mut follower = Follower::enters().await;
    follower.learner.ramps(2, 100);
    follower.learner.traffic().await;
    follower.follow_next().await;
}

#[tokio::test]
async fn a_ramp_that_the_fix_replaces() {
    let mut follower = Follower::enters().await;
    follower.learner.ramps(2, 50);
    follower.learner.traffic().await;
    follower.deploys().await;
    follower.learner.ramps(3, 100);
    follower.follow_next().await;
}

#[tokio::test]
async fn a_fix_before_the_failure() {
    let mut follower = Follower::enters().await;
    follower.deploys().await;
    follower.learner.makes_current(3);
    follower.learner.transfer(LARGE).await;
    follower.follow_next().await;
}

#[tokio::test]
async fn a_fix_under_the_same_build_id() {
    for is_stuck in [false, true] {
        let mut follower = Follower::enters().await;
        if is_stuck {
            follower.learner.gets_some_stuck().await;
        }
        follower.learner.deploy(2, FIX).await;
        follower.follow_next().await;
    }
}

#[tokio::test]
async fn stuck_ones_that_were_terminated() {
    let mut follower = Follower::enters().await;
    for id in follower.learner.gets_some_stuck().await {
        follower.learner.types(&format!("workflow terminate --workflow-id {id}"));
    }
    follower.follow_next().await;
}

#[tokio::test]
async fn only_small_transfers_and_a_rollback() {
    let mut follower = Follower::enters().await;
    follower.learner.ramps(2, 50);
    let mut began_on = Vec::new();
    while !["1", "2"].iter().all(|version| began_on.iter().any(|on| on == version)) {
        let id = follower.learner.transfer(SMALL).await;
        began_on.push(follower.learner.began_on(&id).await);
    }
    follower.learner.ramps(2, 0);
    follower.follow_next().await;
}

#[tokio::test]
async fn workers_that_were_taken_down_too_soon() {
    for version in [1, 2] {
        let mut follower = Follower::enters().await;
        follower.learner.gets_some_stuck().await;
        follower.learner.transfer(SMALL).await;
        follower.learner.take_down(version).await;
        follower.follow_next().await;
    }
}

/// The stage's own transfers are ended too.
#[tokio::test]
async fn everything_terminated() {
    let follower = Follower::enters().await;
    follower.learner.types("workflow terminate --query 'ExecutionStatus=\"Running\"' --reason 'a try' --yes");
    follower.follow_next().await;
}

//! Workflow code that is not deterministic: under the lab's worker it fails on its first transfer, and the check names the reason.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use contract::{BalanceQuestion, Movement, TransferResult, step};
use lab::{Facts, Status};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityExecutionError, ActivityOptions, WorkflowContext, WorkflowResult};
use testbed::{TestWorker, until};
use transfer_kit::{FROM_ACCOUNT, TO_ACCOUNT, activities::Activities, host, refused, request};

use super::{Lab, fixes::activities::OtherActivities, right::next};

/// The ways to decide that differ from one run of the code to the next.
const WAYS: [&str; 4] = ["is-replaying", "hash-map", "clock", "random"];

/// A transfer that reads a balance once more before it withdraws, and goes wrong about it in the way that its Workflow Id names.
#[workflow]
#[derive(Default)]
struct Nondeterministic;

#[workflow_methods]
impl Nondeterministic {
    #[run(name = "MoneyTransferWorkflow")]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        input: RawValue,
    ) -> WorkflowResult<TransferResult> {
        let transfer = request(&input).validate().map_err(refused)?;
        ctx.upsert_search_attributes([
            FROM_ACCOUNT.value_set(transfer.from_account.clone()),
            TO_ACCOUNT.value_set(transfer.to_account.clone()),
        ]);
        let (from, to) = (&transfer.from_account, &transfer.to_account);
        let from_account_starting_balance = Self::read(ctx, step::CHECK_BALANCE_FROM, from).await?;
        let to_account_starting_balance = Self::read(ctx, step::CHECK_BALANCE_TO, to).await?;
        let way = ctx.workflow_id().split('.').next().unwrap_or_default().to_owned();
        match way.as_str() {
            "is-replaying" if !ctx.is_replaying() => {
                Self::read(ctx, "confirm_balance", from).await?;
            }
            // Of ten accounts the order is the same one time in millions.
            "hash-map" => {
                let accounts: HashSet<String> =
                    ('A'..='J').map(|letter| format!("account_{letter}")).collect();
                for account in &accounts {
                    Self::read(ctx, &format!("confirm_{account}"), account).await?;
                }
            }
            "clock" => {
                let name = format!("confirm_balance_at_{:?}", SystemTime::now());
                Self::read(ctx, &name, from).await?;
            }
            "random" => {
                let name = format!("confirm_balance_{}", RandomState::new().hash_one(()));
                Self::read(ctx, &name, from).await?;
            }
            _ => {}
        }
        let movement = |account: &str| Movement { account_id: account.to_owned(), amount: transfer.amount };
        ctx.execute_activity(Activities::withdraw, movement(from), options(step::WITHDRAW)).await?;
        ctx.execute_activity(Activities::deposit, movement(to), options(step::DEPOSIT)).await?;
        Ok(TransferResult {
            success: true,
            from_account_starting_balance,
            to_account_starting_balance,
            from_account: transfer.from_account,
            to_account: transfer.to_account,
            amount: transfer.amount,
        })
    }
}

impl Nondeterministic {
    async fn read(
        ctx: &mut WorkflowContext<Self>,
        step: &str,
        account: &str,
    ) -> Result<contract::Money, ActivityExecutionError> {
        let question = BalanceQuestion { account_id: account.to_owned() };
        Ok(ctx.execute_activity(Activities::check_balance, question, options(step)).await?.balance)
    }
}

fn options(step: &str) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(5)).activity_id(step.to_owned()).build()
}

/// A worker of that code as the lab runs one, or one that caches so many Workflows.
async fn worker(lab: &Lab, cached: Option<usize>) -> TestWorker {
    let activities = OtherActivities::new(&lab.testbed.bank_url);
    let mut options = host::options::<Nondeterministic, _>(activities).expect("one Workflow");
    options.max_cached_workflows = cached.unwrap_or(options.max_cached_workflows);
    TestWorker::start(&lab.testbed.client, options).await
}

#[tokio::test]
async fn each_way_fails_on_its_first_transfer_and_the_check_names_it() {
    let lab = Lab::start().await;
    let worker = worker(&lab, None).await;
    lab.transfer(&WAYS).await;
    for way in WAYS {
        let (facts, why) = until(&format!("{way} to be stuck"), || async {
            let facts = lab.facts(way).await;
            // The server lists a transfer a moment after it was started.
            let events = facts.transfers.first().map_or(&[][..], |transfer| &transfer.last().events);
            match lab::nondeterminism(events) {
                Some(why) => Ok((facts, why)),
                None => Err(events.last().cloned()),
            }
        })
        .await;
        let not_deterministic = "not deterministic: on replay the code schedules ";
        assert!(why.starts_with(not_deterministic) && why.contains("is_replaying"), "{way}: {why}");

        let wrong = lab::wrong(&facts);
        let [wrong] = &wrong[..] else { panic!("{way}: {wrong:?}") };
        assert!(wrong.evidence.what.starts_with(not_deterministic), "{way}: {wrong:?}");
        assert!(wrong.meaning.contains("decide the same way"), "{way}: {wrong:?}");
        let next = next(&facts, "fix-workflow", "transfer-completes");
        assert!(!next.is_empty(), "{way}");
    }
    worker.stop().await;
}

/// Starts transfers that go wrong in this way, one after another, until one has come so far. On a busy machine the cache may lose
/// one, which is stuck then.
async fn one_that(lab: &Lab, way: &str, is_so_far: impl Fn(&Facts) -> bool) -> String {
    for number in 0..10 {
        let id = format!("{way}.{number}");
        lab.transfer(&[&id]).await;
        let what = format!("{id} to come so far, or to be stuck");
        let so_far = until(&what, || async {
            let facts = lab.facts(&id).await;
            let events = facts.transfers.first().map_or(&[][..], |transfer| &transfer.last().events);
            match (is_so_far(&facts), lab::nondeterminism(events)) {
                (true, _) => Ok(true),
                (false, Some(_)) => Ok(false),
                (false, None) => Err(events.last().cloned()),
            }
        })
        .await;
        if so_far {
            return id;
        }
    }
    panic!("none of ten has come so far");
}

/// Why the lab's worker has no cache: such code completes, and breaks only the transfers that a worker leaves halfway.
#[tokio::test]
async fn a_cache_hides_it_until_the_worker_ends() {
    let lab = Lab::start().await;
    let caching = worker(&lab, Some(1000)).await;
    let status = |facts: &Facts| facts.transfers.first().map(|transfer| transfer.last().status);
    one_that(&lab, "is-replaying", |facts| status(facts) == Some(Status::Completed)).await;

    lab.deposits_down(true).await;
    let withdrawn = one_that(&lab, "clock", |facts| {
        let run = facts.transfers.first().map(|transfer| &transfer.last().run_id);
        facts.entries.iter().any(|entry| Some(&entry.transfer) == run)
    });
    let withdrawn = withdrawn.await;
    caching.stop().await;
    lab.deposits_down(false).await;
    let caching = worker(&lab, Some(1000)).await;
    until("the transfer to be stuck", || async {
        let facts = lab.facts(&withdrawn).await;
        lab::nondeterminism(&facts.transfers[0].last().events).ok_or("it is not stuck")
    })
    .await;
    caching.stop().await;
}

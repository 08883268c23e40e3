//! Code that a test deploys in a drill: right unless it says otherwise in one of its fields.
//!
//! With all fields as they are by [`Code::default`], it issues the same Commands as the shipped fix, so it replays what that began. A
//! Workflow finds its code by the first part of its Workflow Id, the drill: what was started under earlier code runs with the code in place.

#![allow(dead_code, reason = "the macro's constants")]

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use contract::{
    Amount, BalanceAnswer, BalanceQuestion, Money, Movement, MovementAnswer, RefundAnswer, Transfer,
    TransferRequest, TransferResult,
    bank::{Account, Deposited, Refunded, Withdrawn},
    step,
};
use temporalio_common::{RetryPolicy, data_converters::RawValue, error::ApplicationFailure};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityExecutionError, ActivityOptions, WorkflowContext, WorkflowContextView, WorkflowResult,
    WorkflowTermination,
    activities::{ActivityContext, ActivityError},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use transfer_kit::{Bank, FROM_ACCOUNT, TO_ACCOUNT, activities::Activities, give_up, host, refused, request};

/// A step of a transfer, by its Activity Id.
type Step = &'static str;

/// What is to be known of the code that a worker runs. The text of all fields is its Build ID.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Code {
    // How the Workflow calls its Activities.
    pub(crate) start_to_close: Duration,
    pub(crate) heartbeat_timeout: Option<Duration>,
    pub(crate) initial_interval: Duration,
    pub(crate) maximum_interval: Duration,
    /// Zero is without limit.
    pub(crate) maximum_attempts: u32,
    /// The failure types that the Retry Policy names as non-retryable.
    pub(crate) non_retryable: &'static [&'static str],
    /// Steps that are scheduled on another Task Queue.
    pub(crate) queues: &'static [(Step, &'static str)],

    // The steps of the Workflow.
    pub(crate) balances: Balances,
    /// Whether a balance is confirmed before the withdrawal, as `added_step` does.
    pub(crate) confirms: Confirms,
    pub(crate) deposits_first: bool,
    pub(crate) skips: &'static [Step],
    /// Steps that are called twice, under two Activity Ids.
    pub(crate) twice: &'static [Step],
    /// Steps whose failure is ignored.
    pub(crate) swallows: &'static [Step],
    pub(crate) on_failure: OnFailure,
    /// What transfers of these amounts, in cents, do before this step.
    pub(crate) special: Option<(RangeInclusive<i64>, Step, Does)>,

    // The Activities.
    pub(crate) finals: Finals,
    pub(crate) key: Key,
    /// Activity Types that answer without having asked the bank.
    pub(crate) invents: &'static [&'static str],
    /// How many requests to the bank are made at once; zero is without limit.
    pub(crate) connections: usize,
    /// Whether a withdrawal waits in its attempt until the account holds enough.
    pub(crate) waits_inside: bool,
    /// Whether it records a heartbeat while it waits.
    pub(crate) heartbeats: bool,
    /// How long an attempt waits for the bank's answer, if not as long as `Bank` does.
    pub(crate) request_timeout: Option<Duration>,

    /// Task Queues that the worker polls besides its own.
    pub(crate) polls: &'static [&'static str],
    /// Code that differs in nothing else has another Build ID by this.
    pub(crate) revision: u32,
}

impl Default for Code {
    fn default() -> Code {
        Code {
            start_to_close: Duration::from_secs(5),
            heartbeat_timeout: None,
            initial_interval: Duration::from_millis(500),
            maximum_interval: Duration::from_secs(2),
            maximum_attempts: 0,
            non_retryable: &[],
            queues: &[],
            balances: Balances::FromFirst,
            confirms: Confirms::Never,
            deposits_first: false,
            skips: &[],
            twice: &[],
            swallows: &[],
            on_failure: OnFailure::Refund,
            special: None,
            finals: Finals::Refusals,
            key: Key::OfTheStep,
            invents: &[],
            connections: 0,
            waits_inside: false,
            heartbeats: false,
            request_timeout: None,
            polls: &[],
            revision: 0,
        }
    }
}

/// In which order the balances are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balances {
    FromFirst,
    ToFirst,
    ByName,
    /// Another one each time that the code runs.
    Random,
}

/// When the Workflow confirms the balance before the withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirms {
    Never,
    Always,
    /// Where this patch is in the history, or can be.
    Patched(&'static str),
    /// Always, with this patch deprecated.
    Deprecated(&'static str),
}

/// What the Workflow does if the money could not be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It has the bank undo the transfer, and fails.
    Refund,
    /// It fails at once.
    Fail,
    /// It completes.
    Complete,
    /// It waits so long, and moves the money again, unless the failure is non-retryable.
    TryAgain(Duration),
}

/// What a Workflow does instead of going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Panic,
    Fail,
    Complete,
    /// It waits for a timer, and goes on.
    Pause(Duration),
    /// It waits for a timer that never fires.
    Wait,
    /// It blocks its thread until the worker leaves.
    Block,
    /// It goes on, with so many cents.
    Move(i64),
}

/// Which failures of an Activity are non-retryable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finals {
    /// The bank's refusals, as `Bank` has it.
    Refusals,
    All,
    None,
    /// Only these failure types.
    Only(&'static [&'static str]),
}

/// The idempotency key of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// As `Bank` has it: the transfer and the step.
    OfTheStep,
    /// The run and the step: a reset has other keys.
    OfTheRun,
    /// The step and the number of its attempt.
    OfTheAttempt,
    /// Another one for each request.
    Random,
}

/// The code that each drill has in place, and whether its worker is about to leave.
static IN_PLACE: Mutex<BTreeMap<String, (Code, bool)>> = Mutex::new(BTreeMap::new());

fn in_place() -> MutexGuard<'static, BTreeMap<String, (Code, bool)>> {
    IN_PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The worker of this drill is about to leave: code that blocks goes on.
pub(crate) fn leave(drill: &str) {
    if let Some((_, leaves)) = in_place().get_mut(drill) {
        *leaves = true;
    }
}

impl Code {
    /// Puts it in place in this drill, and returns the options of a worker that runs it.
    pub(crate) fn put_in_place(&self, drill: &str, bank_url: &str) -> temporalio_sdk::WorkerOptions {
        in_place().insert(drill.to_owned(), (self.clone(), false));
        let permits = if self.connections == 0 { Semaphore::MAX_PERMITS } else { self.connections };
        let activities = AnyActivities {
            bank: Bank::at(bank_url),
            connections: Semaphore::new(permits),
            code: self.clone(),
        };
        let mut options = host::options::<AnyWorkflow, _>(activities).expect("one Workflow");
        host::report_build_id(&mut options, host::build_id(&format!("{self:?}"), ""));
        options
    }

    fn options(&self, step: &str) -> ActivityOptions {
        let policy = RetryPolicy::builder()
            .initial_interval(self.initial_interval)
            .maximum_interval(self.maximum_interval)
            .maximum_attempts(self.maximum_attempts)
            .non_retryable_error_types(self.non_retryable.iter().copied())
            .build();
        let mut options = ActivityOptions::with_start_to_close_timeout(self.start_to_close)
            .activity_id(step.to_owned())
            .retry_policy(policy)
            .build();
        options.heartbeat_timeout = self.heartbeat_timeout;
        let queue = self.queues.iter().find(|(of, _)| *of == step);
        options.task_queue = queue.map(|(_, queue)| (*queue).to_owned());
        options
    }
}

/// The first part of a Workflow Id in a drill.
fn drill_of(workflow_id: &str) -> &str {
    workflow_id.split('.').next().unwrap_or_default()
}

/// A transfer, run by the code that its drill has in place.
#[workflow]
pub(crate) struct AnyWorkflow {
    drill: String,
    code: Code,
    input: TransferRequest,
}

#[workflow_methods]
impl AnyWorkflow {
    #[init]
    fn new(ctx: &WorkflowContextView, input: RawValue) -> Self {
        let drill = drill_of(ctx.workflow_id()).to_owned();
        let code = in_place()[&drill].0.clone();
        Self { drill, code, input: request(&input) }
    }

    #[run(name = "MoneyTransferWorkflow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<TransferResult> {
        let code = ctx.state(|this| this.code.clone());
        let mut transfer = ctx.state(|this| this.input.validate()).map_err(refused)?;
        let asked = transfer.clone();
        ctx.upsert_search_attributes([
            FROM_ACCOUNT.value_set(transfer.from_account.clone()),
            TO_ACCOUNT.value_set(transfer.to_account.clone()),
        ]);

        let mut read = BTreeMap::new();
        for step in code.balances.steps(&transfer) {
            let account =
                if step == step::CHECK_BALANCE_FROM { &transfer.from_account } else { &transfer.to_account };
            if code.skips.contains(&step) {
                read.insert(step, Money::from_dollars(1));
                continue;
            }
            let account = account.clone();
            if Self::is_done(ctx, step, &mut transfer).await? {
                return Ok(result(asked, &read));
            }
            let balance = Self::read(ctx, step, account).await;
            read.insert(
                step,
                if code.swallows.contains(&step) { balance.unwrap_or_default() } else { balance? },
            );
        }
        let confirms = match code.confirms {
            Confirms::Never => false,
            Confirms::Always => true,
            Confirms::Patched(patch) => ctx.patched(patch),
            Confirms::Deprecated(patch) => {
                ctx.deprecate_patch(patch);
                true
            }
        };
        if confirms {
            Self::read(ctx, "confirm_balance", transfer.from_account.clone()).await?;
        }

        let steps = if code.deposits_first {
            [step::DEPOSIT, step::WITHDRAW]
        } else {
            [step::WITHDRAW, step::DEPOSIT]
        };
        loop {
            let mut moved = Ok(());
            for step in steps {
                if Self::is_done(ctx, step, &mut transfer).await? {
                    return Ok(result(asked, &read));
                }
                moved = Self::move_money(ctx, step, &transfer).await;
                if moved.is_err() {
                    break;
                }
            }
            let Err(failure) = moved else { return Ok(result(asked, &read)) };
            match code.on_failure {
                OnFailure::Complete => return Ok(result(asked, &read)),
                OnFailure::Fail => return Err(failed("the money could not be moved")),
                OnFailure::TryAgain(wait) if !is_non_retryable(&failure) => drop(ctx.timer(wait).await),
                OnFailure::Refund | OnFailure::TryAgain(_) => {
                    let movement = Movement { account_id: transfer.from_account, amount: transfer.amount };
                    let refund = ctx
                        .execute_activity(Activities::refund, movement, code.options(step::REFUND))
                        .await?;
                    if refund.delivered {
                        return Ok(result(asked, &read));
                    }
                    return Err(give_up(failure, refund.refunded));
                }
            }
        }
    }
}

impl AnyWorkflow {
    /// Does what transfers of this amount do before the step. Returns whether the transfer is done then.
    async fn is_done(
        ctx: &mut WorkflowContext<Self>,
        step: Step,
        transfer: &mut Transfer,
    ) -> Result<bool, WorkflowTermination> {
        let (drill, code) = ctx.state(|this| (this.drill.clone(), this.code.clone()));
        let cents = Money::from(transfer.amount).cents();
        let Some((_, _, does)) =
            code.special.as_ref().filter(|(amounts, before, _)| amounts.contains(&cents) && *before == step)
        else {
            return Ok(false);
        };
        match does {
            Does::Panic => panic!("{cents} cents"),
            Does::Fail => return Err(failed("this amount cannot be moved")),
            Does::Complete => return Ok(true),
            Does::Pause(pause) => drop(ctx.timer(*pause).await),
            Does::Wait => drop(ctx.timer(Duration::from_secs(1_000_000)).await),
            Does::Block => {
                // Also when other code is in place already: its worker waits for nobody.
                while in_place().get(&drill).is_some_and(|(in_place, leaves)| *in_place == code && !leaves) {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Does::Move(cents) => transfer.amount = Amount::from_cents(*cents).expect("an amount"),
        }
        Ok(false)
    }

    async fn read(
        ctx: &mut WorkflowContext<Self>,
        step: Step,
        account_id: String,
    ) -> Result<Money, ActivityExecutionError> {
        let options = ctx.state(|this| this.code.options(step));
        let question = BalanceQuestion { account_id };
        Ok(ctx.execute_activity(Activities::check_balance, question, options).await?.balance)
    }

    async fn move_money(
        ctx: &mut WorkflowContext<Self>,
        step: Step,
        transfer: &Transfer,
    ) -> Result<(), ActivityExecutionError> {
        let code = ctx.state(|this| this.code.clone());
        let again = format!("{step}_again");
        let times: &[&str] = match step {
            step if code.skips.contains(&step) => &[],
            step if code.twice.contains(&step) => &[step, &again],
            step => &[step],
        };
        for id in times {
            let Transfer { from_account, to_account, amount } = transfer.clone();
            let options = code.options(id);
            let moved = if step == step::WITHDRAW {
                let movement = Movement { account_id: from_account, amount };
                ctx.execute_activity(Activities::withdraw, movement, options).await
            } else {
                let movement = Movement { account_id: to_account, amount };
                ctx.execute_activity(Activities::deposit, movement, options).await
            };
            if !code.swallows.contains(&step) {
                moved?;
            }
        }
        Ok(())
    }
}

impl Balances {
    fn steps(self, transfer: &Transfer) -> [Step; 2] {
        let is_reversed = match self {
            Balances::FromFirst => false,
            Balances::ToFirst => true,
            Balances::ByName => transfer.to_account < transfer.from_account,
            // A new hasher has new keys.
            Balances::Random => random() % 2 == 1,
        };
        match is_reversed {
            false => [step::CHECK_BALANCE_FROM, step::CHECK_BALANCE_TO],
            true => [step::CHECK_BALANCE_TO, step::CHECK_BALANCE_FROM],
        }
    }
}

/// A number that is another one each time.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(())
}

fn result(transfer: Transfer, read: &BTreeMap<Step, Money>) -> TransferResult {
    let balance = |step| read.get(step).copied().unwrap_or(Money::from_dollars(1));
    TransferResult {
        success: true,
        from_account_starting_balance: balance(step::CHECK_BALANCE_FROM),
        to_account_starting_balance: balance(step::CHECK_BALANCE_TO),
        from_account: transfer.from_account,
        to_account: transfer.to_account,
        amount: transfer.amount,
    }
}

fn failed(message: &str) -> WorkflowTermination {
    ApplicationFailure::builder(message.to_owned()).non_retryable(true).build().into()
}

fn is_non_retryable(failure: &ActivityExecutionError) -> bool {
    let mut next = failure.failure();
    while let Some(failure) = next {
        if failure.maybe_application_failure().is_some_and(|info| info.non_retryable) {
            return true;
        }
        next = failure.cause.as_deref();
    }
    false
}

/// The Activities of a drill's code.
struct AnyActivities {
    bank: Bank,
    connections: Semaphore,
    code: Code,
}

impl AnyActivities {
    async fn connection(&self) -> SemaphorePermit<'_> {
        self.connections.acquire().await.expect("it is never closed")
    }

    /// What the bank answers, or its failure as this code has it.
    async fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, ActivityError>>,
    ) -> Result<T, ActivityError> {
        let answer = match self.code.request_timeout {
            None => asked.await,
            Some(timeout) => match tokio::time::timeout(timeout, asked).await {
                Ok(answer) => answer,
                Err(_) => return Err(ApplicationFailure::new("the bank takes too long").into()),
            },
        };
        answer.map_err(|error| self.code.finals.classify(error))
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        ctx: &ActivityContext,
        movement: &str,
        Movement { account_id, amount }: &Movement,
    ) -> Result<T, ActivityError> {
        let info = ctx.info();
        let run = info.workflow_run_id.clone().unwrap_or_default();
        let key = match self.code.key {
            Key::OfTheStep => return self.ask(self.bank.post(ctx, account_id, movement, *amount)).await,
            Key::OfTheRun => format!("{run}/{movement}"),
            Key::OfTheAttempt => format!("{run}/{movement}/{}", info.attempt),
            Key::Random => format!("{run}/{movement}/{:x}", random()),
        };
        self.ask(self.bank.post_with_key(&key, ctx, account_id, movement, *amount)).await
    }

    fn invents(&self, activity: &str) -> bool {
        self.code.invents.contains(&activity)
    }
}

impl Finals {
    fn classify(self, error: ActivityError) -> ActivityError {
        let ActivityError::Application(failure) = error else { return error };
        let kind = failure.type_name().unwrap_or_default().to_owned();
        let is_final = match self {
            Finals::Refusals => return ActivityError::Application(failure),
            Finals::All => true,
            Finals::None => false,
            Finals::Only(kinds) => kinds.contains(&kind.as_str()),
        };
        let failure = ApplicationFailure::builder(failure.to_string()).type_name(kind);
        failure.non_retryable(is_final).build().into()
    }
}

fn invented(Movement { account_id, amount }: Movement) -> MovementAnswer {
    let (previous_balance, new_balance) = (Money::from_dollars(1000), Money::from_dollars(1));
    MovementAnswer { account_id, previous_balance, new_balance, amount }
}

#[temporalio_macros::activities]
impl AnyActivities {
    #[activity(definition = transfer_kit::activities::CheckBalance)]
    async fn check_balance(
        self: Arc<Self>,
        _ctx: ActivityContext,
        BalanceQuestion { account_id }: BalanceQuestion,
    ) -> Result<BalanceAnswer, ActivityError> {
        if self.invents("check_balance") {
            return Ok(BalanceAnswer { account_id, balance: Money::from_dollars(1000) });
        }
        let _connection = self.connection().await;
        let account: Account = self.ask(self.bank.read(&account_id)).await?;
        Ok(BalanceAnswer { account_id: account.account_number, balance: account.balance })
    }

    #[activity(definition = transfer_kit::activities::Withdraw)]
    async fn withdraw(
        self: Arc<Self>,
        ctx: ActivityContext,
        movement: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        if self.invents("withdraw") {
            return Ok(invented(movement));
        }
        let _connection = self.connection().await;
        while self.code.waits_inside
            && self.ask(self.bank.read::<Account>(&movement.account_id)).await?.balance
                < movement.amount.into()
        {
            if self.code.heartbeats {
                ctx.record_heartbeat(()).await.map_err(ApplicationFailure::new)?;
            }
            tokio::select! {
                () = ctx.cancelled() => return Err(ApplicationFailure::new("the worker leaves").into()),
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
        let done: Withdrawn = self.post(&ctx, "withdraw", &movement).await?;
        Ok(MovementAnswer {
            account_id: done.account_number,
            previous_balance: done.previous_balance,
            new_balance: done.new_balance,
            amount: done.amount_withdrawn,
        })
    }

    #[activity(definition = transfer_kit::activities::Deposit)]
    async fn deposit(
        self: Arc<Self>,
        ctx: ActivityContext,
        movement: Movement,
    ) -> Result<MovementAnswer, ActivityError> {
        if self.invents("deposit") {
            return Ok(invented(movement));
        }
        let _connection = self.connection().await;
        let done: Deposited = self.post(&ctx, "deposit", &movement).await?;
        Ok(MovementAnswer {
            account_id: done.account_number,
            previous_balance: done.previous_balance,
            new_balance: done.new_balance,
            amount: done.amount_deposited,
        })
    }

    #[activity(definition = transfer_kit::activities::Refund)]
    async fn refund(
        self: Arc<Self>,
        ctx: ActivityContext,
        Movement { account_id, amount }: Movement,
    ) -> Result<RefundAnswer, ActivityError> {
        let _connection = self.connection().await;
        let done: Refunded = self.ask(self.bank.post(&ctx, &account_id, "refund", amount)).await?;
        Ok(RefundAnswer {
            account_id: done.account_number,
            refunded: done.amount_refunded,
            delivered: done.delivered,
        })
    }
}

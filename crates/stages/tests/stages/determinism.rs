//! Nothing nondeterministic is in the shipped Workflows: no clock, no chance, no input or output of their own.
//!
//! Two tests prove it together, as each sees what the other cannot. **By the source**: the code of a Workflow, and what
//! it calls of `contract` and `transfer-kit`, names nothing but what is on a list of what is the same at any time and
//! on any machine. In Rust a clock, a random number, a file, a socket or a thread has to be named by its path, so what
//! is not on the list cannot be reached; not even where no history goes. **By what it does**: what each version sends
//! along the saved histories is, byte for byte, what they hold, which was sent on another day by another process on
//! another machine. The SDK's replay compares which Activities are scheduled, and not what they are told.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures::{FutureExt as _, future::BoxFuture};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use temporalio_client::WorkflowHistory;
use temporalio_common::{
    WorkflowDefinition,
    data_converters::{
        DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
        RawValue, SerializationContextData,
    },
    protos::temporal::api::{
        common::v1::Payload,
        history::v1::{History, HistoryEvent, history_event::Attributes},
    },
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkflowContext, WorkflowResult,
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
    workflows::WorkflowImplementation,
};

use contract::{BalanceQuestion, step};
use stages::workflow::{added_step, fixed, jerry, limited, versioned};
use transfer_kit::{FROM_ACCOUNT, TO_ACCOUNT, activities::Activities, refused, replay::replay, request};

use crate::replay::{names, saved, versions_for};

/// What the code of a Workflow may name. A path that ends with `::` is for all that is in it.
///
/// `SystemTime` is what `ctx.workflow_time()` gives, which Temporal recorded; reading the clock by it is refused below.
const MAY_NAME: &[&str] = &[
    "contract::",
    "std::time::Duration",
    "std::time::SystemTime",
    "temporalio_common::RetryPolicy",
    "temporalio_common::data_converters::RawValue",
    "temporalio_macros::workflow",
    "temporalio_macros::workflow_methods",
    "temporalio_sdk::ActivityExecutionError",
    "temporalio_sdk::ActivityOptions",
    "temporalio_sdk::WorkflowCancellationToken",
    "temporalio_sdk::WorkflowContext",
    "temporalio_sdk::WorkflowContextView",
    "temporalio_sdk::WorkflowResult",
    "transfer_kit::FROM_ACCOUNT",
    "transfer_kit::TO_ACCOUNT",
    "transfer_kit::activities::Activities",
    "transfer_kit::give_up",
    "transfer_kit::refused",
    "transfer_kit::request",
];

/// What the code may name that a Workflow calls: names, JSON and money, and failures in Temporal's terms.
const CALLED_MAY_NAME: &[&str] = &[
    "contract::",
    "crate::Amount",
    "crate::Money",
    "crate::Refusal",
    "crate::RefusalKind",
    "i64::",
    "reqwest::Error",
    "serde::",
    "serde_json::",
    "std::error::Error",
    "std::fmt",
    "std::fmt::",
    "std::panic::Location",
    "std::str::FromStr",
    "temporalio_common::data_converters::PayloadConverter",
    "temporalio_common::data_converters::RawValue",
    "temporalio_common::error::ActivityExecutionError",
    "temporalio_common::error::ApplicationFailure",
    "temporalio_sdk::WorkflowTermination",
];

/// The macros that only compute. `println`, `include_str`, `env`, `thread_local` and the like are not among them.
const MAY_CALL: &[&str] = &["concat", "format", "matches", "vec", "write"];

/// Names of methods and functions that read a clock without its path: `SystemTime` is named for another reason.
const READS_A_CLOCK: &[&str] = &["elapsed", "now"];

/// Words that lead around the list of paths.
const LEADS_AROUND: &[&str] = &["asm", "extern", "macro_rules", "static", "unsafe"];

#[test]
fn no_workflow_names_a_clock_chance_or_the_world() {
    let source = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    for file in rust_files(&source("stages/src/workflow")) {
        assert_eq!(found_in(&file, MAY_NAME), Vec::<String>::new(), "{}", file.display());
    }
    // As a learner finds it. What a learner makes of it is the learner's, and `test --mine` replays it.
    let called = rust_files(&source("contract/src"));
    let kit = ["failure.rs", "input.rs"].map(|name| source("transfer-kit/src").join(name));
    for file in called.into_iter().chain(kit) {
        assert_eq!(found_in(&file, CALLED_MAY_NAME), Vec::<String>::new(), "{}", file.display());
    }
}

#[test]
fn what_is_not_the_same_at_every_replay_is_found_in_a_source() {
    for (planted, found) in [
        ("use std::time::Instant;", "std::time::Instant"),
        ("use std::{time::{Duration, Instant}};", "std::time::Instant"),
        ("fn f() { let at = std::time::SystemTime::now(); }", "now"),
        ("use std::time::SystemTime; fn f() { SystemTime::now(); }", "now"),
        ("use std::time::SystemTime as Then; fn f() { Then::now(); }", "now"),
        ("fn f(at: T) { let passed = at.elapsed(); }", "elapsed"),
        ("use std::time::SystemTime; fn f() { g(SystemTime::elapsed); }", "elapsed"),
        ("fn f() { let dice = rand::random::<u8>(); }", "rand::random"),
        ("fn f() { fastrand::u8(..); }", "fastrand::u8"),
        ("fn f() { uuid::Uuid::new_v4(); }", "uuid::Uuid::new_v4"),
        ("fn f() { std::env::var(\"HOME\"); }", "std::env::var"),
        ("use std as quiet; fn f() { quiet::env::var(\"HOME\"); }", "std"),
        ("use std::*;", "std::*"),
        ("fn f() { ::std::fs::read(\"x\"); }", "std::fs::read"),
        ("use std::net::TcpStream;", "std::net::TcpStream"),
        ("fn f() { std::process::id(); }", "std::process::id"),
        ("fn f() { std::thread::spawn(|| ()); }", "std::thread::spawn"),
        ("use std::collections::HashMap;", "std::collections::HashMap"),
        ("fn f() { tokio::time::sleep(d).await; }", "tokio::time::sleep"),
        ("fn f() { tokio::spawn(async {}); }", "tokio::spawn"),
        ("fn f() { tokio::select! { _ = a => {} } }", "tokio::select!"),
        ("fn f() { reqwest::get(url).await; }", "reqwest::get"),
        ("use transfer_kit::Bank;", "transfer_kit::Bank"),
        ("fn f() { transfer_kit::output::stdout_line(x); }", "transfer_kit::output::stdout_line"),
        ("fn f() { println!(\"seen\"); }", "println!"),
        ("fn f() { let day = include_str!(\"day\"); }", "include_str!"),
        ("fn f() { unsafe { time(p) } }", "unsafe"),
        ("extern crate rand;", "extern"),
        ("static SEEN: AtomicU8 = AtomicU8::new(0);", "static"),
    ] {
        let all = offences(&planted.parse().expect("Rust"), MAY_NAME);
        assert!(all.contains(&found.to_owned()), "{planted}: {all:?}");
    }
    let innocent = "use std::time::{Duration, SystemTime}; use contract::step; // rand::random()
        fn f() -> &'static str { let then = SystemTime::UNIX_EPOCH; let now = step::ALL.iter().map(String::as_str); g(now) }";
    assert_eq!(offences(&innocent.parse().expect("Rust"), MAY_NAME), Vec::<String>::new());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

/// What the file, but for its tests, names and may not.
fn found_in(file: &Path, may_name: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a source");
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    offences(&text.parse().expect("Rust"), may_name)
}

/// What these tokens name and may not.
fn offences(tokens: &TokenStream, may_name: &[&str]) -> Vec<String> {
    let mut names = Names::default();
    names.read(tokens);
    let is_allowed = |path: &String| {
        may_name.iter().any(|allowed| match allowed.ends_with("::") {
            true => path.starts_with(allowed),
            // A thing of the list, or something that it has.
            false => path == allowed || path.strip_prefix(allowed).is_some_and(|rest| rest.starts_with("::")),
        })
    };
    // A path begins with a crate, or with what the file itself makes or a `use` has named: a type, a module.
    let first = |path: &String| path.split("::").next().unwrap_or_default().to_owned();
    let is_own = |path: &String| names.modules.contains(&first(path)) || path.starts_with(char::is_uppercase);
    let is_local = |path: &String| {
        let first = first(path);
        first == "self" || names.used.contains(&first)
    };
    let may_be_used = |path: &String| is_own(path) || is_allowed(path);
    let mut found: Vec<String> = names.uses.iter().filter(|path| !may_be_used(path)).cloned().collect();
    found.extend(names.paths.iter().filter(|path| !is_local(path) && !may_be_used(path)).cloned());
    found.extend(names.others.clone());
    found
}

/// What a source names.
#[derive(Default)]
struct Names {
    /// The paths of its `use`s.
    uses: Vec<String>,
    /// What these are called in it.
    used: Vec<String>,
    /// The modules that it has.
    modules: Vec<String>,
    /// The other paths that it has.
    paths: Vec<String>,
    /// Macros, words and names that no Workflow may have.
    others: Vec<String>,
}

impl Names {
    fn read(&mut self, tokens: &TokenStream) {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) if word == "use" => {
                    let end =
                        (at..tokens.len()).find(|&end| is_punct(&tokens[end], ';')).unwrap_or(tokens.len());
                    self.read_use("", &tokens[at + 1..end]);
                    at = end;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    self.modules.extend(tokens.get(at + 1).map(ToString::to_string));
                    at += 1;
                }
                TokenTree::Ident(word) => {
                    let mut path = word.to_string();
                    // `'static` is a lifetime.
                    let is_lifetime = at > 0 && is_punct(&tokens[at - 1], '\'');
                    let is_method = at > 0 && is_punct(&tokens[at - 1], '.');
                    if !is_lifetime && LEADS_AROUND.contains(&path.as_str()) {
                        self.others.push(path.clone());
                    }
                    let mut last = path.clone();
                    while let Some(TokenTree::Ident(next)) = after_colons(&tokens, at + 1) {
                        at += 3;
                        path = format!("{path}::{next}");
                        last = next.to_string();
                    }
                    // Not a variable of that name.
                    if READS_A_CLOCK.contains(&last.as_str()) && (is_method || path != last) {
                        self.others.push(last);
                    }
                    let calls_macro = tokens.get(at + 1).is_some_and(|next| is_punct(next, '!'))
                        && matches!(tokens.get(at + 2), Some(TokenTree::Group(_)));
                    if calls_macro && !MAY_CALL.contains(&path.as_str()) {
                        self.others.push(format!("{path}!"));
                    } else if path.contains("::") && !is_method {
                        self.paths.push(path);
                    }
                }
                TokenTree::Group(group) => self.read(&group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }

    /// Takes a tree of `use` apart: `a::{b, c::d as e}` names `a::b` and `a::c::d`, of which the latter is `e` here.
    fn read_use(&mut self, before: &str, tokens: &[TokenTree]) {
        let mut path = before.to_owned();
        let mut called = None;
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    called = tokens.get(at + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                    for part in inside.split(|token| is_punct(token, ',')).filter(|part| !part.is_empty()) {
                        self.read_use(&path, part);
                    }
                    return;
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => path = join(&path, "*"),
                TokenTree::Ident(word) if word != "self" => path = join(&path, &word.to_string()),
                _ => {}
            }
        }
        self.used.extend(called.or_else(|| path.rsplit("::").next().map(str::to_owned)));
        self.uses.push(path);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}

fn is_punct(token: &TokenTree, expected: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == expected)
}

/// What comes after a `::` that is here.
fn after_colons(tokens: &[TokenTree], at: usize) -> Option<&TokenTree> {
    let colons = tokens.get(at..at + 2)?.iter().all(|token| is_punct(token, ':'));
    if colons { tokens.get(at + 2) } else { None }
}

/// A codec that changes nothing, and notes what the Workflow sends: what Activities are told, and the result.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<Payload>>>);

impl PayloadCodec for Noted {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        self.0.lock().expect("nobody panics with it").extend(payloads.iter().cloned());
        async move { Ok(payloads) }.boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        async move { Ok(payloads) }.boxed()
    }
}

/// What a Workflow sends along this history.
async fn sent_by<W>(events: Vec<HistoryEvent>) -> Vec<String>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let noted = Noted::default();
    let converter =
        DataConverter::new(PayloadConverter::default(), DefaultFailureConverter::default(), noted.clone());
    let mut options = WorkflowReplayerOptions::new().data_converter(converter).build();
    options.register_workflow::<W>().expect("its only Workflow");
    let replayer = WorkflowReplayer::new(options).expect("a replayer");
    replayer.replay_workflow(WorkflowHistory::from(History { events })).await.expect("it replays");
    let noted = noted.0.lock().expect("nobody panics with it");
    noted.iter().map(|payload| String::from_utf8_lossy(&payload.data).into_owned()).collect()
}

/// What a Workflow sent when this history was recorded.
fn sent_in(events: &[HistoryEvent]) -> Vec<String> {
    let payloads = events.iter().flat_map(|event| match event.attributes.clone() {
        Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => scheduled.input,
        Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => completed.result,
        _ => None,
    });
    payloads
        .flat_map(|payloads| payloads.payloads)
        .map(|payload| String::from_utf8_lossy(&payload.data).into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_workflow_sends_is_byte_for_byte_what_was_recorded() {
    for name in names() {
        let events = saved(name).await;
        let recorded = sent_in(&events);
        for version in versions_for(name) {
            let sent = match version {
                "added_step" => sent_by::<added_step::MoneyTransferWorkflow>(events.clone()).await,
                "fixed" => sent_by::<fixed::MoneyTransferWorkflow>(events.clone()).await,
                "jerry" => sent_by::<jerry::MoneyTransferWorkflow>(events.clone()).await,
                "limited" => sent_by::<limited::MoneyTransferWorkflow>(events.clone()).await,
                "versioned" => sent_by::<versioned::MoneyTransferWorkflow>(events.clone()).await,
                other => panic!("{other} is released, and not looked at"),
            };
            // A transfer that has not ended goes on from there, with what no history has yet.
            let has_ended = events.last().is_some_and(HistoryEvent::is_final_wf_execution_event);
            let most = if has_ended { sent.len() } else { sent.len().min(recorded.len()) };
            assert_eq!(sent[..most], recorded, "{version} with {name}");
        }
    }
}

/// A Workflow that tells its first Activity what time it is.
#[workflow]
#[derive(Default)]
pub(crate) struct TellsTheTime;

#[workflow_methods]
impl TellsTheTime {
    #[run(name = "MoneyTransferWorkflow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, input: RawValue) -> WorkflowResult<()> {
        let transfer = request(&input).validate().map_err(refused)?;
        ctx.upsert_search_attributes([
            FROM_ACCOUNT.value_set(transfer.from_account),
            TO_ACCOUNT.value_set(transfer.to_account),
        ]);
        let question = BalanceQuestion { account_id: format!("{:?}", SystemTime::now()) };
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(5))
            .activity_id(step::CHECK_BALANCE_FROM.to_owned())
            .build();
        ctx.execute_activity(Activities::check_balance, question, options).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_sends_the_time_is_found_where_a_replay_finds_nothing() {
    let events = saved("jerry/stuck-on-the-workflow-bug").await;
    assert_eq!(replay::<TellsTheTime>(events.clone()).await, Ok(()));
    let sent = sent_by::<TellsTheTime>(events.clone()).await;
    assert_ne!(sent[..1], sent_in(&events)[..1]);
}

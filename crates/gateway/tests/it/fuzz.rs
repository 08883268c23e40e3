//! Random and broken requests of a learner: the gateway handles each, and forwards only what the guard's rules allow.
//!
//! The test judges the forwarded messages by itself: it decodes them and looks at every field that names something.
//!
//! Each round has its own seed, and a failure prints it. `SEED` begins with that round; `FUZZ_SECONDS` repeats rounds for so long, from a
//! random seed on.

mod grpc;
mod http;
mod messages;
mod queries;
mod stand_in;

use std::{
    env,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fastrand::Rng;
use prost_reflect::{DynamicMessage, prost::Message as _};

use messages::{Counts, Generator, LEARNER, WORKFLOWS, foreign, method};

/// The rounds of a test: this many, or those of `FUZZ_SECONDS`.
struct Rounds {
    seeds: Box<dyn Iterator<Item = u64> + Send>,
    /// Whether they are known to reach everything. How many rounds fit into a time depends on the machine.
    are_all: bool,
    begin: Instant,
}

impl Rounds {
    fn of(count: usize) -> Rounds {
        let number = |name: &str| env::var(name).ok().map(|value| value.parse().expect("a number"));
        let (seed, seconds) = (number("SEED"), number("FUZZ_SECONDS"));
        Rounds::from(seed, count, seconds.map(Duration::from_secs))
    }

    fn from(seed: Option<u64>, count: usize, time: Option<Duration>) -> Rounds {
        let begin = Instant::now();
        let first = seed.unwrap_or_else(|| time.map_or(0, |_| u64::from(fastrand::u32(..))));
        let seeds = first..;
        Rounds {
            seeds: match time {
                Some(time) => Box::new(seeds.take_while(move |_| begin.elapsed() < time)),
                None => Box::new(seeds.take(count)),
            },
            are_all: seed.is_none() && time.is_none(),
            begin,
        }
    }

    /// Prints how often each thing happened.
    fn report(&self, counts: &Counts) {
        let rounds = counts.get("rounds").copied().unwrap_or_default();
        let time = self.begin.elapsed();
        println!(
            "{rounds} rounds in {time:.1?}, {:.0} per second: {counts:?}",
            rounds as f64 / time.as_secs_f64()
        );
    }
}

/// A round, which prints its seed if it fails.
struct Round(u64);

impl Round {
    /// Its generator. In every third round, all names are the learner's.
    fn generator(&self) -> Generator {
        let mut random = Rng::with_seed(self.0);
        let foreign = [0.0, 0.1, 0.5][random.usize(..3)];
        Generator { random, foreign, has_data: true }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this round again: SEED={}", self.0);
        }
    }
}

fn count(counts: &mut Counts, what: impl Into<String>) {
    *counts.entry(what.into()).or_default() += 1;
}

/// Whether a method is forwarded without a look at its message: it reads, or it has the token of a task.
fn is_unchecked(path: &str) -> bool {
    let Some((service, name)) = path.trim_start_matches('/').split_once('/') else { return false };
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    let is_narrowed =
        ["ListWorkflowExecutions", "CountWorkflowExecutions", "ScanWorkflowExecutions"].contains(&name);
    let reads = begins(&["Get", "List", "Describe", "Count", "Query"]) && !is_narrowed;
    let has_token = !name.ends_with("ById")
        && begins(&["Respond", "Record", "Shutdown", "ResetSticky", "PollWorkflowExecutionUpdate"]);
    match service {
        WORKFLOWS => reads || has_token,
        // Health and reflection.
        other if other.starts_with("grpc.") => true,
        other => other.starts_with("temporal.api.") && reads,
    }
}

/// Checks a forwarded message of a method that is checked: everything that it names is the learner's, and it names something.
fn check_names(path: &str, message: &Bytes) -> DynamicMessage {
    let name = path.trim_start_matches('/').strip_prefix(WORKFLOWS).and_then(|path| path.strip_prefix('/'));
    let method = method(name.unwrap_or_else(|| panic!("{path} was forwarded")));
    let message = DynamicMessage::decode(method.input(), message.clone()).expect("it was encoded again");
    let foreign = foreign(&message);
    assert!(foreign.is_empty(), "{path} was forwarded with {foreign:?}: {}", show(&message));
    let text = |field: &str| Some(message.get_field_by_name(field)?.as_str()?.to_owned());
    match text("visibility_query").or_else(|| text("query")) {
        Some(query) => {
            assert!(narrowed_from(&query).is_some(), "the query is not the learner's own: {query}");
            for field in ["executions", "target_executions"] {
                assert!(!message.has_field_by_name(field), "the batch also has {field}: {}", show(&message));
            }
        }
        None => {
            let owned = [
                "workflow_id",
                "workflow_execution",
                "execution",
                "task_queue",
                "deployment_name",
                "deployment_version",
            ];
            assert!(
                owned.iter().any(|field| message.has_field_by_name(field)),
                "{path} names nothing: {}",
                show(&message)
            );
        }
    }
    message
}

/// The message, as it is once it was sent: a field with its default value is not.
fn normal(message: &DynamicMessage) -> DynamicMessage {
    use prost_reflect::ReflectMessage as _;

    DynamicMessage::decode(message.descriptor(), &message.encode_to_vec()[..]).expect("a message")
}

/// A message for a person. Its `Debug` would print the whole API.
fn show(message: &DynamicMessage) -> String {
    serde_json::to_string(message).unwrap_or_else(|error| format!("{error}: {:?}", message.encode_to_vec()))
}

/// The learner's own query in a narrowed one, without spaces; none if more than the learner's Workflows could match it.
///
/// It reads the query like the service: the parenthesis around the conditions must end at their end.
fn narrowed_from(query: &str) -> Option<String> {
    let own = format!("TaskQueue=\"{}\"", contract::task_queue(Some(LEARNER)));
    let rest = query.strip_prefix(&own)?;
    let (conditions, tail) = match rest.strip_prefix(" AND (") {
        None => ("", rest),
        Some(conditions) => {
            let end = end_of_group(conditions)?;
            (&conditions[..end], &conditions[end + 1..])
        }
    };
    let tail_words = tail.to_ascii_lowercase();
    let mut words = tail_words.split_ascii_whitespace();
    let is_sorting = matches!(words.next(), Some("group" | "order")) && words.next() == Some("by");
    (tail.is_empty() || is_sorting && tail.starts_with(' '))
        .then(|| without_spaces(&format!("{conditions}{tail}")))
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The position of the parenthesis that closes this group. A comment or an open string may hide it.
fn end_of_group(text: &str) -> Option<usize> {
    let mut open = 1;
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        let rest = &text.as_bytes()[at..];
        match byte {
            b'(' => open += 1,
            b')' => open -= 1,
            b'\'' | b'"' | b'`' => {
                let mut end = 1;
                while *rest.get(end)? != byte {
                    end += if byte != b'`' && rest[end] == b'\\' { 2 } else { 1 };
                }
                at += end;
            }
            b'#' => at += text[at..].find('\n')?,
            _ if rest.starts_with(b"--") || rest.starts_with(b"//") => at += text[at..].find('\n')?,
            _ if rest.starts_with(b"/*") => at += text[at..].find("*/")? + 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Slow tests: `cargo xtask test --slow`.
mod slow {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test(flavor = "multi_thread")]
    async fn any_grpc_requests_from_a_random_seed() {
        grpc::fuzz(Rounds::from(None, 0, Some(TIME))).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn any_http_requests_from_a_random_seed() {
        http::fuzz(Rounds::from(None, 0, Some(TIME))).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn any_queries_from_a_random_seed() {
        queries::fuzz(Rounds::from(None, 0, Some(TIME))).await;
    }
}

//! Requests to a running supervisor: one line of JSON each way, over loopback.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lab_client::{
    state::State,
    supervisor::{BEAT, BuildState, Supervisor, versions},
};
use serde_json::{Value, json};

use crate::entry_plan::Choice;
use terminal::stderrln;

/// No request is longer.
const LONGEST: u64 = 64 * 1024;

/// How often a build is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long we wait for a service that is being started.
const RESTARTED_WITHIN: Duration = Duration::from_secs(15);
/// A wait that takes longer is said.
const SAID_AFTER: Duration = Duration::from_secs(2);

/// A request to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What is running.
    Status,
    /// Stop everything. The supervisor answers by ending.
    Stop,
    /// Restart this service, or all, and answer when ready.
    Restart(Option<String>),
    /// Build, restart the worker, and answer when it is ready.
    Rebuild,
    /// Build, and run the worker as one more version of the Worker Deployment, or over the version with this number. Answers
    /// `{"version": 3}` when its worker polls. The first one replaces the worker without a version; [`Request::Rebuild`] goes back to that one.
    DeployVersion(Option<u32>),
    /// End the worker of the version with this number.
    Retire(u32),
    /// Deploy edits when they are saved, or not. The answer says whether one is not deployed yet.
    Watch(bool),
    /// Stop everything, empty the databases and start again.
    Empty,
    /// Enter a stage as `cargo xtask stage` does, for the page.
    Enter {
        /// Its name.
        stage: String,
        /// What becomes of the learner's code, and of transfers that are left over.
        choice: Choice,
    },
    /// What entering a stage would replace, and which stuck transfers it would leave, for the page.
    Question(String),
    /// How a saved edit differs from the code in place, for the page.
    Compare(String),
    /// Bring a saved edit back as `cargo xtask stage restore` does, for the page.
    Restore(String),
    /// Ask the instructor for help with this text, or remove the question, for the page.
    Help(Option<String>),
    /// Show one more hint of the current stage, for the page.
    Hint,
    /// End the drill, for the page: finish it if its incident is resolved, or give up. Answers `{"ended": false, "report": …}`.
    EndDrill {
        /// Whether the learner gives up.
        gives_up: bool,
    },
    /// Run the transfer without Temporal, for the page.
    WithoutTemporal,
}

impl Request {
    fn to_json(&self) -> Value {
        match self {
            Request::Status => json!({ "request": "status" }),
            Request::Stop => json!({ "request": "stop" }),
            Request::Restart(service) => json!({ "request": "restart", "service": service }),
            Request::Rebuild => json!({ "request": "rebuild" }),
            Request::DeployVersion(over) => json!({ "request": "deploy-version", "over": over }),
            Request::Retire(version) => json!({ "request": "retire", "version": version }),
            Request::Watch(on) => json!({ "request": "watch", "on": on }),
            Request::Empty => json!({ "request": "empty" }),
            Request::Enter { stage, choice } => {
                let Choice { keep, clean, seed } = choice;
                json!({ "request": "enter", "stage": stage, "keep": keep, "clean": clean, "seed": seed })
            }
            Request::Question(stage) => json!({ "request": "question", "stage": stage }),
            Request::Compare(id) => json!({ "request": "compare", "id": id }),
            Request::Restore(id) => json!({ "request": "restore", "id": id }),
            Request::Help(text) => json!({ "request": "help", "text": text }),
            Request::Hint => json!({ "request": "hint" }),
            Request::EndDrill { gives_up } => json!({ "request": "end-drill", "gives_up": gives_up }),
            Request::WithoutTemporal => json!({ "request": "without-temporal" }),
        }
    }

    fn from_json(value: &Value) -> Option<Request> {
        Some(match value["request"].as_str()? {
            "status" => Request::Status,
            "stop" => Request::Stop,
            "restart" => Request::Restart(value["service"].as_str().map(str::to_owned)),
            "rebuild" => Request::Rebuild,
            "deploy-version" => Request::DeployVersion(number(&value["over"])),
            "retire" => Request::Retire(number(&value["version"])?),
            "watch" => Request::Watch(value["on"].as_bool()?),
            "empty" => Request::Empty,
            "enter" => Request::Enter {
                stage: value["stage"].as_str()?.to_owned(),
                choice: Choice {
                    keep: value["keep"] == true,
                    clean: value["clean"] == true,
                    seed: value["seed"].as_u64().unwrap_or_default(),
                },
            },
            "question" => Request::Question(value["stage"].as_str()?.to_owned()),
            "compare" => Request::Compare(value["id"].as_str()?.to_owned()),
            "restore" => Request::Restore(value["id"].as_str()?.to_owned()),
            "help" => Request::Help(value["text"].as_str().map(str::to_owned)),
            "hint" => Request::Hint,
            "end-drill" => Request::EndDrill { gives_up: value["gives_up"].as_bool()? },
            "without-temporal" => Request::WithoutTemporal,
            _ => return None,
        })
    }
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

/// Where an answer goes: a JSON object, or why there is none.
pub type Reply = Sender<Result<Value, String>>;

/// Asks the supervisor and waits for its answer for as long as it works on it.
///
/// # Errors
/// It is stopped or silent, or it refuses.
pub fn ask(state: &State, request: &Request) -> Result<Value> {
    Supervisor::of_state(state).exchange(request.to_json())
}

/// Checks that the supervisor, if there is one, is not stopped. To be called before anything is changed that it must build or restart.
///
/// # Errors
/// It is stopped; the error says how to continue it.
pub fn require_running(state: Option<&State>) -> Result<()> {
    let Some(state) = state else { return Ok(()) };
    Supervisor::of_state(state).check().context("nothing was changed")
}

/// Waits for the build of an edit that was just saved, and says first what happens when it finishes: the learner expects the new code.
/// Then waits for services that were killed a moment ago, as [`wait_for_services`] does.
pub fn wait_for_build(state: &State, then: &str) {
    let is = |what: fn(&Value) -> bool| ask(state, &Request::Status).is_ok_and(|status| what(&status));
    // A version is deployed by a command, which waits itself.
    let is_being_built = |status: &Value| {
        versions(status).is_empty() && BuildState::of_saved(status) == Some(BuildState::Building)
    };
    if is(is_being_built) {
        stderrln!("the lab is building the worker; {then} when that build finishes");
        while is(is_being_built) {
            thread::sleep(POLL_INTERVAL);
        }
    }
    wait_for_services(state);
}

/// Waits until no service is being started or restarted: one that was killed is back within seconds, and what asks it before that would
/// fail. The old worker must not take what is meant for the new one. A service that does not start is no reason to wait for ever.
pub fn wait_for_services(state: &State) {
    let begin = Instant::now();
    let mut is_said = false;
    while let Some(name) = ask(state, &Request::Status).ok().as_ref().and_then(restarting) {
        if begin.elapsed() > RESTARTED_WITHIN {
            return;
        }
        if !is_said && begin.elapsed() > SAID_AFTER {
            stderrln!("waiting until {name} has started");
            is_said = true;
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// A service that is being started, other than after it failed several times in a row.
fn restarting(status: &Value) -> Option<String> {
    let mut services = status["services"].as_array().into_iter().flatten();
    let service = services.find(|service| {
        ["starting", "restarting"].iter().any(|state| service["state"] == *state)
            && !service["failing"].is_object()
    })?;
    Some(service["name"].as_str()?.to_owned())
}

/// What answers requests, at once or later; each is handled on a thread of its own.
pub trait Handle: Fn(Request, Reply) + Clone + Send + 'static {}

impl<F: Fn(Request, Reply) + Clone + Send + 'static> Handle for F {}

/// A client that does not send its request, or does not read its response, within this time is disconnected.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// The number of clients served at a time; more wait. A lab has a few.
const CLIENTS: usize = 64;

/// Accepts requests, each on a thread of its own; `handle` answers them.
pub fn serve(listener: TcpListener, token: String, handle: impl Handle) {
    let clients = Arc::new(Clients::default());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let place = Clients::wait_for_place(&clients);
            let (token, handle) = (token.clone(), handle.clone());
            thread::spawn(move || {
                // A client that goes away needs no answer.
                drop(answer(stream, &token, &handle));
                drop(place);
            });
        }
    });
}

/// The clients that are being answered.
#[derive(Default)]
struct Clients {
    number: Mutex<usize>,
    has_left: Condvar,
}

impl Clients {
    /// Counts one more client, until what is returned is dropped, as soon as there is a place.
    fn wait_for_place(clients: &Arc<Clients>) -> Place {
        let number = clients.number.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |number: &mut usize| *number >= CLIENTS;
        let mut number = clients.has_left.wait_while(number, is_full).unwrap_or_else(PoisonError::into_inner);
        *number += 1;
        Place(Arc::clone(clients))
    }
}

/// The place of a client.
struct Place(Arc<Clients>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.number.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.has_left.notify_one();
    }
}

fn answer(mut stream: TcpStream, token: &str, handle: &impl Handle) -> std::io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut line = Vec::new();
    BufReader::new((&stream).take(LONGEST)).read_until(b'\n', &mut line)?;
    let message: Value = serde_json::from_slice(&line).unwrap_or_default();
    let reply = if !message.is_object() {
        Err(format!("a request is one line of JSON in UTF-8, of at most {LONGEST} bytes"))
    } else if !message["token"].as_str().is_some_and(|given| is_same(given, token)) {
        Err("the token is wrong".to_owned())
    } else if let Some(request) = Request::from_json(&message) {
        let (sender, receiver) = mpsc::channel();
        let handle = handle.clone();
        // It may take its time, and the client must hear meanwhile that somebody works on it.
        thread::spawn(move || handle(request, sender));
        loop {
            match receiver.recv_timeout(BEAT) {
                Ok(reply) => break reply,
                Err(RecvTimeoutError::Disconnected) => break Err("the lab is stopping".to_owned()),
                Err(RecvTimeoutError::Timeout) => writeln!(stream)?,
            }
        }
    } else {
        Err("no such request".to_owned())
    };
    writeln!(stream, "{}", reply.unwrap_or_else(|error| json!({ "error": error })))
}

/// Whether they are equal, compared in constant time.
fn is_same(given: &str, token: &str) -> bool {
    let difference = given.bytes().zip(token.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == token.len() && difference == 0
}

/// So many random bytes in hex, from the system, so that nobody can guess them.
pub fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("could not read /dev/urandom")?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ports::Ports, process::Identity};

    /// The state of a lab whose supervisor listens here.
    fn state_of(listener: &TcpListener) -> State {
        State {
            supervisor: Identity { pid: 2, started: String::new() },
            control_port: listener.local_addr().expect("it is bound").port(),
            token: "right".to_owned(),
            ready: true,
            ports: Ports::default(),
            remote_service: None,
            public_hosts: Default::default(),
            services: Vec::new(),
        }
    }

    #[test]
    fn a_service_that_starts_is_waited_for_and_one_that_fails_again_and_again_is_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let state = state_of(&listener);
        let states = ["restarting", "starting", "starting", "running"];
        let asked = std::sync::Arc::new(std::sync::Mutex::new(0));
        let times = std::sync::Arc::clone(&asked);
        serve(listener, "right".to_owned(), move |_, reply| {
            let mut times = times.lock().expect("nobody panics");
            let failing = json!({ "name": "worker", "state": "restarting", "failing": { "in_a_row": 4 } });
            let starting = json!({ "name": "temporal", "state": states[*times], "failing": null });
            *times += 1;
            let _ = reply.send(Ok(json!({ "services": [failing, starting] })));
        });
        wait_for_services(&state);
        assert_eq!(*asked.lock().expect("nobody panics"), states.len());
    }

    #[test]
    fn a_request_without_the_token_is_refused() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let mut state = state_of(&listener);
        serve(listener, "right".to_owned(), |request, reply| {
            let _ = reply.send(Ok(json!({ "seen": request.to_json() })));
        });
        let request = Request::Restart(Some("worker".to_owned()));
        let answer = ask(&state, &request).expect("the token is right");
        assert_eq!(Request::from_json(&answer["seen"]), Some(request));
        for wrong in ["", "r", "righ", "righT", "rightright"] {
            state.token = wrong.to_owned();
            let refused = ask(&state, &Request::Stop).expect_err(wrong).to_string();
            assert!(refused.contains("the token is wrong"), "{wrong}: {refused}");
        }
    }

    #[test]
    fn silent_clients_are_disconnected_and_the_next_client_gets_a_response() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let state = state_of(&listener);
        let address = listener.local_addr().expect("it is bound");
        serve(listener, "right".to_owned(), |_, reply| drop(reply.send(Ok(json!({ "done": true })))));
        let begin = Instant::now();
        let crowd: Vec<_> = (0..CLIENTS + 10).map(|_| TcpStream::connect(address)).collect();
        assert!(crowd.iter().all(Result::is_ok), "those without a place wait in the system's queue");
        assert_eq!(ask(&state, &Request::Status).expect("it is answered")["done"], true);
        assert!(begin.elapsed() >= CLIENT_TIMEOUT, "there was no place before");
    }

    #[test]
    fn a_client_hears_of_a_request_that_takes_long() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (go, gone) = mpsc::channel::<()>();
        let gone = std::sync::Arc::new(std::sync::Mutex::new(gone));
        serve(listener, "right".to_owned(), move |_, reply| {
            let _ = gone.lock().expect("nobody panics").recv();
            let _ = reply.send(Ok(json!({ "done": true })));
        });
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        client.write_all(b"{\"token\":\"right\",\"request\":\"empty\"}\n").expect("it reads");
        let mut lines = BufReader::new(client).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some(""), "nothing is done yet");
        drop(go);
        assert_eq!(lines.find(|line| !line.is_empty()).as_deref(), Some("{\"done\":true}"));
    }

    #[test]
    fn a_stage_is_entered_with_the_shipped_code_and_what_is_left_over_unless_a_request_says_otherwise() {
        let choice = |request: Value| match Request::from_json(&request) {
            Some(Request::Enter { choice, .. }) => choice,
            other => panic!("{other:?}"),
        };
        assert_eq!(choice(json!({ "request": "enter", "stage": "jerry" })), Choice::default());
        let kept =
            Request::Enter { stage: "jerry".to_owned(), choice: Choice { keep: true, clean: true, seed: 7 } };
        assert_eq!(choice(kept.to_json()), Choice { keep: true, clean: true, seed: 7 });
    }

    #[test]
    fn what_a_web_page_can_send_is_no_request() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (let_in, requests) = mpsc::channel();
        serve(listener, "right".to_owned(), move |request, _| {
            let_in.send(request).expect("it is waited for")
        });
        // Even with the token, which no page knows: a browser's first line is never JSON.
        for line in ["POST / HTTP/1.1", "GET /{\"token\":\"right\",\"request\":\"stop\"} HTTP/1.1"] {
            let mut page = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
            let body = r#"{"token":"right","request":"stop"}"#;
            let sent = format!("{line}\r\nHost: 127.0.0.1\r\n\r\n{body}\n");
            let mut answer = String::new();
            // It hangs up after the first line, which may cut off what else is sent, and its answer with it.
            let _ = page.write_all(sent.as_bytes()).and_then(|()| page.read_to_string(&mut answer));
            assert!(answer.is_empty() || answer.contains("a request is one line of JSON"), "{answer}");
            assert_eq!(requests.try_recv().ok(), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_no_json_in_utf_8_is_answered_with_what_is() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        serve(listener, "right".to_owned(), |_, _| panic!("it is no request"));
        let request = br#"{"token":"right","request":"stop","note":"#;
        for rest in [&b"\"\xff\"}\n"[..], b"\n", b"[]}}\n", b"1e999}\n"] {
            let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
            client.write_all(&[request, rest].concat()).expect("it reads");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("it answers");
            assert!(answer.contains("a request is one line of JSON in UTF-8"), "{rest:?}: {answer}");
        }
    }
}

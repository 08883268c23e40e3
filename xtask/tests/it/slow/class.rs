//! A class: its server and its board.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use lab_client::{
    Endpoints,
    class::{self, Help, Report},
    temporal::{Run, Server},
};
use serde_json::{Value, json};

use crate::support::{Checkout, eventually, send_signal, temporal_cli};

/// A class served from a checkout.
struct Class {
    process: Child,
    checkout: Checkout,
}

impl Class {
    /// A checkout that can serve a class.
    fn checkout(name: &str) -> Checkout {
        let mut checkout = Checkout::without_server(name);
        checkout.temporal_cli = Some(temporal_cli());
        checkout
    }

    /// Serves a class, and waits until it is open.
    fn serve(name: &str) -> Class {
        let checkout = Class::checkout(name);
        Class { process: Class::spawn(&checkout), checkout }
    }

    fn spawn(checkout: &Checkout) -> Child {
        let [port, ui_port, ..] = checkout.ports.map(|port| port.to_string());
        let mut command = checkout.xtask(&[
            "class",
            "serve",
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--ui-port",
            &ui_port,
        ]);
        let file = File::create(checkout.path("class.txt")).expect("it can be made");
        command.stderr(file.try_clone().expect("it is open")).stdout(file);
        let process = command.spawn().expect("the program is there");
        eventually("the class is open", || said(checkout).contains("Ctrl-C ends the class"));
        process
    }

    /// Sends it a signal, and waits until it has ended.
    fn end(&mut self, signal: &str) {
        send_signal(self.process.id(), signal);
        self.process.wait().expect("it is this test's own");
    }

    fn serve_again(&mut self) {
        self.process = Class::spawn(&self.checkout);
    }

    /// The endpoints of its HTTP API.
    fn http(&self) -> String {
        let served: Value =
            serde_json::from_slice(&self.checkout.read(".lab/class/served.json")).expect("it is JSON");
        format!("http://127.0.0.1:{}", served["http_port"])
    }

    fn server(&self) -> Server {
        Server::new(&Endpoints::own(&self.http(), "", ""))
    }

    /// Sends a report, and retries because the service rejects a second report within a second.
    fn report(&self, report: &Report) {
        eventually("the report is taken", || {
            class::send(&self.server(), report).expect("it answers").is_some()
        });
    }

    /// The rows of the board.
    fn rows(&self) -> Vec<Value> {
        let board = self.checkout.run(&["class", "board", "--json"]).json();
        board["learners"].as_array().expect("it is a list").clone()
    }

    /// The processes with its port.
    fn left(&self) -> Vec<String> {
        let output = Command::new("ps").args(["-A", "-o", "args="]).output().expect("ps is there");
        let flag = format!("--port {} ", self.checkout.ports[0]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| line.contains(&flag)).map(str::to_owned).collect()
    }

    fn is_free(&self) -> bool {
        let [port, ui_port, ..] = self.checkout.ports;
        [port, ui_port].iter().all(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end("TERM");
        }
    }
}

fn said(checkout: &Checkout) -> String {
    fs::read_to_string(checkout.path("class.txt")).unwrap_or_default()
}

fn report(learner: &str, stage: &str) -> Report {
    let time = lab_client::time::rfc3339_exact(lab_client::time::now());
    Report { learner: learner.to_owned(), stage: stage.to_owned(), time, ..Report::default() }
}

fn asking(report: Report, text: &str) -> Report {
    Report { help: Help::new(text, &report.time), ..report }
}

#[test]
fn a_class_says_how_to_join_and_leaves_nothing_after_any_signal() {
    let mut class = Class::serve("class-ends");
    let [port, ui_port, ..] = class.checkout.ports;
    let said = said(&class.checkout);
    let line = format!(
        "  cargo xtask lab start --address 127.0.0.1:{port} --learner YOUR-NAME --ui http://127.0.0.1:{ui_port}\n"
    );
    assert!(said.contains(&line) && said.contains("cargo xtask class board --watch"), "{said}");
    assert!(!said.contains("warning"), "{said}");
    assert!(!class.left().is_empty());

    let second = class.checkout.run(&["class", "serve", "--bind", "127.0.0.1"]).fails_with(1);
    assert!(second.contains(&format!("already serves a class, at 127.0.0.1:{port}")), "{second}");

    for signal in ["TERM", "INT", "HUP"] {
        class.end(signal);
        assert_eq!(class.left(), Vec::<String>::new(), "after {signal}");
        assert!(class.is_free(), "after {signal}");
        assert!(!class.checkout.path(".lab/class/served.json").exists(), "after {signal}");
        class.serve_again();
    }
    class.end("KILL");
    eventually("nothing is left after KILL", || class.left().is_empty() && class.is_free());
    let none = class.checkout.run(&["class", "board"]).fails_with(1);
    assert!(none.contains("cargo xtask class serve --bind ADDRESS"), "{none}");
}

#[test]
fn a_class_that_was_killed_can_be_served_again_at_once() {
    let mut class = Class::serve("class-again");
    class.end("KILL");
    class.serve_again();
    assert_eq!(class.rows(), Vec::<Value>::new());
}

#[test]
fn an_invalid_address_and_a_port_in_use_are_explained() {
    let checkout = Class::checkout("class-address");
    let said = checkout.run(&["class", "serve", "--bind", "192.168.0"]).fails_with(2);
    assert!(said.contains("is not an IP address"), "{said}");
    let held = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = held.local_addr().expect("it is bound").port().to_string();
    let said = checkout.run(&["class", "serve", "--bind", "127.0.0.1", "--port", &port]).fails_with(1);
    assert!(said.contains(&format!("(pid {})", std::process::id())) && said.contains("--port"), "{said}");
}

#[test]
fn the_board_shows_questions_first_and_the_newest_reports_and_survives_a_restart() {
    let mut class = Class::serve("class-board");
    class.report(&report("ada", "jerry"));
    class.report(&asking(report("bob", "jerry"), "where is it?"));
    eventually("both are on the board", || class.rows().len() == 2);
    let rows = class.rows();
    assert_eq!((&rows[0]["learner"], &rows[0]["help"]["text"]), (&json!("bob"), &json!("where is it?")));
    let table = class.checkout.run(&["class", "board"]).ok();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].ends_with("2 learners, 1 asks for help"), "{table}");
    assert!(lines[1].starts_with("HELP bob, for ") && lines[1].ends_with(": where is it?"), "{table}");
    assert!(lines[2].starts_with("  bob  jerry  0/0") && lines[3].starts_with("  ada  jerry"), "{table}");

    let results = class.checkout.run(&["class", "report", "--csv", "results.csv", "--json"]).json();
    assert_eq!(results["learners"][1]["learner"], "bob");
    assert!(class.checkout.path("results.csv").exists(), "it is in the current folder");
    let refused = class.checkout.run(&["class", "report", "--csv", "results.csv"]).fails_with(1);
    assert!(refused.contains("--force"), "{refused}");

    class.report(&report("bob", "fix-workflow"));
    eventually("the newer report is on the board", || {
        // One of them is always listed.
        let rows = class.rows();
        assert_eq!(rows.len(), 2, "{rows:?}");
        rows[1]["learner"] == "bob" && rows[1]["stage"] == "fix-workflow" && rows[1]["help"].is_null()
    });
    let last = class::last(&class.server(), "bob").expect("it answers").expect("there is one");
    assert_eq!(last.report.stage, "fix-workflow");
    assert_eq!(class::last(&class.server(), "eve").expect("it answers"), None);

    class.end("TERM");
    class.serve_again();
    let stages: Vec<Value> = class.rows().iter().map(|row| row["stage"].clone()).collect();
    assert_eq!(stages, ["jerry", "fix-workflow"]);
}

#[test]
fn closed_workflows_do_not_make_the_board_larger_or_slower() {
    let class = Class::serve("class-cost");
    let server = class.server();
    class.report(&report("ada", "jerry"));
    let counted = Counted::of(&class.http());
    let by_way = Server::new(&Endpoints::own(&counted.url, "", ""));
    eventually("ada is on the board", || class::board(&by_way).expect("it answers").rows.len() == 1);
    let cost = || {
        let before = counted.now();
        let board = class::board(&by_way).expect("it answers");
        let after = counted.now();
        (board.rows.len(), after.0 - before.0, after.1 - before.1)
    };
    let (_, requests, bytes) = cost();
    assert_eq!(requests, 1);

    let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": "1" });
    thread::scope(|scope| {
        for part in 0..4 {
            let (server, input) = (&server, &input);
            scope.spawn(move || {
                for number in 0..125 {
                    let run = server
                        .start_transfer(&format!("transfer-{part}-{number}"), input)
                        .expect("it is started");
                    assert!(server.terminate(&run, "done").expect("it is ended"));
                }
            });
        }
    });
    for number in 0..100 {
        let old = report(&format!("old-{number}"), "jerry");
        let run_id = class::send(&server, &old).expect("it answers").expect("it is the first");
        let run = Run { workflow_id: class::workflow_id(&old.learner), run_id };
        assert!(server.terminate(&run, "gone home").expect("it is ended"));
    }
    eventually("those who have left have gone", || cost().0 == 1);
    let (_, requests_after, bytes_after) = cost();
    assert_eq!(requests_after, requests);
    // Fractions of seconds vary in length.
    assert!(bytes_after.abs_diff(bytes) < 100, "{bytes} bytes, and then {bytes_after}");
}

#[test]
fn a_lab_outside_a_class_is_told_how_to_join_one() {
    let checkout = Checkout::with_stand_in_server("help-me");
    let down = checkout.run(&["help-me", "where", "is it?"]).fails_with(1);
    assert!(down.contains("cargo xtask lab start"), "{down}");
    checkout.start();
    let alone = checkout.run(&["help-me", "where is it?"]).fails_with(1);
    assert!(alone.contains("has not joined a class") && alone.contains("--learner YOUR-NAME"), "{alone}");
    assert!(!checkout.path(".lab/help.json").exists());
    checkout.run(&["help-me"]).fails_with(2);
    checkout.run(&["help-me", " "]).fails_with(2);
    checkout.run(&["help-me", "--done", "x"]).fails_with(2);
    checkout.run(&["lab", "stop"]).ok();
}

/// A proxy for an HTTP API that counts requests and the bytes of responses.
struct Counted {
    url: String,
    counts: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Counted {
    fn of(http: &str) -> Counted {
        let to = http.strip_prefix("http://").expect("it is a URL").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let counting = Arc::clone(&counts);
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let lines = BufReader::new(&client).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let is_kept = |line: &&String| {
                    let line = line.to_ascii_lowercase();
                    !line.starts_with("host:") && !line.starts_with("connection:")
                };
                let kept: Vec<String> = head.iter().filter(is_kept).cloned().collect();
                // It accepts only its own Host.
                let head = format!("{}\r\nHost: {to}\r\nConnection: close\r\n\r\n", kept.join("\r\n"));
                let mut server = TcpStream::connect(&to).expect("it listens");
                server.write_all(head.as_bytes()).expect("it reads");
                let mut answer = Vec::new();
                server.read_to_end(&mut answer).expect("it answers");
                counting.0.fetch_add(1, Ordering::SeqCst);
                counting.1.fetch_add(answer.len(), Ordering::SeqCst);
                client.write_all(&answer).expect("it reads");
            }
        });
        Counted { url, counts }
    }

    /// Requests and bytes so far.
    fn now(&self) -> (usize, usize) {
        (self.counts.0.load(Ordering::SeqCst), self.counts.1.load(Ordering::SeqCst))
    }
}

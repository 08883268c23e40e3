//! The program: its start, its end, and what a `kill -9` leaves.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};

use rusqlite::Connection;
use serde_json::{Value, json};
use webtest::SlowClients;

use crate::ledger_file::assert_ledger_adds_up;
use crate::support::{Client, until};

/// The idempotency keys of some deposits.
type Keys = Mutex<HashSet<String>>;

/// A running account-api, which ends with the test at the latest.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) client: Client,
}

pub(crate) fn account_api() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_account-api"));
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end.
fn output(arguments: &[&str]) -> Output {
    account_api().args(arguments).output().expect("the program")
}

impl Program {
    pub(crate) fn start(db: &Path) -> Program {
        let mut command = account_api();
        command.args(["--port", "0", "--db"]).arg(db);
        Program::run(command).expect("it starts")
    }

    /// Starts it from a shell that has run this line.
    #[cfg(unix)]
    fn start_in_shell(db: &Path, line: &str) -> Program {
        let mut command = Command::new("sh");
        let script = format!("{line} && exec \"$0\" --port 0 --db \"$1\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_account-api")]).arg(db).stdin(Stdio::null());
        Program::run(command).expect("it starts")
    }

    /// Starts it as this command has it, or gives what it complained of.
    pub(crate) fn run(mut command: Command) -> Result<Program, String> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let Some(url) = line.trim_end().strip_prefix("account-api listens on ") else {
            let output = child.wait_with_output().expect("its output");
            assert_eq!(output.status.code(), Some(1));
            return Err(String::from_utf8(output.stderr).expect("a sentence"));
        };
        Ok(Program { child, client: Client::new(url) })
    }

    fn address(&self) -> &str {
        self.client.url.strip_prefix("http://").expect("a plain URL")
    }

    /// Asks it to end, as a supervisor does.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
    }

    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        until("the program ends", async || self.child.try_wait().expect("a child").is_some()).await;
        self.child.wait().expect("a child").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn after_a_kill_every_answered_deposit_is_there_once_and_the_ledger_adds_up() {
    const CLIENTS: usize = 8;
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let mut sent = HashSet::new();
    let mut answered = HashSet::new();
    for round in 1..=3 {
        let mut program = Program::start(&db);
        let (now_sent, now_answered) = (Keys::default(), Keys::default());
        let deposits = |client: usize| {
            let (program, sent, answered) = (program.client.clone(), &now_sent, &now_answered);
            async move {
                for number in 0.. {
                    let key = format!("{round}-{client}-{number}");
                    lock(sent).insert(key.clone());
                    match program.deposit("account_B", 0.01).key(&key).try_send().await {
                        Ok(answer) => assert_eq!(answer.status, 200),
                        Err(_) => return,
                    }
                    lock(answered).insert(key);
                }
            }
        };
        let stream = futures::future::join_all((0..CLIENTS).map(deposits));
        let kill = async {
            until("deposits flow", async || lock(&now_answered).len() >= 100).await;
            program.child.kill().expect("a child");
        };
        tokio::join!(stream, kill);
        program.child.wait().expect("a child");
        sent.extend(now_sent.into_inner().expect("no panic"));
        answered.extend(now_answered.into_inner().expect("no panic"));

        let connection = Connection::open(&db).expect("a database");
        let mut statement = connection
            .prepare("SELECT idempotency_key FROM entries WHERE kind = 'deposit'")
            .expect("the table");
        let entered: Vec<String> =
            statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("rows");
        let entered_once: HashSet<String> = entered.iter().cloned().collect();
        assert_eq!(entered.len(), entered_once.len());
        assert!(answered.is_subset(&entered_once));
        assert!(entered_once.is_subset(&sent));
        assert_ledger_adds_up(&db);
    }

    // Who got no answer asks again; in the end, each deposit was made once.
    let program = Program::start(&db);
    for key in &sent {
        let ask = program.client.deposit("account_B", 0.01).key(key);
        assert_eq!(ask.send().await.status, 200);
    }
    assert_eq!(program.client.total_cents().await, 795_000 + sent.len() as i64);
    assert_ledger_adds_up(&db);
}

#[tokio::test]
async fn what_is_switched_on_is_noted_and_ends_with_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let (db, file) = (folder.path().join("bank.db"), folder.path().join("faults.json"));
    let start = || {
        let mut command = account_api();
        command.args(["--port", "0", "--db"]).arg(&db).arg("--faults-file").arg(&file);
        Program::run(command).expect("it starts")
    };
    let noted = || serde_json::from_slice::<Value>(&fs::read(&file).expect("it is noted")).expect("JSON");
    let mut program = start();
    assert!(!file.exists());
    let outage = program.client.put("/outage", json!({ "deposits": true })).await.json;
    let mode = program.client.put("/real-world-mode", json!({ "enabled": true })).await.json;
    assert_eq!(noted(), json!({ "real_world_mode": mode, "outage": outage }));
    program.client.put("/real-world-mode", json!({ "enabled": false })).await;
    assert_eq!(noted()["real_world_mode"]["enabled"], false);

    program.child.kill().expect("a child");
    program.child.wait().expect("a child");
    assert_eq!(noted()["outage"]["deposits"], true, "whoever starts the next one can say what ended");
    let program = start();
    assert!(!file.exists());
    assert_eq!(program.client.get("/outage").await.json["deposits"], false);
    program.client.put("/outage", json!({ "withdrawals": true })).await;
    assert!(file.exists());
    program.client.ask("POST", "/reset").json(json!({})).send().await;
    assert!(!file.exists());
}

#[tokio::test]
async fn a_name_that_means_no_file_to_sqlite_is_a_files_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [":memory:", "file:bank.db?mode=memory", "file:bank.db"] {
        for balance in [501.0, 502.0] {
            let mut command = account_api();
            command.args(["--port", "0", "--db", name]).current_dir(folder.path());
            let mut program = Program::run(command).expect("it starts");
            assert_eq!(program.client.deposit("account_B", 1.0).send().await.status, 200);
            program.child.kill().and_then(|()| program.child.wait().map(drop)).expect("it is ours");
            assert!(folder.path().join(name).is_file(), "{name}");
            assert_ledger_adds_up(&folder.path().join(name));
            assert_eq!(program_balance(folder.path(), name), balance, "{name}");
        }
    }
}

/// What account_B holds in this ledger, in dollars.
fn program_balance(folder: &Path, name: &str) -> f64 {
    let connection = Connection::open(folder.join(name)).expect("a database");
    let cents: i64 = connection
        .query_one("SELECT balance_cents FROM accounts WHERE number = 'account_B'", [], |row| row.get(0))
        .expect("the table");
    cents as f64 / 100.0
}

fn lock(keys: &Keys) -> MutexGuard<'_, HashSet<String>> {
    keys.lock().expect("no panic")
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_it_with_a_zero_and_leaves_one_file() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let db = folder.path().join("bank.db");
        let mut program = Program::start(&db);
        assert_eq!(program.client.deposit("account_B", 1.0).key("key").send().await.status, 200);
        let address = program.address().to_owned();

        program.signal(signal);
        assert_eq!(program.exit_code().await, Some(0), "{signal}");
        // Another test's connection may have it for a moment.
        until("the port is free again", async || TcpListener::bind(&address).is_ok()).await;
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        assert_ledger_adds_up(&db);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_cuts_time_outs_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = Program::start(&folder.path().join("bank.db"));
    let client = program.client.clone();
    let mode = json!({
        "enabled": true,
        "timeout_rate": 1,
        "error_rate": 0,
        "timeout_seconds": 300,
        "strikes": "after",
    });
    assert_eq!(client.put("/real-world-mode", mode).await.status, 200);
    let sleeping = client.deposit("account_B", 1.0).send();
    let end = async {
        // Its change shows, so it sleeps.
        until("the change is made", async || client.balance("account_B").await == 501.0).await;
        program.signal("TERM");
        program.exit_code().await
    };
    let (answer, code) = tokio::join!(sleeping, end);
    assert_eq!((answer.status, code), (504, Some(0)));
}

#[cfg(unix)]
#[tokio::test]
async fn a_client_that_never_finishes_its_request_does_not_keep_it_from_ending() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = Program::start(&folder.path().join("bank.db"));
    let mut headers = TcpStream::connect(program.address()).expect("a connection");
    write!(headers, "GET /health HTTP/1.1\r\nHost: local").expect("a connection");
    let mut body = TcpStream::connect(program.address()).expect("a connection");
    let head = "POST /accounts/account_B/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99";
    write!(body, "{head}\r\n\r\n{{").expect("a connection");
    // By its answer, both have been read from.
    assert_eq!(program.client.get("/health").await.status, 200);
    program.signal("TERM");
    assert_eq!(program.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(&folder.path().join("bank.db"));
    let address = program.address().to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head = "PUT /outage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99";
        write!(stream, "{head}\r\n\r\n{{").expect("a connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let answer = answer.await.expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#"{"error":"the body took longer than 10 seconds"}"#), "{answer}");
}

#[tokio::test]
async fn the_ready_file_has_the_url_once_it_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let ready = folder.path().join("ready");
    let mut command = account_api();
    command.args(["--port", "0", "--db"]).arg(folder.path().join("bank.db"));
    command.arg("--ready-file").arg(&ready).stdout(Stdio::null());
    let child = command.spawn().expect("the program");
    let mut program = Program { child, client: Client::new("http://127.0.0.1:0") };
    until("it is ready", async || ready.exists()).await;
    program.client = Client::new(&fs::read_to_string(&ready).expect("a URL"));
    assert_eq!(program.client.get("/health").await.status, 200);
}

#[tokio::test]
async fn nobody_reading_its_output_does_not_stop_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let ready = folder.path().join("ready");
    let mut command = account_api();
    command.args(["--port", "0", "--db"]).arg(folder.path().join("bank.db"));
    command.arg("--ready-file").arg(&ready).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    drop((child.stdout.take(), child.stderr.take()));
    let mut program = Program { child, client: Client::new("http://127.0.0.1:0") };
    until("it is ready", async || ready.exists()).await;
    program.client = Client::new(&fs::read_to_string(&ready).expect("a URL"));
    assert_eq!(program.client.get("/health").await.status, 200);
}

#[test]
fn a_port_in_use_is_named_with_the_flag_and_makes_no_books() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let output = output(&["--port", &port, "--db", &db.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(&format!("port {port}")) && error.contains("--port"), "{error}");
    assert!(!db.exists());
}

#[test]
fn a_file_that_is_no_ledger_ends_it_with_a_sentence() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "notes".repeat(1000)).expect("a file");
    let output = output(&["--port", "0", "--db", &file.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("not a database") && error.contains("--db"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn wrong_usage_is_a_two_and_help_a_zero() {
    for arguments in [&["--prot", "1"][..], &["--port", "70000"], &["--db"], &["extra"]] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    let output = output(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Example:"));
}

#[cfg(unix)]
#[tokio::test]
async fn an_address_that_others_can_reach_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let mut command = account_api();
    command.args(["--host", "0.0.0.0", "--port", "0", "--db"]).arg(&db);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let mut warning = String::new();
    let stderr = child.stderr.take().expect("its errors");
    BufReader::new(stderr).read_line(&mut warning).expect("a line");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let port = line.trim_end().rsplit_once(':').expect("a port").1;
    let client = Client::new(&format!("http://127.0.0.1:{port}"));
    let program = Program { child, client };

    assert!(warning.starts_with("warning: anyone who can reach 0.0.0.0"), "{warning}");
    // Whoever asked for this may call the machine by any name; a foreign page still may not.
    let ask = program.client.ask("GET", "/accounts").header("Host", "lab.example.com");
    assert_eq!(ask.send().await.status, 200);
    let ask = program.client.ask("GET", "/accounts").header("Origin", "https://example.com");
    assert_eq!(ask.send().await.status, 403);
}

/// How many files it has open, where the system tells.
#[cfg(target_os = "linux")]
fn open_files(program: &Program) -> usize {
    fs::read_dir(format!("/proc/{}/fd", program.child.id())).expect("it is alive").count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn neither_a_thousand_clients_nor_hundreds_of_slow_ones_take_it_down() {
    loopback::allow_files();
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let program = Program::start(&db);
    let address = program.address().parse().expect("an address");
    assert_eq!(program.client.total_cents().await, 795_000);
    let before = open_files(&program);

    let heads = SlowClients::start(address, 200, "GET /accounts HTTP/1.1\r\nHost: localhost\r\nX: ");
    let begin =
        "POST /accounts/account_A/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{\"";
    let bodies = SlowClients::start(address, 200, begin);
    // The slow ones have 400 of the 1024 connections.
    let body = "{\"amount\": 0.01}";
    let head = format!("HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let deposit = format!("POST /accounts/account_A/deposit {head}{body}");
    for answer in webtest::ask_at_once(address, &vec![deposit.clone(); 600]) {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    assert!(heads.let_go().1.is_empty());
    assert!(bodies.let_go().1.iter().all(|answer| answer.status == 408));

    for answer in webtest::ask_at_once(address, &vec![deposit; 1000]) {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    assert_eq!(program.client.total_cents().await, 795_000 + 1600);
    until("every connection is closed", async || open_files(&program) <= before).await;
    assert_ledger_adds_up(&db);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn it_makes_do_with_the_open_files_that_the_system_allows() {
    loopback::allow_files();
    for (limit, at_once) in [("-Sn 64", 1000), ("-n 64", 20)] {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::start_in_shell(&folder.path().join("bank.db"), &format!("ulimit {limit}"));
        let address = program.address().parse().expect("an address");
        // Those that find no room wait until others have their answers and hang up.
        let mut connections: Vec<_> = (0..1000).map(|_| webtest::Connection::to(address)).collect();
        let request = "GET /entries HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        connections.iter_mut().for_each(|connection| connection.send(request));
        for connection in &mut connections {
            assert_eq!(connection.answer().expect("an answer").status, 200, "{limit}");
        }
        // With so many open, the ledger can still be written.
        let mut held: Vec<_> = (0..at_once).map(|_| webtest::Connection::to(address)).collect();
        for connection in &mut held {
            connection.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(connection.answer().expect("an answer").status, 200, "{limit}");
        }
        assert_eq!(program.client.deposit("account_A", 1.0).send().await.status, 200, "{limit}");
    }
}

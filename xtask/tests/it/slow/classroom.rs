//! A class with real parts: a server for the room, a learner's lab with its gateway, and a question on the board's page.

use std::{
    env, fs,
    fs::File,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    Outcome, all_listeners, eventually, free_port, outcome, passes_in_own_network, program, send_signal,
    temporal_cli,
};

/// The variable with the address of the class, if it is not on loopback.
const BOUND: &str = "BUGLAB_TEST_CLASS_ADDRESS";

/// The folders of the instructor's and the learner's lab, both of this checkout.
struct Room {
    folder: PathBuf,
    running: Vec<Child>,
}

impl Room {
    fn xtask(&self, lab: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(arguments));
        command.args(arguments).env("NO_COLOR", "1").env("BUGLAB_DIR", self.folder.join(lab));
        command.env("BUGLAB_TEMPORAL_CLI", temporal_cli().path()).stdin(Stdio::null());
        command
    }

    fn run(&self, lab: &str, arguments: &[&str]) -> Outcome {
        outcome(self.xtask(lab, arguments))
    }

    /// Starts a long-running command, and waits until it has printed this.
    fn begin(&mut self, arguments: &[&str], until: &str) -> String {
        let said = self.folder.join(format!("{}.txt", arguments[1]));
        let file = File::create(&said).expect("it can be made");
        let mut command = self.xtask("instructor", arguments);
        command.stderr(file.try_clone().expect("it is open")).stdout(file);
        self.running.push(command.spawn().expect("the program is there"));
        let read = || fs::read_to_string(&said).unwrap_or_default();
        eventually(&format!("{arguments:?} says {until:?}"), || read().contains(until));
        read()
    }

    /// Ends the last started command.
    fn end(&mut self) {
        if let Some(mut command) = self.running.pop() {
            send_signal(command.id(), "TERM");
            command.wait().expect("it is this test's own");
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.run("ada", &["lab", "stop"]);
        self.run("bob", &["lab", "stop"]);
        while !self.running.is_empty() {
            self.end();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_learners_question_is_on_the_boards_page_until_it_is_answered() {
    let folder = env::temp_dir().join(format!("xtask-it-classroom-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("temporary files can be written");
    let mut room = Room { folder, running: Vec::new() };
    let ports: [String; 7] = std::array::from_fn(|_| free_port().to_string());
    let [port, ui, server, account_api, page, lab_ui, board] = ports.each_ref().map(String::as_str);
    let bound = env::var(BOUND).unwrap_or_else(|_| "127.0.0.1".to_owned());
    let said = room.begin(
        &["class", "serve", "--bind", &bound, "--port", port, "--ui-port", ui],
        "Ctrl-C ends the class",
    );
    let warning = format!(
        "warning: everyone who can reach {bound}, ports {port} and {ui}, can read, start and terminate"
    );
    assert_eq!(said.contains(&warning), bound != "127.0.0.1", "{said}");
    if bound != "127.0.0.1" {
        // In the test's own network, only these two ports of the server are open to the room.
        let open = all_listeners(std::process::id()).into_iter().map(|(_, at)| at);
        let mut open: Vec<_> = open.filter(|at| !at.ip().is_loopback()).map(|at| at.to_string()).collect();
        open.sort_unstable();
        let mut meant = [port, ui].map(|port| format!("{bound}:{port}"));
        meant.sort_unstable();
        assert_eq!(open, meant);
    }
    let address = format!("{bound}:{port}");
    assert!(said.contains(&format!("cargo xtask lab start --address {address} --learner")), "{said}");
    let start = ["lab", "start", "--detach", "--no-watch", "--address", &address, "--learner", "ada"];
    let own = ["--temporal-port", server, "--account-api-port", account_api];
    let own = own.into_iter().chain(["--page-port", page, "--ui-port", lab_ui]);
    let started = room.run("ada", &start.into_iter().chain(own).collect::<Vec<_>>()).ok();
    assert!(started.contains("is retried every 2 s here"), "{started}");
    // Plain `temporal` in the learner's terminal goes through the gateway, and not to the class's server.
    let lines = room.run("ada", &["lab", "env"]).ok();
    assert!(lines.contains(&format!("export TEMPORAL_ADDRESS='127.0.0.1:{server}';")), "{lines}");
    let said = room.run("ada", &["help-me", "where is <b>it</b>?"]).ok();
    assert!(said.contains("on the board, as ada: where is <b>it</b>?"), "{said}");

    tells_the_class(&room, &address);
    let said = room.begin(&["class", "board", "--page", "--page-port", board], "http://");
    let url = format!("http://127.0.0.1:{board}");
    assert!(said.contains(&url), "{said}");
    let html = minreq::get(format!("{url}/")).send().expect("it answers");
    let is_policy = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-security-policy");
    let (_, policy) = html.headers.iter().find(is_policy).expect("it has one");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    for file in ["board.js", "board.css"] {
        let found = minreq::get(format!("{url}/{file}")).send().expect("it answers");
        assert!(found.status_code == 200 && html.as_str().expect("it is text").contains(file), "{file}");
    }
    // A page whose name was made to point here (DNS rebinding), and another page of this machine.
    let page = url["http://".len()..].parse().expect("it is an address");
    for (headers, refused) in [
        (vec![("Host", "evil.example")], 421),
        (vec![("Host", &url["http://".len()..]), ("Origin", "http://127.0.0.1:1")], 403),
    ] {
        let answer = webtest::ask(page, "GET /board.json", &headers, "");
        assert_eq!(answer.status, refused, "{headers:?}");
    }
    let ada = || -> Value {
        let answer = minreq::get(format!("{url}/board.json")).send().expect("it answers");
        let board: Value = serde_json::from_slice(answer.as_bytes()).expect("it is JSON");
        let learners = board["learners"].as_array().expect("a list");
        learners.iter().find(|row| row["learner"] == "ada").expect("ada is on the board").clone()
    };
    let row = ada();
    assert_eq!((&row["learner"], &row["help"]["text"]), (&json!("ada"), &json!("where is <b>it</b>?")));
    assert_eq!((&row["presence"], &row["of"]), (&json!("here"), &json!(lab::STAGES[0].goals.len())));

    // A stuck transfer appears on the board; this one is stuck with any code, because withdrawals are down.
    room.run("ada", &["outage", "withdrawals", "down"]).ok();
    room.run("ada", &["transfer", "account_A", "account_B", "25.50", "--workflow-id", "stuck-here"]).ok();
    let on = |row: &Value| {
        row["stuck"]["workflow_id"].as_str().is_some_and(|id| id.ends_with("stuck-here"))
            && row["stuck"]["for_s"].is_u64()
            && row["stuck"]["failure"].as_str().is_some_and(|failure| !failure.is_empty())
    };
    eventually("the page tells on what ada's transfer is stuck", || on(&ada()));
    let rows = room.run("elsewhere", &["class", "board", "--address", &address]).ok();
    assert!(rows.contains("stuck for ") && rows.contains("stuck-here"), "{rows}");

    // The command line shows the same through its own gateway.
    let rows = room.run("elsewhere", &["class", "board", "--address", &address, "--json"]).json();
    assert_eq!(rows["learners"][0]["help"]["text"], row["help"]["text"]);

    room.run("ada", &["help-me", "--done"]).ok();
    eventually("the question is off the page", || ada()["help"].is_null());
    room.run("ada", &["lab", "stop"]).ok();
    eventually("the page tells that the lab has stopped", || ada()["presence"] == "stopped");
    room.end();
    assert!(minreq::get(&url).send().is_err(), "the page is left");
}

/// The instructor tells two learners something, of whom one has failed to join at first, and answers a question.
fn tells_the_class(room: &Room, address: &str) {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let taken = taken.local_addr().map(|at| (taken, at.port().to_string())).expect("it is bound");
    let ports: [String; 5] = std::array::from_fn(|_| free_port().to_string());
    let [server, account_api, page, lab_ui, _] = ports.each_ref().map(String::as_str);
    let with_ports = |page: &str, more: &[&str]| {
        let flags = [
            "--temporal-port",
            server,
            "--account-api-port",
            account_api,
            "--page-port",
            page,
            "--ui-port",
            lab_ui,
        ];
        let words = ["lab", "start", "--detach", "--no-watch"].iter().chain(&flags).chain(more);
        room.run("bob", &words.copied().collect::<Vec<_>>())
    };
    let said = with_ports(&taken.1, &["--address", address, "--learner", "bob"]).fails_with(1);
    assert!(said.contains(&taken.1), "{said}");
    // A plain start goes to the class all the same.
    let joined = with_ports(page, &[]);
    let said = format!("trying the Temporal Service at {address}, as bob again");
    assert!(joined.stderr.contains(&said) && joined.stderr.contains("--own-server"), "{joined:#?}");
    joined.ok();

    let class = |lab: &str| room.run(lab, &["lab", "status", "--json"]).json()["class"].clone();
    assert_eq!((&class("bob")["learner"], &class("bob")["open"]), (&json!("bob"), &Value::Null));
    room.run("instructor", &["class", "announce", "a break", "until 11:00"]).ok();
    room.run("instructor", &["class", "open", "fix-workflow"]).ok();
    let notices = room.run("instructor", &["class", "coming", "ada", "--json"]).json();
    assert_eq!(notices["announcement"]["text"], "a break until 11:00", "{notices}");
    let none = room.run("instructor", &["class", "coming", "bob"]).fails_with(1);
    assert!(none.contains("bob has not asked for help"), "{none}");
    for lab in ["ada", "bob"] {
        eventually(&format!("{lab} hears it"), || {
            let class = class(lab);
            class["announcement"]["text"] == "a break until 11:00" && class["open"]["number"] == 2
        });
    }
    eventually("ada sees that the instructor is coming", || class("ada")["help"]["coming"] == true);
    let said = room.run("ada", &["lab", "status"]).ok();
    assert!(
        said.starts_with("from your instructor: a break until 11:00\nyour instructor is coming;"),
        "{said}"
    );
    room.run("instructor", &["class", "drill", "7"]).ok();
    eventually("bob is told of the drill", || class("bob")["drill"]["seed"] == 7);
    let said = room.run("bob", &["lab", "status"]).ok();
    assert!(
        said.contains("your instructor started a drill; to begin it: cargo xtask drill --seed 7"),
        "{said}"
    );
    assert!(!said.contains(lab::incident_of(7).stage.name), "{said}");
    room.run("instructor", &["class", "drill", "--off"]).ok();
    eventually("bob is told of no drill", || class("bob")["drill"].is_null());
    let closed = room.run("bob", &["stage", "fix-activity", "--bare"]).fails_with(1);
    assert!(
        closed.contains("stage 3 is not open yet") && closed.contains("stage fix-activity --ahead"),
        "{closed}"
    );

    room.run("instructor", &["class", "announce", "--clear"]).ok();
    room.run("instructor", &["class", "open", "--all"]).ok();
    eventually("all is open again", || {
        let class = class("bob");
        class["announcement"].is_null() && class["open"].is_null()
    });
    room.run("bob", &["lab", "stop"]).ok();
}

/// The same class at an address other than loopback, in a separate network.
#[test]
fn a_class_is_served_off_loopback_with_a_warning() {
    let test = "slow::classroom::a_learners_question_is_on_the_boards_page_until_it_is_answered";
    passes_in_own_network("ip address add 192.0.2.7/32 dev lo", test, &[(BOUND, "192.0.2.7")]);
}

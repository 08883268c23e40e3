//! A network link as between a classroom and a remote service: slow, lossy, narrow, and at times down.
//!
//! Each test runs itself again in a separate network namespace, with a second one for the server. A pair of veth devices links the
//! two, and `tc` degrades the link.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{TestBank, temporal_cli, until};
use webtest::{has, skip};

use crate::support::{Program, Start, balances, completed, start_transfer, worker};

/// The server's address, in the test's own network.
const SERVER: &str = "10.9.0.2:7233";
const NAMESPACE: &str = "elsewhere";
/// The latency in each direction.
const ONE_WAY: Duration = Duration::from_millis(150);
/// One in this many packets is lost.
const LOST: u32 = 50;
/// The amount of a transfer, in cents.
const MOVED: i64 = 2_550;

/// Runs an ignored test of this module in a separate network namespace. Skips it if that is not possible.
fn in_a_network_namespace(test: &str) {
    if !has(&["unshare", "nsenter", "ip", "tc"]) {
        return;
    }
    // ip and tc may be in folders that are not on PATH.
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let own = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.env("PATH", &path);
        // All its processes end with it.
        command.args(["--net", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(arguments);
        command.output()
    };
    let pair = ["ip", "link", "add", "near", "type", "veth", "peer", "name", "far"];
    match own(&pair) {
        Ok(output) if output.status.success() => {}
        other => {
            skip(&format!(
                "a link needs Linux, veth, and permission to create a network namespace: {other:?}"
            ));
            return;
        }
    }
    let this = env::current_exe().expect("a test has an executable");
    let this = this.to_str().expect("cargo's paths are text");
    let output = own(&[this, "--exact", &format!("slow::link::{test}"), "--ignored", "--nocapture"]);
    let output = output.expect("it ran before");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

/// Runs a program, which must succeed.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it can be run");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server behind a link. Removed when dropped.
struct Far {
    /// The process that holds the server's namespace.
    holder: Child,
    server: Option<Child>,
    folder: TempDir,
}

impl Far {
    /// Creates the link and starts a server behind it.
    async fn start() -> Far {
        let holder =
            Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn().expect("it can be run");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut far = Far { holder, server: None, folder };
        let id = far.holder.id().to_string();
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).expect("it runs");
        until("the network behind the link", || {
            let is_there = network(&id) != network("self");
            async move { if is_there { Ok(()) } else { Err("it is still this one") } }
        })
        .await;
        let near = |arguments: &str| run("ip", &arguments.split(' ').collect::<Vec<_>>());
        near("link set lo up");
        near(&format!("link add near type veth peer name far netns {id}"));
        near("addr add 10.9.0.1/30 dev near");
        near("link set near up");
        far.run("ip link set lo up");
        far.run("ip addr add 10.9.0.2/30 dev far");
        far.run("ip link set far up");
        let log = fs::File::create(far.folder.path().join("log")).expect("a log file");
        let mut command = far.command();
        let server = dev_server::DevServer { port: 7233, http_port: 7243, ..Default::default() };
        let cli = temporal_cli();
        command.arg(cli.path()).args(server.arguments(&cli));
        // On all addresses, of which this network has two: otherwise its services would not find each other on loopback.
        // If a flag is repeated, the last one counts.
        command.args(["--ip", "0.0.0.0"]);
        dev_server::forget_cli_settings(&mut command);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        far.server = Some(command.spawn().expect("it can be run"));
        until("the server", || async { TcpStream::connect(SERVER).map(drop) }).await;
        far
    }

    /// A program on the other side.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holder.id().to_string()]);
        command
    }

    /// Runs a program on the other side, which must succeed.
    fn run(&self, words: &str) {
        let output = self.command().args(words.split(' ')).output().expect("it can be run");
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Applies a queueing discipline, such as `tbf rate 64kbit …`, to both ends of the link. Returns whether the kernel has it.
    fn treat(&self, way: &str) -> bool {
        let order = |end: &str| format!("tc qdisc replace dev {end} root {way}");
        let near = order("near");
        let near: Vec<&str> = near.split(' ').collect();
        let near = Command::new(near[0]).args(&near[1..]).output().expect("it can be run");
        let far = self.command().args(order("far").split(' ')).output().expect("it can be run");
        near.status.success() && far.status.success()
    }

    /// Drops everything in both directions.
    fn swallow(&self) {
        assert!(self.treat("pfifo limit 0"), "every kernel with tc has this");
    }

    /// Drops only responses: the server handles requests, but its responses are lost.
    fn swallow_answers(&self) {
        self.run("tc qdisc replace dev far root pfifo limit 0");
    }

    /// Restores the link.
    fn heal(&self) {
        assert!(self.treat("pfifo limit 1000"), "every kernel with tc has this");
    }

    /// Makes the link slow and lossy. Returns the server's address over it.
    fn slow_down(&self) -> String {
        let loss = 100.0 / f64::from(LOST);
        if self.treat(&format!("netem delay {}ms loss {loss}%", ONE_WAY.as_millis())) {
            return SERVER.to_owned();
        }
        println!("this kernel has no netem; a proxy in the test simulates delay and loss");
        delaying_relay()
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        for child in self.server.iter_mut().chain([&mut self.holder]) {
            // It may have exited already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A slow proxy to the server, for a kernel without netem. Returns its address. It ends with the test.
fn delaying_relay() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one").to_string();
    thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.expect("a connection"), TcpStream::connect(SERVER).expect("it listens"));
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (from, to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                thread::spawn(move || pass_on_late(from, to));
            }
        }
    });
    address
}

/// Forwards data with a delay. A lost part and everything after it is delayed further, as by TCP's retransmission.
fn pass_on_late(mut from: TcpStream, mut to: TcpStream) {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (due, part) in receive {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&part).is_err() {
                break;
            }
        }
        // A closed side closes both.
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let mut buffer = [0; 1400];
    let mut count = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count += 1;
        let again = if count % LOST == 0 { 3 * ONE_WAY } else { Duration::ZERO };
        if send.send((Instant::now() + ONE_WAY + again, buffer[..length].to_vec())).is_err() {
            break;
        }
    }
}

/// A gateway to the server behind the link.
async fn gateway(address: &str) -> Program {
    Program::start(Start { flags: &["--address", address, "--namespace", NAMESPACE], ..Start::default() })
        .await
}

/// Waits until `GET /link` matches, and returns it.
async fn link(gateway: &Program, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(what, || async {
        let (_, link) = gateway.get("/link").await;
        if is_it(&link) { Ok(link) } else { Err(link) }
    })
    .await
}

/// The two balances after this amount has been moved.
fn after(moved: i64) -> [i64; 2] {
    [100_000 - moved, 50_000 + moved]
}

fn answers(link: &Value) -> bool {
    link["answers"] == true
}

#[test]
fn over_a_slow_and_lossy_link_each_transfer_completes_once() {
    in_a_network_namespace("slow_and_lossy");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a separate network namespace, in which the test above runs it"]
async fn slow_and_lossy() {
    let far = Far::start().await;
    let gateway = gateway(&far.slow_down()).await;
    let bank = TestBank::open().await;
    let worker = worker(&gateway, NAMESPACE, &bank.url).await;
    let ids = ["one", "two", "three"];
    for id in ids {
        start_transfer(&gateway, NAMESPACE, id).await;
    }
    for id in ids {
        completed(&gateway, NAMESPACE, id).await;
    }
    let moved = 3 * MOVED;
    assert_eq!(balances(&bank.url).await, after(moved));
    let link = link(&gateway, "the round trip", answers).await;
    println!("{link}");
    let least = 2.0 * ONE_WAY.as_secs_f64() * 1000.0;
    assert!(link["round_trip_ms"].as_f64().is_some_and(|time| time >= least), "{link}");
    worker.stop().await;
}

#[test]
fn a_silent_link_is_reported_and_everything_recovers_by_itself() {
    in_a_network_namespace("silence");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a separate network namespace, in which the test above runs it"]
async fn silence() {
    cut_and_healed(Far::swallow, Far::heal, 0).await;
}

#[test]
fn a_link_that_loses_answers_is_reported_and_everything_recovers_by_itself() {
    in_a_network_namespace("lost_answers");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a separate network namespace, in which the test above runs it"]
async fn lost_answers() {
    cut_and_healed(Far::swallow_answers, Far::heal, 25).await;
}

#[test]
fn a_link_without_a_carrier_is_reported_and_everything_recovers_by_itself() {
    in_a_network_namespace("no_carrier");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a separate network namespace, in which the test above runs it"]
async fn no_carrier() {
    cut_and_healed(|far| far.run("ip link set far down"), |far| far.run("ip link set far up"), 0).await;
}

/// Interrupts a link, and expects a report that no answer has come for at least so many seconds.
async fn cut_and_healed(cut: impl Fn(&Far), heal: impl Fn(&Far), least: u64) {
    let far = Far::start().await;
    let gateway = gateway(SERVER).await;
    let bank = TestBank::open().await;
    let worker = worker(&gateway, NAMESPACE, &bank.url).await;
    link(&gateway, "a first answer", answers).await;
    // A transfer whose withdrawal is done, but whose worker has no response yet and then cannot report it.
    keep_answers(&bank.url, true).await;
    start_transfer(&gateway, NAMESPACE, "one").await;
    until("the withdrawal", || async {
        let now = balances(&bank.url).await;
        if now[0] == after(MOVED)[0] { Ok(()) } else { Err(now) }
    })
    .await;
    cut(&far);
    let report = link(&gateway, "the interruption to be reported", |link| {
        link["answers"] == false && link["silent_for_s"].as_u64().is_some_and(|time| time >= least)
    })
    .await;
    println!("{report}");
    assert!(report["why"].as_str().is_some_and(|why| !why.is_empty()), "{report}");
    let asked = Instant::now();
    let (status, answer) = gateway.get(&format!("/api/v1/namespaces/{NAMESPACE}/workflows/one")).await;
    println!("{status} {answer} after {:?}", asked.elapsed());
    assert!([503, 504].contains(&status), "{status} {answer}");
    keep_answers(&bank.url, false).await;
    heal(&far);
    let healed = Instant::now();
    link(&gateway, "the link to answer again", answers).await;
    println!("answers {:?} after it is back", healed.elapsed());
    completed(&gateway, NAMESPACE, "one").await;
    println!("completed {:?} after it is back", healed.elapsed());
    assert_eq!(balances(&bank.url).await, after(MOVED));
    worker.stop().await;
}

/// Makes the bank apply requests but never respond, or restores it.
async fn keep_answers(bank_url: &str, keep: bool) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let order = json!({ "enabled": keep, "error_rate": 0, "timeout_rate": 1, "strikes": "after" });
    let answer = client.put(format!("{bank_url}/real-world-mode")).json(&order).send().await;
    let answer = answer.expect("it answers");
    assert!(answer.status().is_success(), "{answer:?}");
}

#[test]
fn a_very_slow_link_works() {
    in_a_network_namespace("crawling");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a separate network namespace, in which the test above runs it"]
async fn crawling() {
    let far = Far::start().await;
    if !far.treat("tbf rate 64kbit burst 4kb latency 5s") {
        skip("this kernel has no tbf to make a link slow");
        return;
    }
    let gateway = gateway(SERVER).await;
    let bank = TestBank::open().await;
    let worker = worker(&gateway, NAMESPACE, &bank.url).await;
    start_transfer(&gateway, NAMESPACE, "one").await;
    completed(&gateway, NAMESPACE, "one").await;
    assert_eq!(balances(&bank.url).await, after(MOVED));
    println!("{}", link(&gateway, "an answer", answers).await);
    worker.stop().await;
}

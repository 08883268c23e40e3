//! A link as it is between a classroom and a remote service: slow, lossy, narrow, and at times cut.
//!
//! Each test is run once more in a network namespace of its own, with a second one behind it that has nothing but the server.
//! A pair of veth is the link between the two, and `tc` makes it worse.

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

/// The address of the server, and nobody else's in a network of the test's own.
const SERVER: &str = "10.9.0.2:7233";
const NAMESPACE: &str = "elsewhere";
/// How long a packet takes for one way; an answer needs both.
const ONE_WAY: Duration = Duration::from_millis(150);
/// Of so many packets one is lost.
const LOST: u32 = 50;
/// What a transfer moves, in cents.
const MOVED: i64 = 2_550;

/// Runs an ignored test of this module in a network namespace of its own. Where none can be had, it is skipped.
fn in_a_network_of_its_own(test: &str) {
    if !has(&["unshare", "nsenter", "ip", "tc"]) {
        return;
    }
    // Not everybody has the folders of ip and tc on PATH.
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let own = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.env("PATH", &path);
        // Whatever is started in there ends with it.
        command.args(["--net", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(arguments);
        command.output()
    };
    let pair = ["ip", "link", "add", "near", "type", "veth", "peer", "name", "far"];
    match own(&pair) {
        Ok(output) if output.status.success() => {}
        other => {
            skip(&format!("a link needs Linux, its veth, and the right to a network namespace: {other:?}"));
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

/// Runs a program that has to succeed.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it can be run");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server behind a link. Gone when dropped.
struct Far {
    /// Has the namespace of the server.
    holder: Child,
    server: Option<Child>,
    folder: TempDir,
}

impl Far {
    /// Makes the link and starts a server behind it.
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
        command.arg(temporal_cli()).args(server.arguments());
        // All addresses, of which this network has two: with its own alone it would not find its own parts on loopback.
        // The last flag of a name counts.
        command.args(["--ip", "0.0.0.0"]);
        dev_server::forget_settings(&mut command);
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

    /// Runs a program on the other side, which has to succeed.
    fn run(&self, words: &str) {
        let output = self.command().args(words.split(' ')).output().expect("it can be run");
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Has both ends of the link treat what they send this way, such as `tbf rate 64kbit …`. Returns whether they can.
    fn treat(&self, way: &str) -> bool {
        let order = |end: &str| format!("tc qdisc replace dev {end} root {way}");
        let near = order("near");
        let near: Vec<&str> = near.split(' ').collect();
        let near = Command::new(near[0]).args(&near[1..]).output().expect("it can be run");
        let far = self.command().args(order("far").split(' ')).output().expect("it can be run");
        near.status.success() && far.status.success()
    }

    /// Lets nothing through any more, either way.
    fn swallow(&self) {
        assert!(self.treat("pfifo limit 0"), "every kernel with tc has this");
    }

    /// The same for what comes back: the server does what it is asked, and nobody hears of it.
    fn swallow_answers(&self) {
        self.run("tc qdisc replace dev far root pfifo limit 0");
    }

    /// Lets everything through again.
    fn heal(&self) {
        assert!(self.treat("pfifo limit 1000"), "every kernel with tc has this");
    }

    /// Makes the link slow and lossy. Returns the address by which the server is to be had over it.
    fn slow_down(&self) -> String {
        let loss = 100.0 / f64::from(LOST);
        if self.treat(&format!("netem delay {}ms loss {loss}%", ONE_WAY.as_millis())) {
            return SERVER.to_owned();
        }
        println!("this kernel has no netem: the test itself delays what passes, as delay and loss would");
        delaying_relay()
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        for child in self.server.iter_mut().chain([&mut self.holder]) {
            // It may have ended by itself; either way it is gone afterwards.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A way to the server that takes its time, for a kernel that cannot. Returns its address. It ends with the test.
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

/// Passes on what comes, late. A part that is lost comes later still, and everything behind it with it: so does TCP, which sends
/// it again after a while.
fn pass_on_late(mut from: TcpStream, mut to: TcpStream) {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (due, part) in receive {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&part).is_err() {
                break;
            }
        }
        // Whoever has hung up is gone for both.
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

/// Waits until `GET /link` tells what is wanted, and returns it all.
async fn link(gateway: &Program, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(what, || async {
        let (_, link) = gateway.get("/link").await;
        if is_it(&link) { Ok(link) } else { Err(link) }
    })
    .await
}

/// What the two accounts of a transfer hold once so much has been moved.
fn after(moved: i64) -> [i64; 2] {
    [100_000 - moved, 50_000 + moved]
}

fn answers(link: &Value) -> bool {
    link["answers"] == true
}

#[test]
fn over_a_slow_and_lossy_link_each_transfer_completes_once() {
    in_a_network_of_its_own("slow_and_lossy");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs a network namespace of its own, in which the test above runs it"]
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
fn a_cut_is_told_of_and_afterwards_everything_goes_on_by_itself() {
    in_a_network_of_its_own("cut_and_healed");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs a network namespace of its own, in which the test above runs it"]
async fn cut_and_healed() {
    let far = Far::start().await;
    let gateway = gateway(SERVER).await;
    let bank = TestBank::open().await;
    let worker = worker(&gateway, NAMESPACE, &bank.url).await;
    link(&gateway, "a first answer", answers).await;
    type Do<'a> = &'a dyn Fn(&Far);
    let cuts: [(&str, Do, Do, u64); 3] = [
        ("silence", &|far| far.swallow(), &|far| far.heal(), 0),
        ("lost_answers", &|far| far.swallow_answers(), &|far| far.heal(), 25),
        ("no_carrier", &|far| far.run("ip link set far down"), &|far| far.run("ip link set far up"), 0),
    ];
    let mut moved = 0;
    for (id, cut, heal, least) in cuts {
        // One that has withdrawn already, of which its worker does not know yet, and can then tell nobody.
        keep_answers(&bank.url, true).await;
        start_transfer(&gateway, NAMESPACE, id).await;
        moved += MOVED;
        until("the withdrawal", || async {
            let now = balances(&bank.url).await;
            if now[0] == after(moved)[0] { Ok(()) } else { Err(now) }
        })
        .await;
        cut(&far);
        let told = link(&gateway, "the cut to be told of", |link| {
            link["answers"] == false && link["silent_for_s"].as_u64().is_some_and(|time| time >= least)
        })
        .await;
        println!("{id}: {told}");
        assert!(told["why"].as_str().is_some_and(|why| !why.is_empty()), "{told}");
        let asked = Instant::now();
        let (status, answer) = gateway.get(&format!("/api/v1/namespaces/{NAMESPACE}/workflows/{id}")).await;
        println!("{id}: {status} {answer} after {:?}", asked.elapsed());
        assert!([503, 504].contains(&status), "{status} {answer}");
        keep_answers(&bank.url, false).await;
        heal(&far);
        let healed = Instant::now();
        link(&gateway, "the link to answer again", answers).await;
        println!("{id}: answers {:?} after it is back", healed.elapsed());
        completed(&gateway, NAMESPACE, id).await;
        println!("{id}: completed {:?} after it is back", healed.elapsed());
        assert_eq!(balances(&bank.url).await, after(moved));
    }
    worker.stop().await;
}

/// Has the bank do what it is asked and keep its answer to itself, or be as it should again.
async fn keep_answers(bank_url: &str, keep: bool) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let order = json!({ "enabled": keep, "error_rate": 0, "timeout_rate": 1, "strikes": "after" });
    let answer = client.put(format!("{bank_url}/real-world-mode")).json(&order).send().await;
    let answer = answer.expect("it answers");
    assert!(answer.status().is_success(), "{answer:?}");
}

#[test]
fn a_link_that_crawls_is_a_link() {
    in_a_network_of_its_own("crawling");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs a network namespace of its own, in which the test above runs it"]
async fn crawling() {
    let far = Far::start().await;
    if !far.treat("tbf rate 64kbit burst 4kb latency 5s") {
        skip("this kernel has no tbf, by which a link is made to crawl");
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

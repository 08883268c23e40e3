//! TLS before the server: what gets through, and what is said of what does not.

use std::{collections::BTreeSet, process::Output};

use testbed::{DevServer, TestBank, temporal_cli};
use tokio::process::Command;
use webtest::{Certificates, Front, Manner, has};

use crate::support::{Program, Start, balances, completed, start_transfer, worker};

const NAMESPACE: &str = "spring";
/// An API key, which nobody may ever read.
const KEY: &str = "a-key.that_nobody.sees";
const WRONG_KEY: &str = "a-key.of_somebody.else";

/// Has all that a lab does done through a gateway: a worker, a transfer by the HTTP API, a look by the CLI.
async fn do_all(gateway: &Program) {
    let bank = TestBank::open().await;
    let before = balances(&bank.url).await;
    let worker = worker(gateway, NAMESPACE, &bank.url).await;
    start_transfer(gateway, NAMESPACE, "one").await;
    completed(gateway, NAMESPACE, "one").await;
    let [from, to] = balances(&bank.url).await;
    assert_eq!([before[0] - from, to - before[1]], [2_550, 2_550]);
    let shown = cli(gateway, &["workflow", "describe", "--workflow-id", "one"]).await;
    assert!(shown.status.success() && text(&shown).contains("COMPLETED"), "{}", text(&shown));
    worker.stop().await;
}

/// The CLI before a gateway, with no credentials and no profile.
async fn cli(gateway: &Program, arguments: &[&str]) -> Output {
    let mut command = Command::from(dev_server::command(&temporal_cli()));
    command.args(arguments).args(["--address", &gateway.grpc, "--namespace", NAMESPACE]);
    command.output().await.expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_runs_by_a_profile_with_a_client_certificate_in_another_namespace() {
    if !has(&["nginx"]) {
        return;
    }
    let server = DevServer::start().await;
    let certificates = Certificates::make();
    let manner = Manner { wants_certificate: true, ..Manner::default() };
    let front = Front::start(&certificates, manner, &server.address);
    let file = certificates.profile(&front, NAMESPACE);
    let environment = [("TEMPORAL_CONFIG_FILE", file.as_str())];
    let gateway = Program::start(Start { flags: &["--profile", "class"], environment: &environment }).await;
    assert!(gateway.said().contains("namespace spring, over TLS"), "{}", gateway.said());
    let (_, link) = gateway.get("/link").await;
    assert_eq!((&link["tls"], &link["namespace"]), (&true.into(), &NAMESPACE.into()), "{link}");
    do_all(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_runs_by_variables_with_an_api_key_that_nobody_sees() {
    if !has(&["nginx"]) {
        return;
    }
    let server = DevServer::start().await;
    let certificates = Certificates::make();
    let manner = Manner { wants_key: Some(KEY), ..Manner::default() };
    let front = Front::start(&certificates, manner, &server.address);
    let environment = [
        ("TEMPORAL_ADDRESS", &*format!("127.0.0.1:{}", front.port)),
        ("TEMPORAL_NAMESPACE", NAMESPACE),
        ("TEMPORAL_API_KEY", KEY),
        ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &certificates.file("known.pem")),
        ("TEMPORAL_TLS_SERVER_NAME", "temporal.test"),
    ];
    let gateway = Program::start(Start { environment: &environment, ..Start::default() }).await;
    do_all(&gateway).await;
    // A key of the client's own is not handed on in place of the gateway's.
    let list = ["workflow", "list", "--api-key", WRONG_KEY, "--tls=false"];
    let listed = cli(&gateway, &list).await;
    assert!(listed.status.success(), "{}", text(&listed));
    let told = format!("{} {} {}", gateway.said(), gateway.get("/link").await.1, front.log());
    assert!(!told.contains(KEY) && !told.contains(WRONG_KEY), "{told}");
    // A key that holds no more is told of, as a service that is gone would be.
    assert_eq!(gateway.link_once(true).await["refuses"], false);
    front.revoke();
    let link = gateway.link_once(false).await;
    assert_eq!(
        (&link["refuses"], &link["why"]),
        (&true.into(), &"HTTP status 401 Unauthorized".into()),
        "{link}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_behind_its_proxy_does_not_answer() {
    if !has(&["nginx"]) {
        return;
    }
    let mut server = DevServer::start_keeping().await;
    let certificates = Certificates::make();
    let front = Front::start(&certificates, Manner::default(), &server.address);
    let (address, known) = (format!("localhost:{}", front.port), certificates.file("known.pem"));
    let environment = [("TEMPORAL_ADDRESS", &*address), ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &known)];
    let start = || Start { environment: &environment, ..Start::default() };
    let gateway = Program::start(start()).await;
    gateway.link_once(true).await;
    server.stop();
    let link = gateway.link_once(false).await;
    assert_eq!(link["why"], "HTTP status 502 Bad Gateway", "{link}");
    let (status, answer) = gateway.get("/api/v1/namespaces/default").await;
    assert_eq!(status, 503, "{answer}");
    let said = Program::try_start(start()).await.err().expect("nobody answers there");
    assert!(said.contains(&address) && said.contains("a proxy answers in its place"), "{said}");
    server.start_again().await;
    gateway.link_once(true).await;
}

const AUTHORITY: &str = "TEMPORAL_TLS_SERVER_CA_CERT_PATH";
const CERTIFICATE: &str = "TEMPORAL_TLS_CLIENT_CERT_PATH";
const CERTIFICATE_KEY: &str = "TEMPORAL_TLS_CLIENT_KEY_PATH";
const NAME: &str = "TEMPORAL_TLS_SERVER_NAME";
const UNVERIFIED: &str = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION";
const API_KEY: &str = "TEMPORAL_API_KEY";

/// Something wrong: an address, what the gateway is given, and what it has to say of it. Where there are several sentences, it
/// depends on how quick the other side is which of them is said.
type Wrong<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a [&'a str]);

/// Has a gateway fail for each of these.
async fn each_is_told(cases: Vec<Wrong<'_>>) {
    for (address, given, sentences) in cases {
        let mut environment = vec![("TEMPORAL_ADDRESS", address)];
        environment.extend(given);
        let started = Program::try_start(Start { environment: &environment, ..Start::default() }).await;
        let said = started.err().unwrap_or_else(|| panic!("{environment:?} is wrong, and does"));
        println!("{said}");
        assert!(
            said.starts_with("error: ") && said.trim_end().lines().count() == 1,
            "{environment:?}: {said}"
        );
        assert!(said.contains(address), "{environment:?}: {said}");
        assert!(sentences.iter().any(|words| said.contains(words)), "{environment:?}: {said}");
        assert!(
            !said.contains(KEY) && !said.contains(WRONG_KEY) && !said.contains("BEGIN PRIVATE"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_services_side_is_told() {
    if !has(&["nginx"]) {
        return;
    }
    let server = DevServer::start().await;
    let certificates = Certificates::make();
    let known = certificates.file("known.pem");
    let start = |certificate| {
        Front::start(&certificates, Manner { certificate, ..Manner::default() }, &server.address)
    };
    let (right, expired, unknown) = (start("server"), start("server-expired"), start("server-unknown"));
    let at = |front: &Front| format!("localhost:{}", front.port);
    let own = (AUTHORITY, known.as_str());
    let other_authority = &["its certificate is from an authority that is not known here"][..];
    let other_name = &["its certificate is for another name"][..];
    let no_tls = &["it does not speak TLS, as the profile asks for"][..];
    each_is_told(vec![
        (&at(&expired), vec![own], &["its certificate has expired"]),
        (&at(&unknown), vec![own], other_authority),
        (&at(&right), vec![("TEMPORAL_TLS", "true")], other_authority),
        (&format!("127.0.0.1:{}", right.port), vec![own], other_name),
        (&at(&right), vec![own, (NAME, "wrong.test")], other_name),
        (&at(&right), vec![own, (UNVERIFIED, "true")], &["asks for no look at whose certificate that is"]),
        (&server.address, vec![own], no_tls),
        (&server.address, vec![(API_KEY, KEY)], no_tls),
        (&at(&right), vec![], &["it hangs up, and seems to want TLS"]),
        (&format!("https://{}", at(&right)), vec![], &["it has no tls part"]),
        (&format!("http://{}", at(&right)), vec![own], &["its address asks for no TLS"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_profiles_credentials_is_told() {
    if !has(&["nginx", "openssl"]) {
        return;
    }
    let server = DevServer::start().await;
    let certificates = Certificates::make();
    std::fs::write(certificates.file("known.cnf"), "[ca]\n").expect("the folder is writable");
    let start = |manner| Front::start(&certificates, manner, &server.address);
    let manner = Manner::default();
    let wants_certificate = start(Manner { wants_certificate: true, ..manner });
    let wants_key = start(Manner { wants_key: Some(KEY), ..manner });
    let strict = Front::start_strict(&certificates);
    let at = |front: &Front| format!("localhost:{}", front.port);
    let (gentle, strict, keyed) = (at(&wants_certificate), at(&strict), at(&wants_key));
    let files: BTreeSet<String> = [
        "known.pem",
        "known.cnf",
        "nothing.pem",
        "server.key",
        "client.pem",
        "client.key",
        "client-expired.pem",
        "client-expired.key",
        "client-unknown.pem",
        "client-unknown.key",
    ]
    .map(|name| certificates.file(name))
    .into();
    let file = |name: &str| {
        let is_it = |file: &&String| file.ends_with(&format!("/{name}"));
        files.iter().find(is_it).expect("it is named above").as_str()
    };
    let own = (AUTHORITY, file("known.pem"));
    let with = |certificate: &str, key: &str| {
        vec![own, (CERTIFICATE, file(certificate)), (CERTIFICATE_KEY, file(key))]
    };
    let expired = || with("client-expired.pem", "client-expired.key");
    let unknown = || with("client-unknown.pem", "client-unknown.key");
    let wants = &["it seems to want a client certificate", "it hangs up"][..];
    let takes_not = "it seems not to take the client certificate";
    let refused = "authentication failed (HTTP status 401 Unauthorized): ";
    each_is_told(vec![
        (&gentle, vec![own], wants),
        (&gentle, expired(), &[takes_not]),
        (&gentle, unknown(), &[takes_not]),
        (&strict, vec![own], wants),
        (&strict, expired(), &[takes_not, "the client certificate has expired"]),
        (
            &strict,
            unknown(),
            &[takes_not, "the client certificate is from an authority that it does not know"],
        ),
        (&keyed, vec![own], &[&format!("{refused}give the profile an api_key")]),
        (
            &keyed,
            vec![own, (API_KEY, WRONG_KEY)],
            &[&format!("{refused}look whether the profile's api_key is right")],
        ),
        (
            &keyed,
            with("client.pem", "client.key"),
            &[&format!("{refused}look whether it wants an api_key, too")],
        ),
        (
            &keyed,
            vec![own, (API_KEY, &format!("{KEY}\n"))],
            &["its API key has characters that cannot be sent"],
        ),
        (&gentle, with("nothing.pem", "client.key"), &["nothing.pem, cannot be read: No such file"]),
        (&gentle, with("client.pem", "nothing.pem"), &["nothing.pem, cannot be read: No such file"]),
        (&gentle, vec![(AUTHORITY, file("nothing.pem"))], &["nothing.pem, cannot be read: No such file"]),
        (&gentle, vec![(AUTHORITY, file("known.cnf"))], &["known.cnf, has no CERTIFICATE in PEM"]),
        (&gentle, with("client.pem", "known.cnf"), &["known.cnf, has no PRIVATE KEY in PEM"]),
        (&gentle, with("client.pem", "server.key"), &["its client_key does not belong to its client_cert"]),
        (
            &gentle,
            vec![own, (CERTIFICATE, file("client.pem"))],
            &["Both client certificate and client key must be provided together"],
        ),
    ])
    .await;
}

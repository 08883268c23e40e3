//! TLS in front of the server: connections that work, and the errors of those that do not.

use std::{collections::BTreeSet, process::Output};

use testbed::{DevServer, TestBank, temporal_cli};
use tokio::process::Command;
use webtest::{Certificates, Front, Manner, has};

use crate::support::{Program, Start, balances, completed, start_transfer, worker};

const NAMESPACE: &str = "spring";
/// An API key, which must never be printed.
const KEY: &str = "a-key.that_nobody.sees";
const WRONG_KEY: &str = "a-key.of_somebody.else";

/// Uses a gateway as a lab does: a worker, a transfer by the HTTP API, a list by the CLI.
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

/// Runs the CLI against a gateway, without credentials and profile.
async fn cli(gateway: &Program, arguments: &[&str]) -> Output {
    let mut command = Command::from(temporal_cli().command());
    command.args(arguments).args(["--address", &gateway.grpc, "--namespace", NAMESPACE]);
    command.output().await.expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_runs_with_a_profile_and_a_client_certificate_in_another_namespace() {
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
async fn a_transfer_runs_with_variables_and_an_api_key_that_is_never_printed() {
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
    // The client's own key does not replace the gateway's.
    let list = ["workflow", "list", "--api-key", WRONG_KEY, "--tls=false"];
    let listed = cli(&gateway, &list).await;
    assert!(listed.status.success(), "{}", text(&listed));
    let told = format!("{} {} {}", gateway.said(), gateway.get("/link").await.1, front.log());
    assert!(!told.contains(KEY) && !told.contains(WRONG_KEY), "{told}");
    // A revoked key is reported, like a service that is down.
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
async fn a_service_that_is_down_behind_its_proxy_is_reported_as_down() {
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
    assert!(said.contains(&address) && said.contains("a proxy in front of the service"), "{said}");
    server.start_again().await;
    gateway.link_once(true).await;
}

const AUTHORITY: &str = "TEMPORAL_TLS_SERVER_CA_CERT_PATH";
const CERTIFICATE: &str = "TEMPORAL_TLS_CLIENT_CERT_PATH";
const CERTIFICATE_KEY: &str = "TEMPORAL_TLS_CLIENT_KEY_PATH";
const NAME: &str = "TEMPORAL_TLS_SERVER_NAME";
const UNVERIFIED: &str = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION";
const API_KEY: &str = "TEMPORAL_API_KEY";

/// A wrong setting: an address, the gateway's environment, and the possible errors, which depend on timing.
type Wrong<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a [&'a str]);

/// Asserts that a gateway fails for each of these.
async fn each_is_explained(cases: Vec<Wrong<'_>>) {
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
async fn errors_on_the_services_side_are_explained() {
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
    let other_authority = &["the server's certificate is from an unknown authority"][..];
    let other_name = &["the server's certificate is for another name"][..];
    let no_tls = &["the server does not use TLS, but the profile does"][..];
    each_is_explained(vec![
        (&at(&expired), vec![own], &["the server's certificate has expired"]),
        (&at(&unknown), vec![own], other_authority),
        (&at(&right), vec![("TEMPORAL_TLS", "true")], other_authority),
        (&format!("127.0.0.1:{}", right.port), vec![own], other_name),
        (&at(&right), vec![own, (NAME, "wrong.test")], other_name),
        (&at(&right), vec![own, (UNVERIFIED, "true")], &["turns off certificate verification"]),
        (&server.address, vec![own], no_tls),
        (&server.address, vec![(API_KEY, KEY)], no_tls),
        (&at(&right), vec![], &["the server closes the connection and seems to require TLS"]),
        (&format!("https://{}", at(&right)), vec![], &["it has no tls section"]),
        (&format!("http://{}", at(&right)), vec![own], &["its address starts with http, but"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_in_the_profiles_credentials_are_explained() {
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
    let wants = &["the server seems to require a client certificate", "the server closes the connection"][..];
    let takes_not = "the server seems to reject the client certificate";
    let refused = "authentication failed (HTTP status 401 Unauthorized); ";
    each_is_explained(vec![
        (&gentle, vec![own], wants),
        (&gentle, expired(), &[takes_not]),
        (&gentle, unknown(), &[takes_not]),
        (&strict, vec![own], wants),
        (&strict, expired(), &[takes_not, "the client certificate has expired"]),
        (&strict, unknown(), &[takes_not, "the server does not know the client certificate's authority"]),
        (&keyed, vec![own], &[&format!("{refused}add an api_key")]),
        (
            &keyed,
            vec![own, (API_KEY, WRONG_KEY)],
            &[&format!("{refused}check that the profile's api_key is right")],
        ),
        (
            &keyed,
            with("client.pem", "client.key"),
            &[&format!("{refused}check whether the service needs an api_key too")],
        ),
        (&keyed, vec![own, (API_KEY, &format!("{KEY}\n"))], &["its API key has invalid characters"]),
        (&gentle, with("nothing.pem", "client.key"), &["nothing.pem: No such file"]),
        (&gentle, with("client.pem", "nothing.pem"), &["nothing.pem: No such file"]),
        (&gentle, vec![(AUTHORITY, file("nothing.pem"))], &["nothing.pem: No such file"]),
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

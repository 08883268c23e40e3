//! The names at which a proxy forwards the page and the Temporal UI, in `lab start`, `lab status` and `doctor`.

use std::{net::SocketAddr, path::Path, process::Command};

use contract::PUBLIC_HOSTS_VARIABLE;
use serde_json::Value;
use webtest::{Front, ask};

use crate::support::{Checkout, outcome, service};

/// What `doctor` says of them: its state and its text.
fn doctor(checkout: &Checkout, variables: &[(&str, &str)]) -> Option<(String, String)> {
    let mut command = checkout.xtask(&["doctor", "--json"]);
    command.envs(variables.iter().copied());
    let found = outcome(command).findings_of("public hosts").into_iter().next()?;
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some((text("state"), format!("{} {}", text("says"), text("remedy"))))
}

#[test]
fn a_lab_shows_where_a_proxy_forwards_it() {
    let checkout = Checkout::new("public-hosts");
    let [_, ui, ..] = checkout.ports[..] else { panic!("a lab has a UI") };
    let hosts = format!("lab.example.com:8443,{ui}=http://ui.example.com");
    let mut start = checkout.start_command(&["--detach"]);
    start.env(PUBLIC_HOSTS_VARIABLE, &hosts);
    let summary = outcome(start).ok();
    let public: Vec<&str> = summary.lines().filter(|line| line.contains("its public URL")).collect();
    assert!(public.len() == 2 && public[0].ends_with(" https://lab.example.com:8443"), "{summary}");
    assert!(public[1].ends_with(" http://ui.example.com"), "{summary}");

    // The Temporal UI accepts any name, behind a proxy too; a request of another page gets no further than its own check.
    if webtest::has(&["nginx"]) {
        let front = Front::of_web(None, "proxy_set_header Host $http_host;", &format!("127.0.0.1:{ui}"));
        let address = SocketAddr::from(([127, 0, 0, 1], front.port));
        let host = ("Host", "ui.example.com");
        let settings = ask(address, "GET /api/v1/settings", &[host], "");
        assert!(settings.status == 200 && settings.body.contains("\"Auth\""), "{settings:?}");
        let foreign = [host, ("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")];
        let forged = ask(address, "POST /api/v1/namespaces/default/workflows/forged", &foreign, "{}");
        assert_eq!(forged.status, 403, "{forged:?}");
    }

    // Also where the variable is not set.
    let status = checkout.status();
    assert_eq!(service(&status, "transfer-web")["public_url"], "https://lab.example.com:8443");
    assert_eq!(service(&status, "temporal")["public_url"], "http://ui.example.com");
    assert_eq!(service(&status, "account-api")["public_url"], Value::Null);
    let status = checkout.run(&["lab", "status"]).ok();
    assert!(status.contains(" and https://lab.example.com:8443\n"), "{status}");

    let (grade, says) = doctor(&checkout, &[(PUBLIC_HOSTS_VARIABLE, &hosts)]).expect("it says something");
    assert!(grade == "ok" && says.contains("https://lab.example.com:8443"), "{grade} {says}");
    let (grade, says) =
        doctor(&checkout, &[(PUBLIC_HOSTS_VARIABLE, "other.example.com")]).expect("it says something");
    assert!(
        grade == "note" && says.contains("the lab runs with") && says.contains("lab stop"),
        "{grade} {says}"
    );
}

#[test]
fn a_malformed_list_starts_nothing_and_is_named() {
    let checkout = Checkout::without_server("malformed-hosts");
    for (hosts, why) in
        [("*.app.github.dev", "no wildcards"), ("https://lab.example.com/lab", "without a path")]
    {
        let mut start = checkout.start_command(&["--detach"]);
        start.env(PUBLIC_HOSTS_VARIABLE, hosts);
        let error = outcome(start).fails_with(1);
        assert!(error.contains(why) && error.contains("BUGLAB_PUBLIC_HOSTS has "), "{error}");
        assert!(!checkout.path(".lab/lab.json").exists(), "nothing runs");
        let (grade, says) = doctor(&checkout, &[(PUBLIC_HOSTS_VARIABLE, hosts)]).expect("it says something");
        assert!(grade == "missing" && says.contains(why), "{grade} {says}");
    }
}

#[test]
fn a_shell_in_a_codespace_lists_its_names() {
    let checkout = Checkout::without_server("codespace");
    let codespace =
        [("CODESPACE_NAME", "red-fish-x7"), ("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.example.dev")];
    let (grade, says) = doctor(&checkout, &codespace).expect("it says something");
    assert!(grade == "note" && says.contains("error 421"), "{grade} {says}");

    // As /etc/bash.bashrc has it there.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../.devcontainer/public-hosts.sh");
    if !Path::new(script).exists() {
        webtest::skip("this copy of the project has no .devcontainer");
        return;
    }
    let listed = |variables: &[(&str, &str)]| {
        let mut shell = Command::new("bash");
        shell.args(["-euc", ". \"$1\"; printf %s \"${BUGLAB_PUBLIC_HOSTS-}\"", "bash", script]);
        shell.env_clear().env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
        outcome(shell).ok()
    };
    assert_eq!(listed(&[]), "", "outside of a Codespace it sets nothing");
    assert_eq!(listed(&[codespace[0], (PUBLIC_HOSTS_VARIABLE, "mine.example")]), "mine.example");
    assert_eq!(listed(&codespace[..1]), "red-fish-x7-5051.app.github.dev,red-fish-x7-8233.app.github.dev");
    let hosts = listed(&codespace);
    assert!(says.contains(&format!("export BUGLAB_PUBLIC_HOSTS={hosts};")), "{says} and {hosts}");
    let (grade, says) = doctor(&checkout, &[codespace[0], codespace[1], (PUBLIC_HOSTS_VARIABLE, &hosts)])
        .expect("it says something");
    assert!(grade == "ok" && says.contains("https://red-fish-x7-5051.app.example.dev"), "{grade} {says}");
}

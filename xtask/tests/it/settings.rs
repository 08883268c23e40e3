//! A machine whose user has settings of their own for everything that the lab runs. None of them changes what the lab does.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use crate::support::{Checkout, eventually, free_port, outcome, rust_folders, temporal_cli};

/// A port on which nothing listens: whoever follows one of the planted settings fails.
const NOWHERE: &str = "127.0.0.1:9";

/// Settings of `temporal env`, in a file that no variable names.
const ENV_FILE: &str = r#"env:
  default:
    address: 127.0.0.1:9
    namespace: another
    tls: "true"
    api-key: secret
    codec-endpoint: http://127.0.0.1:9
    headless: "true"
    port: "9"
    db-filename: /nowhere/temporal.db
    log-level: debug
    output: none
  prod:
    address: 127.0.0.1:9
"#;

/// Profiles, as all Temporal tools read them.
const PROFILES: &str = r#"[profile.default]
address = "127.0.0.1:9"
namespace = "another"
api_key = "secret"
[profile.default.tls]
server_name = "another"
[profile.prod]
address = "127.0.0.1:9"
"#;

/// Where these files are, below a home folder, on Linux and on macOS.
const FOLDERS: [&str; 2] = [".config/temporalio", "Library/Application Support/temporalio"];

/// Variables of Temporal's tools.
const TEMPORAL: &[(&str, &str)] = &[
    ("TEMPORAL_ADDRESS", NOWHERE),
    ("TEMPORAL_NAMESPACE", "another"),
    ("TEMPORAL_API_KEY", "secret"),
    ("TEMPORAL_TLS", "true"),
    ("TEMPORAL_TLS_SERVER_NAME", "another"),
    ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere/cert.pem"),
    ("TEMPORAL_TLS_CLIENT_KEY_PATH", "/nowhere/key.pem"),
    ("TEMPORAL_CODEC_ENDPOINT", "http://127.0.0.1:9"),
    ("TEMPORAL_GRPC_META_AUTHORIZATION", "secret"),
    ("TEMPORAL_ENV", "prod"),
    ("TEMPORAL_PROFILE", "prod"),
    ("OTEL_TRACES_EXPORTER", "otlp"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
];

/// Variables of everything else that the lab runs, or that runs the lab.
const OTHERS: &[(&str, &str)] = &[
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("http_proxy", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("https_proxy", "http://127.0.0.1:9"),
    ("ALL_PROXY", "socks5://127.0.0.1:9"),
    ("all_proxy", "socks5://127.0.0.1:9"),
    ("GIT_DIR", "/nowhere"),
    ("GIT_WORK_TREE", "/nowhere"),
    ("GIT_INDEX_FILE", "/nowhere"),
    ("GIT_EXTERNAL_DIFF", "false"),
    ("GIT_PAGER", "false"),
    ("LC_ALL", "tr_TR.UTF-8"),
    ("TZ", "Asia/Kathmandu"),
    ("CDPATH", "/:/tmp"),
    ("POSIXLY_CORRECT", "1"),
    ("PYTHONHOME", "/nowhere"),
    ("PYTHONPATH", "/nowhere"),
    ("PYTHONSTARTUP", "/nowhere"),
    ("RUST_LOG", "trace"),
    ("RUST_BACKTRACE", "full"),
    ("GODEBUG", "http2debug=2"),
];

/// Plants all of them for the commands of a checkout.
pub(crate) fn plant(checkout: &mut Checkout) {
    let home = checkout.path("home");
    for folder in FOLDERS {
        checkout.write(&format!("home/{folder}/temporal.yaml"), ENV_FILE);
        checkout.write(&format!("home/{folder}/temporal.toml"), PROFILES);
    }
    checkout.write("home/.curlrc", "proxy = \"http://127.0.0.1:9\"\n");
    checkout.write("home/shell.sh", "echo a line of the user's; CDPATH=/\n");
    checkout.environment.extend(rust_folders().map(|(name, folder)| (name.into(), folder)));
    let mut plant = |name: &str, value: PathBuf| checkout.environment.push((name.into(), value.into()));
    plant("XDG_CONFIG_HOME", home.join(".config"));
    plant("TEMPORAL_ENV_FILE", home.join(FOLDERS[0]).join("temporal.yaml"));
    plant("TEMPORAL_CONFIG_FILE", home.join(FOLDERS[0]).join("temporal.toml"));
    for name in ["ENV", "BASH_ENV"] {
        plant(name, home.join("shell.sh"));
    }
    plant("HOME", home);
    for (name, value) in TEMPORAL.iter().chain(OTHERS) {
        plant(name, value.into());
    }
}

#[test]
fn a_lab_runs_as_if_the_user_had_no_settings() {
    let mut checkout = Checkout::new("settings");
    plant(&mut checkout);
    checkout.start();
    let transfer = ["transfer", "account_A", "account_B", "25.50", "--workflow-id", "mine"];
    assert!(checkout.run(&transfer).ok().contains("started mine"));
    eventually("the CLI lists the transfer of this lab", || {
        checkout.run(&["temporal", "workflow", "list", "-o", "json"]).ok().contains("\"mine\"")
    });
    let described = checkout.run(&["temporal", "workflow", "describe", "-w", "mine"]).ok();
    assert!(described.contains("mine"), "{described}");
    eventually("the lab lists it", || checkout.status()["transfers_running"] == 1);
    checkout.run(&["lab", "restart", "temporal"]).ok();
    eventually("it is there after a restart", || checkout.status()["transfers_running"] == 1);
    let page = format!("http://127.0.0.1:{}/", checkout.ports[1]);
    assert_eq!(minreq::get(page).send().expect("the UI answers").status_code, 200);
    let home = fs::read_dir(checkout.path("home/.config/temporalio")).expect("it was planted");
    assert_eq!(home.count(), 2, "the Temporal server wrote a file into the user's home folder");
    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}

#[test]
fn a_cli_that_is_named_by_a_relative_path_runs_in_every_folder() {
    let mut checkout = Checkout::new("relative");
    checkout.temporal_cli = None;
    symlink(temporal_cli().path(), checkout.path("my-temporal")).expect("it can be linked");
    checkout.environment.push(("BUGLAB_TEMPORAL_CLI".into(), "./my-temporal".into()));
    checkout.start();
    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}

/// Without this, the tests above could pass because the CLI has stopped reading these settings.
#[test]
fn the_cli_itself_follows_the_planted_settings() {
    let mut checkout = Checkout::without_server("followed");
    plant(&mut checkout);
    let cli = temporal_cli();
    let run = |names: &[&str]| {
        let mut command = std::process::Command::new(cli.path());
        command.args(["workflow", "list", "--command-timeout", "3s"]);
        // A server that nobody runs, so that its error names the address that it has tried.
        command.env("TEMPORAL_ADDRESS", format!("127.0.0.1:{}", free_port()));
        for (name, value) in checkout.environment.iter().filter(|(name, _)| names.contains(&&**name)) {
            command.env(name, value);
        }
        outcome(command).stderr
    };
    let error = run(&["HOME"]);
    assert!(error.contains(NOWHERE), "temporal.yaml: {error}");
    let error = run(&["TEMPORAL_ADDRESS"]);
    assert!(error.contains(NOWHERE), "TEMPORAL_ADDRESS: {error}");
}

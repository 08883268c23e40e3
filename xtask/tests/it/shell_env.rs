//! `lab env`: plain `temporal` in a terminal, on a machine with a second Temporal server.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use crate::support::{Checkout, eventually, free_port, outcome, path_with, temporal_cli};

/// A Temporal server of the user's own, which their settings name.
struct OtherServer {
    address: String,
    child: Child,
}

impl OtherServer {
    /// Starts one, with a Workflow called `theirs`.
    fn start(checkout: &Checkout) -> OtherServer {
        let server =
            dev_server::DevServer { port: free_port(), http_port: free_port(), ..Default::default() };
        let cli = temporal_cli();
        let mut command = cli.command();
        command.args(server.arguments(&cli)).current_dir(&checkout.root);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the CLI can be run");
        let server = OtherServer { address: format!("127.0.0.1:{}", server.port), child };
        eventually("the other server has its Workflow", || {
            let mut start = cli.command();
            start.args(["workflow", "start", "--workflow-id", "theirs", "--type", "x", "--task-queue", "x"]);
            start.args(["--address", &server.address]);
            outcome(start).code == Some(0)
        });
        server
    }
}

impl Drop for OtherServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A checkout whose user's own settings, in a file and in variables, name this server.
fn with_settings_for(server: &OtherServer, checkout: &mut Checkout) {
    let folder = "home/.config/temporalio";
    let file = format!("env:\n  default:\n    address: {}\n", server.address);
    checkout.write(&format!("{folder}/temporal.yaml"), file);
    let profile = format!("[profile.default]\naddress = \"{}\"\napi_key = \"secret\"\n", server.address);
    checkout.write(&format!("{folder}/temporal.toml"), profile);
    let programs = checkout.path("user's programs");
    fs::create_dir_all(&programs).expect("it is this test's own");
    std::os::unix::fs::symlink(temporal_cli().path(), programs.join("temporal")).expect("it can be linked");
    let path = std::env::var_os("PATH").expect("it is set");
    let home = checkout.path("home");
    checkout.environment = vec![
        ("PATH".into(), path_with(programs, &path)),
        ("XDG_CONFIG_HOME".into(), home.join(".config").into()),
        ("HOME".into(), home.into()),
        ("TEMPORAL_ADDRESS".into(), (&server.address).into()),
        ("TEMPORAL_NAMESPACE".into(), "default".into()),
    ];
}

const LIST: &str = "temporal workflow list --output json --command-timeout 20s";

#[test]
fn plain_temporal_reaches_the_lab_once_its_environment_is_set() {
    let mut checkout = Checkout::new("it's an env");
    checkout.start();
    checkout.run(&["transfer", "account_A", "account_B", "1", "--workflow-id", "mine"]).ok();
    eventually("the lab lists it", || checkout.status()["transfers_running"] == 1);
    let server = OtherServer::start(&checkout);
    with_settings_for(&server, &mut checkout);

    let xtask = env!("CARGO_BIN_EXE_xtask");
    let again = format!(r#"eval "$('{xtask}' lab env)"; eval $('{xtask}' lab env); {LIST}"#);
    let fish = format!("'{xtask}' lab env --fish | source; {LIST}");
    for (shell, script) in [("sh", &again), ("bash", &again), ("zsh", &again), ("fish", &fish)] {
        let run = |script: &str| {
            let mut command = Command::new(shell);
            command.args(["-c", script]);
            checkout.prepare(&mut command);
            command.env("CARGO_MANIFEST_DIR", checkout.path("xtask"));
            // The CLI is the one on PATH, before which the first `lab env` puts the lab's own `temporal`.
            command.env_remove("BUGLAB_TEMPORAL_CLI");
            outcome(command)
        };
        // Every system has the first two.
        if ["zsh", "fish"].contains(&shell) && !webtest::has(&[shell]) {
            continue;
        }
        let before = run(LIST);
        assert!(
            before.stdout.contains("\"theirs\"") || before.stderr.contains(&server.address),
            "{shell}: the user's settings name the other server: {before:#?}"
        );
        let after = run(script);
        assert!(after.stdout.contains("\"mine\"") && !after.stdout.contains("theirs"), "{shell}: {after:#?}");
        assert_eq!(after.stderr, "", "{shell}");
    }

    // `doctor` says which server plain `temporal` uses here.
    let doctor = |address: &str| {
        let mut doctor = checkout.xtask(&["doctor"]);
        doctor.env("TEMPORAL_ADDRESS", address).env("TEMPORAL_CONFIG_FILE", "/dev/null");
        outcome(doctor).stdout
    };
    let own = format!("127.0.0.1:{}", checkout.ports[0]);
    let told = doctor(&own);
    assert!(told.contains(&format!("plain `temporal` in this terminal uses {own}, by `lab env`")), "{told}");
    let told = doctor(&server.address);
    let stale = format!("uses {}, and the lab is at {own}\n", server.address);
    assert!(told.contains(&stale) && told.contains("-> eval \"$(cargo xtask lab env)\"\n"), "{told}");
    // Something listens where plain `temporal` looks for a server, if only this test.
    let _holder = TcpListener::bind("127.0.0.1:7233");
    let told = outcome(checkout.xtask(&["doctor"])).stdout;
    assert!(told.contains("plain `temporal` uses port 7233, where "), "{told}");
}

#[test]
fn the_environment_of_a_stopped_lab_is_an_error_and_prints_nothing() {
    let checkout = Checkout::without_server("no-env");
    let told = checkout.run(&["lab", "env"]);
    assert_eq!((told.code, &*told.stdout), (Some(1), ""), "{told:#?}");
    assert!(told.stderr.contains("cargo xtask lab start"), "{told:#?}");
}

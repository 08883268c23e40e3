//! Which Temporal Service a lab uses: a server of its own, or a remote one, as the last start had it or as flags say.

use std::fs;

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Command};
use lab_client::{OWN_NAMESPACE, link::LinkReport, state::RemoteService};
use serde_json::Value;

use crate::commands::flag;
use checkout::project::Project;
use terminal::{Usage, stderrln};

/// The file that tells the next start which service it was.
const FILE: &str = "service.json";
/// No name of a learner is longer: it is a part of Workflow Ids and of a Task Queue's name.
const LONGEST_NAME: usize = 32;
/// The port of the UI of a dev server, and so of a class.
const UI_PORT: u16 = 8233;
/// The UI of Temporal Cloud.
const CLOUD_UI: &str = "https://cloud.temporal.io";

/// The flags that name a remote service.
pub fn flags() -> [Arg; 5] {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    [
        text(
            "profile",
            "NAME",
            "Use the Temporal Service of this profile of temporal.toml, in place of a server of its own",
        )
        .conflicts_with("address"),
        text(
            "address",
            "HOST:PORT",
            "Use the Temporal Service at this address, without TLS, as that of a class",
        ),
        text("namespace", "NAME", "The namespace there [default: default]").requires("address"),
        text(
            "learner",
            "NAME",
            "Whose lab this is, where several share a namespace: small letters, digits, hyphens",
        ),
        text("ui", "URL", "Where that service's Temporal UI is, for links"),
    ]
}

/// The flags that choose a service, for a lab that can have one of its own.
pub fn with_flags(command: Command) -> Command {
    let own = flag(OWN, "Use a server of the lab's own again");
    command.args(flags()).arg(own.conflicts_with_all(["profile", "address", "learner", "ui"]))
}

/// The flag for a server of the lab's own.
const OWN: &str = "own-server";

/// These flags as they were typed, for another start.
pub fn words(arguments: &ArgMatches) -> Vec<String> {
    let given = |flag: Arg| {
        let name = flag.get_id().as_str().to_owned();
        // A command may have only some of them.
        let value = arguments.try_get_one::<String>(&name).ok()??;
        Some([format!("--{name}"), value.clone()])
    };
    flags().into_iter().filter_map(given).flatten().collect()
}

/// The service that `--profile`, or `--address` and `--namespace`, name, for nobody in particular.
pub fn named(arguments: &ArgMatches) -> Option<RemoteService> {
    let text = |name: &str| arguments.get_one::<String>(name).cloned();
    let (profile, address) = (text("profile"), text("address"));
    if profile.is_none() && address.is_none() {
        return None;
    }
    // A profile has its own.
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

/// The service that these flags mean; without any, that of the last start.
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
            "--learner and --ui are for a remote Temporal Service: say which, by --profile or --address"
                .to_owned(),
        )
        .into());
    }
    Ok(last.map(|last| RemoteService {
        learner: learner.or(last.learner),
        ui: ui.unwrap_or(last.ui),
        // They are the profile's, and it may have been changed.
        address: last.profile.as_ref().map_or(last.address, |_| String::new()),
        namespace: last.profile.as_ref().map_or(last.namespace, |_| String::new()),
        profile: last.profile,
    }))
}

/// The service of the last start, if it was a remote one.
pub fn last(project: &Project) -> Option<RemoteService> {
    let text = fs::read_to_string(project.in_lab(FILE)).ok()?;
    RemoteService::from_json(&serde_json::from_str::<Value>(&text).ok()?)
}

/// Whether the lab was at this service the last time, as this learner.
pub fn is_last(project: &Project, remote_service: &RemoteService) -> bool {
    let which = |one: &RemoteService| match &one.profile {
        Some(profile) => (profile.clone(), String::new(), one.learner.clone()),
        None => (one.address.clone(), one.namespace.clone(), one.learner.clone()),
    };
    last(project).is_some_and(|last| {
        last.profile.is_some() == remote_service.profile.is_some() && which(&last) == which(remote_service)
    })
}

/// Has the next start use it, too.
pub fn remember(project: &Project, remote_service: Option<&RemoteService>) -> Result<()> {
    let file = project.in_lab(FILE);
    let Some(remote_service) = remote_service else {
        return match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", file.display()))
            }
            _ => Ok(()),
        };
    };
    files::replace(&file, remote_service.to_json().to_string().as_bytes(), 0o600)
        .with_context(|| format!("could not write {}", file.display()))
}

/// Tells that a start goes on with the service of the last one, where nobody asked for it again.
pub fn tell_of_last(arguments: &ArgMatches, chosen: Option<&RemoteService>) {
    let asked = ["profile", "address"].iter().any(|name| arguments.contains_id(name));
    if let Some(remote_service) = chosen.filter(|_| !asked) {
        stderrln!(
            "as last time, on {}; on a server of its own again with: --own-server",
            name(remote_service)
        );
    }
}

/// What a service is called in a sentence.
pub fn name(remote_service: &RemoteService) -> String {
    let service = match (&remote_service.profile, &*remote_service.address) {
        (Some(profile), "") => format!("the Temporal Service of profile {profile}"),
        (Some(profile), address) => format!("the Temporal Service of profile {profile} at {address}"),
        (None, address) => format!("the Temporal Service at {address}"),
    };
    match &remote_service.learner {
        Some(learner) => format!("{service}, as {learner}"),
        None => service,
    }
}

/// What the gateway has found out is put in.
pub fn complete(remote_service: &mut RemoteService, link: &LinkReport) {
    (remote_service.address, remote_service.namespace) = (link.address.clone(), link.namespace.clone());
    let host = remote_service.address.rsplit_once(':').map_or("", |(host, _)| host);
    if remote_service.ui.is_empty() && (host.ends_with(".tmprl.cloud") || host.ends_with(".api.temporal.io"))
    {
        remote_service.ui = CLOUD_UI.to_owned();
    }
}

/// A learner's name, if it can be one.
pub fn checked(name: &str) -> Result<String> {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_fit) || name.starts_with('-') {
        return Err(Usage(format!(
            "{name:?} cannot be a learner's name: it has up to {LONGEST_NAME} small letters, digits and hyphens, such as ada-l"
        ))
        .into());
    }
    Ok(name.to_owned())
}

/// Where the UI of a class is whose server is at that address.
fn ui_beside(address: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    format!("http://{host}:{UI_PORT}")
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_learners_name_is_fit_for_ids() {
        for name in ["ada", "ada-l", "7of9", &"x".repeat(32)] {
            assert_eq!(checked(name).expect("it is fit"), name);
        }
        for name in ["", "Ada", "a b", "-a", "a.b", "ä", "a/b", "a\"b", &"x".repeat(33)] {
            assert!(
                checked(name).expect_err("it is not").to_string().contains("cannot be a learner's name"),
                "{name}"
            );
        }
    }

    #[test]
    fn the_ui_is_known_of_a_class_and_of_temporal_cloud() {
        assert_eq!(ui_beside("10.0.0.7:7233"), "http://10.0.0.7:8233");
        assert_eq!(ui_beside("[::1]:7233"), "http://[::1]:8233");
        for (address, ui) in [
            ("spring.a1b2c.tmprl.cloud:7233", CLOUD_UI),
            ("eu-central-1.aws.api.temporal.io:7233", CLOUD_UI),
            ("temporal.example:7233", ""),
        ] {
            let mut remote_service = RemoteService::default();
            let link = LinkReport {
                address: address.to_owned(),
                namespace: "spring.a1b2c".to_owned(),
                ..LinkReport::default()
            };
            complete(&mut remote_service, &link);
            assert_eq!((&*remote_service.ui, &*remote_service.namespace), (ui, "spring.a1b2c"));
        }
    }
}

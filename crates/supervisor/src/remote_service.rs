//! Which Temporal Service a lab uses: a server of its own, or a remote one. The last start's is in `.lab/service.json`.

use std::fs;

use anyhow::Result;
use checkout::Project;
use lab_client::{link::LinkReport, state::RemoteService};
use serde_json::Value;

/// The file that tells the next start which service it was.
const FILE: &str = "service.json";
/// The UI of Temporal Cloud.
const CLOUD_UI: &str = "https://cloud.temporal.io";

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
    match remote_service {
        Some(remote_service) => project.write_json(FILE, &remote_service.to_json()),
        None => project.remove_json(FILE),
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

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_ui_of_temporal_cloud_is_known() {
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

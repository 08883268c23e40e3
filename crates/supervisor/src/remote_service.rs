//! Which Temporal Service a lab uses: a server of its own, or a remote one. The last start's is in `.lab/service.json`.
//!
//! A start that fails before the service has answered leaves the service in `.lab/joining.json`, so that the next start tries it again.
//! Otherwise a learner whose start failed, for example because a port was taken, would get a server of their own. It is a separate file
//! because `service.json` must keep the service that the lab last used.

use std::fs;

use anyhow::Result;
use checkout::Project;
use lab_client::{link::LinkReport, state::RemoteService};
use serde_json::Value;

use crate::services::LEDGER;

/// The file that tells the next start which service it was.
const FILE: &str = "service.json";
/// The file with the service that a start tries to reach.
const JOINING_FILE: &str = "joining.json";
/// The UI of Temporal Cloud.
const CLOUD_UI: &str = "https://cloud.temporal.io";

/// The service of the last start, if it was a remote one, also if that start failed.
pub fn last(project: &Project) -> Option<RemoteService> {
    joining(project).or_else(|| read(project, FILE))
}

/// The service of the last start, if that start failed before the service had answered.
pub fn joining(project: &Project) -> Option<RemoteService> {
    read(project, JOINING_FILE)
}

fn read(project: &Project, file: &str) -> Option<RemoteService> {
    let text = fs::read_to_string(project.in_lab(file)).ok()?;
    RemoteService::from_json(&serde_json::from_str::<Value>(&text).ok()?)
}

/// Makes the next start try this service again if this one fails.
pub fn try_to_join(project: &Project, remote_service: &RemoteService) -> Result<()> {
    project.write_json(JOINING_FILE, &remote_service.to_json())
}

/// Whether the lab last used this service, as this learner.
pub fn is_last(project: &Project, remote_service: &RemoteService) -> bool {
    let which = |one: &RemoteService| match &one.profile {
        Some(profile) => (profile.clone(), String::new(), one.learner.clone()),
        None => (one.address.clone(), one.namespace.clone(), one.learner.clone()),
    };
    read(project, FILE).is_some_and(|last| {
        last.profile.is_some() == remote_service.profile.is_some() && which(&last) == which(remote_service)
    })
}

/// Whether the lab's ledger has nothing of the transfers that are at this service: the lab last used another one, or was reset while it
/// was stopped.
pub(crate) fn is_new_there(project: &Project, remote_service: &RemoteService) -> bool {
    !is_last(project, remote_service) || !project.in_lab(LEDGER).exists()
}

/// Whether the lab last used this service, as this learner; without one, whether it last used a server of its own.
pub fn is_same(project: &Project, remote_service: Option<&RemoteService>) -> bool {
    match remote_service {
        Some(remote_service) => is_last(project, remote_service),
        None => read(project, FILE).is_none(),
    }
}

/// Makes the next start use it too.
pub fn remember(project: &Project, remote_service: Option<&RemoteService>) -> Result<()> {
    match remote_service {
        Some(remote_service) => project.write_json(FILE, &remote_service.to_json())?,
        None => project.remove_json(FILE)?,
    }
    project.remove_json(JOINING_FILE)
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

/// Fills in what the gateway has found out.
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
    fn a_start_that_failed_is_tried_again_but_is_not_where_the_lab_has_been() {
        let root = tempfile::tempdir().expect("temporary folders can be made");
        let project = Project { root: root.path().to_owned(), lab: root.path().to_owned() };
        let at = |address: &str| RemoteService { address: address.to_owned(), ..RemoteService::default() };
        let (before, class) = (at("10.0.0.1:7233"), at("10.0.0.7:7233"));
        remember(&project, Some(&before)).expect("it can be written");
        try_to_join(&project, &class).expect("it can be written");
        assert_eq!((last(&project), joining(&project)), (Some(class.clone()), Some(class.clone())));
        assert!(is_last(&project, &before) && !is_last(&project, &class));
        assert!(is_same(&project, Some(&before)) && !is_same(&project, None));
        remember(&project, Some(&class)).expect("it can be written");
        assert_eq!((last(&project), joining(&project)), (Some(class.clone()), None));
        assert!(is_last(&project, &class));
        assert!(is_new_there(&project, &class), "a reset has deleted the ledger");
        std::fs::write(project.in_lab(LEDGER), "").expect("it can be written");
        assert!(!is_new_there(&project, &class) && is_new_there(&project, &before));
        try_to_join(&project, &class).expect("it can be written");
        remember(&project, None).expect("it can be removed");
        assert_eq!((last(&project), joining(&project)), (None, None));
        assert!(is_same(&project, None) && !is_same(&project, Some(&class)));
    }

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

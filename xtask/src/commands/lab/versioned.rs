//! What commands on versions of the worker say and suggest.

use anyhow::{Error, anyhow};
use lab_client::versions::on_version;

/// The error of a command for a stage with versions, elsewhere.
pub(super) fn no_versions() -> Error {
    let stage = lab::STAGES.iter().find(|stage| stage.has_versions).map_or("", |stage| stage.name);
    anyhow!(
        "the lab runs one unversioned worker; only the stage {stage} has versions: cargo xtask stage {stage}"
    )
}

/// The command that has this version take so many percent of the new transfers.
pub(super) fn ramp(deployment: &str, version: u32, percentage: u32) -> String {
    format!(
        "cargo xtask temporal worker deployment set-ramping-version --deployment-name {deployment} --build-id {version} \
         --percentage {percentage} --yes"
    )
}

/// The command that makes this version current.
pub(super) fn make_current(deployment: &str, version: u32) -> String {
    format!(
        "cargo xtask temporal worker deployment set-current-version --deployment-name {deployment} --build-id {version} --yes"
    )
}

/// The command that moves all transfers in progress from a version to another.
pub(super) fn move_all(deployment: &str, from: u32, to: u32) -> String {
    let query = on_version(deployment, &from.to_string());
    format!(
        "cargo xtask temporal workflow update-options --query '{query} AND ExecutionStatus=\"Running\"' \
         --versioning-override-behavior pinned --versioning-override-deployment-name {deployment} --versioning-override-build-id {to} \
         --yes"
    )
}

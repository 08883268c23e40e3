//! Cargo: the settings of the user that reach the lab's builds, and the manifest that a learner may edit.

use super::{Finding, good, missing, note};
use checkout::project::Project;
use supervisor::{
    cargo,
    manifest::{MANIFEST, Unusable},
};

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let settings = cargo::settings(project).into_iter();
    let settings = settings.map(|setting| {
        note("cargo settings", format!("{}: {}", setting.found, setting.effect), &setting.remedy)
    });
    let manifest = match Unusable::ask(project) {
        Some(unusable) => missing("worker manifest", unusable.to_string(), &unusable.remedy()),
        None => good("worker manifest", format!("cargo reads {MANIFEST}")),
    };
    settings.chain([manifest]).collect()
}

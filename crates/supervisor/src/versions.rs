//! The versions of the worker that a lab runs at a time: the program that is kept of each, and how it is run.
//!
//! A version is built once. Its folder has the program and the code that it was built from; the list of versions says which
//! folders count. What was kept by a lab that was killed in the middle is not in the list, and goes with the next change.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use checkout::project::{Project, make_private};
use contract::{BUILD_ID_VARIABLE, DEPLOYMENT_VARIABLE};
use lab_client::kept_versions::{FILE, KeptVersion, KeptVersions, service_of};
use serde_json::{Value, json};

use crate::{
    deployed, executables,
    services::{self, Setup, WORKER},
};

/// The folder with a folder for each version.
const FOLDER: &str = "versions";

/// A version of the worker, as a service.
pub(crate) struct Version {
    pub(crate) kept: KeptVersion,
    /// The name of its service.
    pub(crate) service: String,
}

impl Version {
    pub(crate) fn new(kept: KeptVersion) -> Version {
        Version { service: service_of(kept.number), kept }
    }

    /// For the status.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "version": self.kept.number, "service": self.service })
    }

    /// The program that is kept of it.
    pub(crate) fn program(&self, project: &Project) -> PathBuf {
        folder(project, self.kept.number).join(WORKER)
    }

    /// Why that program cannot be run, if it cannot.
    pub(crate) fn why_lost(&self, project: &Project) -> Option<&'static str> {
        executables::why_unusable(&self.program(project))
    }

    /// A command that runs its worker, as one of its version of the Worker Deployment.
    pub(crate) fn command(&self, setup: &Setup) -> Command {
        let project = &setup.project;
        let learner =
            setup.remote_service.as_ref().and_then(|remote_service| remote_service.learner.as_deref());
        let mut command = Command::new(self.program(project));
        dev_server::forget_settings(&mut command);
        command
            .arg("--ready-file")
            .arg(setup.ready_file(&self.service))
            // With the code beside it that it was built from: the worker of a rehearsal runs what its folder has.
            .current_dir(folder(project, self.kept.number))
            .envs(services::worker_environment(&setup.ports, setup.remote_service.as_ref()))
            .env(DEPLOYMENT_VARIABLE, contract::deployment(learner))
            .env(BUILD_ID_VARIABLE, self.kept.number.to_string());
        command
    }
}

/// Keeps this program, and the code in place, as the version of this number; one that is there is replaced. A process that runs
/// from it keeps running.
///
/// # Errors
/// The lab's folder cannot be written to.
pub(crate) fn keep(project: &Project, number: u32, program: &Path) -> Result<()> {
    let folder = folder(project, number);
    let keep = || -> std::io::Result<()> {
        for module in [lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES] {
            let copy = folder.join(module);
            copy.parent().map_or(Ok(()), make_private)?;
            files::replace(&copy, &fs::read(project.root.join(module))?, 0o600)?;
        }
        let new = folder.join(format!("{WORKER}.new"));
        deployed::keep(program, &new)?;
        fs::rename(&new, folder.join(WORKER))?;
        // Two links to one file are both still there.
        let _ = fs::remove_file(new);
        Ok(())
    };
    keep().with_context(|| format!("could not write {}", project.display(&folder)))
}

/// Writes the list of versions; without any, there is no list.
///
/// # Errors
/// The lab's folder cannot be written to; then the list is as before.
pub(crate) fn write(project: &Project, kept: &KeptVersions) -> Result<()> {
    if !kept.versions.is_empty() {
        return project.write_json(FILE, &kept.to_json());
    }
    match fs::remove_file(project.in_lab(FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not delete {}", project.display(&project.in_lab(FILE))))
        }
        _ => Ok(()),
    }
}

/// Removes what is kept of versions that are not in the list. What cannot be removed is not run, and goes the next time.
pub(crate) fn clear(project: &Project, kept: &KeptVersions) {
    let is_kept = |name: &str| kept.versions.iter().any(|version| version.number.to_string() == name);
    for entry in fs::read_dir(project.in_lab(FOLDER)).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(is_kept) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    // Only an empty one is removed.
    let _ = fs::remove_dir(project.in_lab(FOLDER));
}

fn folder(project: &Project, number: u32) -> PathBuf {
    project.in_lab(FOLDER).join(number.to_string())
}

/// These versions, for a sentence.
pub(crate) fn listed<'a>(versions: impl Iterator<Item = &'a Version>) -> String {
    versions.map(|version| version.service.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with code in place and a program.
    fn project() -> (tempfile::TempDir, Project, PathBuf) {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let root = folder.path().to_owned();
        for (file, content) in [
            (lab::LIVE_WORKFLOW, "workflow"),
            (lab::LIVE_ACTIVITIES, "activities"),
            ("target/debug/worker", "one"),
        ] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(file, content).expect("it can be written");
        }
        let program = root.join("target/debug/worker");
        let project = Project { lab: root.join(".lab"), root };
        project.make_lab().expect("it can be made");
        (folder, project, program)
    }

    fn kept(numbers: &[u32]) -> KeptVersions {
        let versions = numbers.iter().map(|&number| KeptVersion { number, content: 0 }).collect();
        KeptVersions { versions, stage: "roll-out".to_owned(), last: 2 }
    }

    #[test]
    fn a_version_keeps_its_program_and_its_code_when_both_change() {
        let (_folder, project, program) = project();
        keep(&project, 1, &program).expect("there is room");
        // As cargo writes it again.
        fs::remove_file(&program).expect("it is there");
        fs::write(&program, "two").expect("it can be written");
        fs::write(project.root.join(lab::LIVE_WORKFLOW), "another").expect("it can be written");
        keep(&project, 2, &program).expect("there is room");
        let read = |path: &str| fs::read_to_string(project.in_lab(path)).expect("it is there");
        assert_eq!((&*read("versions/1/worker"), &*read("versions/2/worker")), ("one", "two"));
        assert_eq!(read("versions/1/crates/worker/src/workflow.rs"), "workflow");
        assert_eq!(read("versions/2/crates/worker/src/workflow.rs"), "another");
        for _ in 0..2 {
            keep(&project, 1, &program).expect("there is room");
            assert_eq!(read("versions/1/worker"), "two");
            assert!(!project.in_lab("versions/1/worker.new").exists());
        }
    }

    #[test]
    fn only_the_folders_of_listed_versions_stay() {
        let (_folder, project, program) = project();
        for number in [1, 2] {
            keep(&project, number, &program).expect("there is room");
        }
        write(&project, &kept(&[2])).expect("there is room");
        clear(&project, &kept(&[2]));
        assert!(!project.in_lab("versions/1").exists() && project.in_lab("versions/2/worker").exists());
        assert_eq!(KeptVersions::read(&project.lab), kept(&[2]));
        for _ in 0..2 {
            write(&project, &KeptVersions::default()).expect("it is this test's own");
            clear(&project, &KeptVersions::default());
            assert!(!project.in_lab("versions").exists() && !project.in_lab(FILE).exists());
        }
    }
}

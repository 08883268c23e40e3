//! The worker that is deployed: which code it was built from, and a link to its program.
//!
//! Cargo writes the worker's program again whenever somebody builds the project, as the learner's tests do. What the lab runs must
//! change only when the lab deploys.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use checkout::project::Project;

use crate::{executables::Executables, services::WORKER, source_watch};

/// What is deployed. Clones share it.
#[derive(Clone)]
pub(crate) struct Deployed {
    root: PathBuf,
    contents: Arc<Mutex<Contents>>,
}

/// The content of the worker's source that it was built from.
#[derive(Clone, Copy, Default)]
struct Contents {
    /// Of the worker without a version, and in any case of the last build that succeeded.
    built: Option<u64>,
    /// Of the newest version, while the lab runs versions.
    version: Option<u64>,
}

impl Deployed {
    pub(crate) fn new(project: &Project) -> Deployed {
        Deployed { root: project.root.clone(), contents: Arc::default() }
    }

    /// Notes that the worker was built, and has the lab run a link to it. While the lab runs versions, it runs none without.
    pub(crate) fn deploy(&self, project: &Project, executables: &mut Executables, content: u64) {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).built = Some(content);
        if let Some(built) = executables.0.get_mut(WORKER) {
            let link = link(project);
            // On a full disk, or a disk of another kind, the lab runs what cargo built.
            if keep(built, &link).is_ok() {
                *built = link;
            }
        }
    }

    /// Notes the content of the newest version; none if the lab runs no versions.
    pub(crate) fn set_version(&self, content: Option<u64>) {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).version = content;
    }

    /// Whether the worker's source differs from what is deployed, and from what was built last.
    pub(crate) fn is_outdated(&self) -> Outdated {
        let Contents { built, version } = *self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let now = source_watch::fingerprint(&self.root);
        let is_other = |content: Option<u64>| content.is_some_and(|content| content != now);
        Outdated { deployed: is_other(version.or(built)), built: is_other(built) }
    }

    /// Removes the link.
    pub(crate) fn remove(&self, project: &Project) {
        let _ = fs::remove_file(link(project));
    }
}

/// Whether the worker's source has changed since.
pub(crate) struct Outdated {
    /// What is deployed was built from other code.
    pub(crate) deployed: bool,
    /// The last build was of other code.
    pub(crate) built: bool,
}

fn link(project: &Project) -> PathBuf {
    project.in_lab("run").join(WORKER)
}

/// Links or copies the program. One that runs from the old link keeps running.
pub(crate) fn keep(program: &Path, link: &Path) -> std::io::Result<()> {
    let _ = fs::remove_file(link);
    fs::hard_link(program, link).or_else(|_| {
        let copied = fs::copy(program, link).map(drop);
        if copied.is_err() {
            let _ = fs::remove_file(link);
        }
        copied
    })
}

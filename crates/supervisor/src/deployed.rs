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
    /// The content of the worker's source that it was built from.
    content: Arc<Mutex<Option<u64>>>,
}

impl Deployed {
    pub(crate) fn new(project: &Project) -> Deployed {
        Deployed { root: project.root.clone(), content: Arc::default() }
    }

    /// Notes that the worker of this build is deployed, and has the lab run a link to it.
    pub(crate) fn deploy(&self, project: &Project, executables: &mut Executables, content: u64) {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = Some(content);
        if let Some(built) = executables.0.get_mut(WORKER) {
            let link = link(project);
            // On a full disk, or a disk of another kind, the lab runs what cargo built.
            if keep(built, &link).is_ok() {
                *built = link;
            }
        }
    }

    /// Whether the worker's source differs from what is deployed.
    pub(crate) fn is_outdated(&self) -> bool {
        let content = *self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.is_some_and(|content| content != source_watch::fingerprint(&self.root))
    }

    /// Removes the link.
    pub(crate) fn remove(&self, project: &Project) {
        let _ = fs::remove_file(link(project));
    }
}

fn link(project: &Project) -> PathBuf {
    project.in_lab("run").join(WORKER)
}

/// Links or copies the program. One that runs from the link before goes on.
fn keep(program: &Path, link: &Path) -> std::io::Result<()> {
    let _ = fs::remove_file(link);
    fs::hard_link(program, link).or_else(|_| {
        let copied = fs::copy(program, link).map(drop);
        if copied.is_err() {
            let _ = fs::remove_file(link);
        }
        copied
    })
}

//! For the tests of this crate: a checkout in a temporary folder.

use std::fs;

use crate::{modules, project::Project};

/// A checkout at the first stage. Its test removes the folder.
pub(crate) fn checkout(name: &str) -> Project {
    let root = std::env::temp_dir().join(format!("checkout-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("crates/worker/src")).expect("temporary files can be written");
    let project = Project { lab: root.join(".lab"), root };
    modules::enter(&project, &lab::STAGES[0]).expect("there is nothing in the way");
    project
}

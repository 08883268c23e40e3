//! The executables that cargo has built.

use std::{collections::BTreeMap, path::PathBuf};

/// The executables of a build, by name.
#[derive(Clone, Debug, Default)]
pub struct Executables(pub(crate) BTreeMap<String, PathBuf>);

impl Executables {
    /// The path of that executable.
    pub fn get(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).cloned()
    }
}

//! Programs on PATH.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The file of that name in the folders of PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    on_path_but(name, |_| false)
}

/// The same, but for these folders.
pub(crate) fn on_path_but(name: &str, is_left_out: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let path = env::var_os("PATH")?;
    let mut folders = env::split_paths(&path).filter(|folder| !is_left_out(folder));
    folders.find_map(|folder| Some(folder.join(name)).filter(&runs))
}

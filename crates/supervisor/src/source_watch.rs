//! Notices when the worker's source changes.
//!
//! It polls, ten times a second: that works everywhere, also on a Windows disk under WSL2 and on
//! network disks, where file events do not arrive; and for a handful of files it costs nothing.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

/// What is watched, relative to the project's folder.
const WATCHED: [&str; 2] = ["crates/worker/src", "crates/worker/Cargo.toml"];
/// How often we poll.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long the files must stay unchanged after a change: an editor may save several files, or one in
/// several steps.
const SETTLED: Duration = Duration::from_millis(50);

/// A hash of the content of the watched files.
pub(crate) fn fingerprint(root: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in files(root) {
        path.hash(&mut hasher);
        fs::read(&path).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

/// Calls `on_save` whenever a file was saved, until it returns false: with the fingerprint, and whether that is the same as before.
pub(crate) fn watch(root: PathBuf, mut on_save: impl FnMut(u64, bool) -> bool + Send + 'static) {
    let mut content = fingerprint(&root);
    let mut surface = look(&root);
    thread::spawn(move || {
        loop {
            thread::sleep(POLL_INTERVAL);
            let mut now = look(&root);
            if now == surface {
                continue;
            }
            while now != surface {
                surface = now;
                thread::sleep(SETTLED);
                now = look(&root);
            }
            let before = std::mem::replace(&mut content, fingerprint(&root));
            if !on_save(content, content == before) {
                return;
            }
        }
    });
}

/// Names, times and lengths: what changes show without reading the files.
fn look(root: &Path) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let seen = |path: PathBuf| {
        let metadata = fs::metadata(&path).ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        (path, modified, metadata.map_or(0, |metadata| metadata.len()))
    };
    files(root).into_iter().map(seen).collect()
}

/// The watched files, in order.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = WATCHED.iter().map(|path| root.join(path)).collect();
    while let Some(path) = open.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) if is_source(&path) => found.push(path),
            Err(_) => {}
        }
    }
    found.sort();
    found
}

/// Whether it is source: editors leave other files beside those they edit.
fn is_source(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|ending| ending == "rs" || ending == "toml")
}

//! Atomic writes, files that must not be replaced, and file locks.
//!
//! **Architecture invariant:** uses only the standard library, and nothing of the lab, so that every other crate may use it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

/// How often to retry a held lock.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Replaces a file atomically: writes a scratch file beside it and renames it. After a crash, the file has either the old or the new
/// content. `mode` is its Unix permissions.
///
/// # Errors
/// The folder is not writable, or the disk is full. The old content is kept, and the scratch file is removed.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let beside = scratch_of(path, process::id());
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Checks that there is no such file yet, for a command with `--force`.
///
/// # Errors
/// There is one; the error says how to replace it.
pub fn refuse_existing(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        let text =
            format!("{} already exists; choose another name, or replace it with --force", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    Ok(())
}

/// Removes the scratch files of killed [`replace`] calls. Call it while nothing writes the file.
pub fn clear_scratch(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let scratch = format!(".{name}.");
    let folder = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    for entry in folder.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(&scratch));
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The scratch file of a process, hidden beside the file.
fn scratch_of(path: &Path, pid: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{pid}"))
}

/// Locks a file, waiting up to `timeout`; zero tries once. Returns whether it got the lock, which is released when the file is
/// closed.
///
/// # Errors
/// The file system does not support locks.
pub fn lock_within(file: &File, timeout: Duration) -> io::Result<bool> {
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begin.elapsed() < timeout => thread::sleep(LOCK_POLL_INTERVAL),
            Err(TryLockError::WouldBlock) => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("files-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("temporary folders can be made");
        folder
    }

    #[test]
    fn a_file_is_replaced_atomically_and_no_scratch_file_remains() {
        let folder = folder("replace");
        let path = folder.join("state.json");
        for content in ["first", "second"] {
            replace(&path, content.as_bytes(), 0o600).expect("the folder is writable");
            assert_eq!(fs::read_to_string(&path).expect("it was written"), content);
        }
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1);
        let refused = refuse_existing(&path).expect_err("it exists").to_string();
        assert!(refused.contains("--force"), "{refused}");
        refuse_existing(&folder.join("new.json")).expect("it is new");
        fs::remove_dir_all(folder).expect("it is there");
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_content_and_leaves_no_scratch_file() {
        let folder = folder("fails");
        // A folder of the file's name, which nothing can be renamed over.
        let path = folder.join("taken");
        fs::create_dir_all(path.join("inside")).expect("temporary folders can be made");
        replace(&path, b"new", 0o600).expect_err("a folder is in the way");
        assert!(path.join("inside").is_dir());
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1);
        fs::remove_dir_all(folder).expect("it is there");
    }

    #[test]
    fn scratch_files_of_a_killed_writer_are_removed_and_other_files_are_not() {
        let folder = folder("scratch");
        let path = folder.join("state.json");
        fs::write(scratch_of(&path, 4711), "half").expect("the folder is writable");
        fs::write(folder.join(".state.json.mine"), "a learner's").expect("the folder is writable");
        clear_scratch(&path);
        let left: Vec<_> =
            fs::read_dir(&folder).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, [".state.json.mine"]);
        fs::remove_dir_all(folder).expect("it is there");
    }

    #[test]
    fn a_held_lock_times_out_and_a_released_one_is_taken() {
        let folder = folder("lock");
        let open = || File::create(folder.join("lock")).expect("the folder is writable");
        let held = open();
        assert!(lock_within(&held, Duration::ZERO).expect("this disk has locks"));
        assert!(!lock_within(&open(), Duration::from_millis(50)).expect("this disk has locks"));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| lock_within(&open(), Duration::from_secs(60)));
            drop(held);
            assert!(waiting.join().expect("it does not panic").expect("this disk has locks"));
        });
        fs::remove_dir_all(folder).expect("it is there");
    }
}

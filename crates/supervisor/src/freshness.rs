//! Edits that cargo would miss, because it compares only file times.
//!
//! Cargo builds a package again if a file is newer than the package's last build. It takes an edit for old where the clock has been
//! set back since that build, and where a file keeps its earlier time, as after `cp -p`, `rsync -a` or `mv`. The lab would then
//! report code as deployed that has never been built.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::cargo;
use checkout::project::Project;

/// The file in which cargo keeps the time of a build.
const BUILT_AT: &str = "invoked.timestamp";
/// Another program's clock may be ahead of this one by so much.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Makes cargo build the project's packages again whose files have changed in a way that their times do not show: it removes cargo's
/// notes on the last build.
pub fn distrust_file_times(project: &Project) {
    distrust_times_in(project, &cargo::target(project));
}

fn distrust_times_in(project: &Project, target: &Path) {
    let limit = SystemTime::now() + TOLERANCE;
    // A package has notes for each of its programs, libraries and tests.
    let mut sources: BTreeMap<String, Vec<fs::Metadata>> = BTreeMap::new();
    for (package, notes) in notes(target) {
        let folder = project.root.join("crates").join(&package);
        let sources = sources.entry(package).or_insert_with(|| files_in(folder));
        if !sources.is_empty() && (is_from_the_future(&notes, limit) || hides_an_edit(&notes, sources)) {
            let _ = fs::remove_dir_all(notes);
        }
    }
}

/// Makes cargo build this package again, although it has noted that it is up to date.
pub(crate) fn distrust(project: &Project, package: &str) {
    for (_, notes) in notes(&cargo::target(project)).filter(|(of, _)| of == package) {
        let _ = fs::remove_dir_all(notes);
    }
}

/// Cargo's notes on what it has built: packages, and the folders with the notes on them, each by its package's name and a number.
fn notes(target: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    entries(&target.join("debug/.fingerprint")).into_iter().filter_map(|notes| {
        let (package, _) = notes.file_name()?.to_str()?.rsplit_once('-')?;
        Some((package.to_owned(), notes.clone()))
    })
}

/// Whether cargo made one of these notes at a time that is yet to come.
fn is_from_the_future(notes: &Path, limit: SystemTime) -> bool {
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
    entries(notes).iter().filter_map(modified).any(|time| time > limit)
}

/// Whether a source has changed after the build although its time of modification is before it.
fn hides_an_edit(notes: &Path, sources: &[fs::Metadata]) -> bool {
    let Ok(built) = fs::metadata(notes.join(BUILT_AT)) else { return false };
    let built = (built.mtime(), built.mtime_nsec());
    sources
        .iter()
        .any(|file| (file.mtime(), file.mtime_nsec()) <= built && (file.ctime(), file.ctime_nsec()) > built)
}

/// The files in a folder, and in those inside it.
fn files_in(folder: PathBuf) -> Vec<fs::Metadata> {
    let (mut open, mut files) = (vec![folder], Vec::new());
    while let Some(path) = open.pop() {
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => open.extend(entries(&path)),
            Ok(found) => files.push(found),
            Err(_) => {}
        }
    }
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A package that was built after its source was written.
    fn built() -> (tempfile::TempDir, Project, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let root = folder.path().to_owned();
        let source = root.join("crates/worker/src/workflow.rs");
        let notes = root.join("target/debug/.fingerprint/worker-0123");
        for file in [&source, &notes.join(BUILT_AT)] {
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(file, "x").expect("it can be written");
        }
        let project = Project { lab: root.join(".lab"), root };
        (folder, project, source, notes)
    }

    fn set_time(file: &Path, time: SystemTime) {
        File::options()
            .append(true)
            .open(file)
            .and_then(|file| file.set_modified(time))
            .expect("it is this test's own");
    }

    #[test]
    fn notes_on_unchanged_files_are_kept_and_so_are_those_that_cargo_finds_outdated_by_itself() {
        let (_folder, project, source, notes) = built();
        distrust_times_in(&project, &project.root.join("target"));
        assert!(notes.is_dir(), "nothing has changed");
        set_time(&source, SystemTime::now() + Duration::from_secs(1));
        distrust_times_in(&project, &project.root.join("target"));
        assert!(notes.is_dir(), "cargo sees that the file is newer");
    }

    #[test]
    fn an_edit_that_keeps_an_earlier_time_removes_the_notes() {
        let (_folder, project, source, notes) = built();
        // File times come in steps of some milliseconds.
        set_time(&notes.join(BUILT_AT), SystemTime::now() - Duration::from_secs(1));
        fs::write(&source, "y").expect("it can be written");
        set_time(&source, SystemTime::UNIX_EPOCH);
        distrust_times_in(&project, &project.root.join("target"));
        assert!(!notes.exists());
    }

    #[test]
    fn notes_from_the_future_are_removed() {
        let (_folder, project, _, notes) = built();
        set_time(&notes.join(BUILT_AT), SystemTime::now() + Duration::from_secs(3600));
        distrust_times_in(&project, &project.root.join("target"));
        assert!(!notes.exists());
    }
}

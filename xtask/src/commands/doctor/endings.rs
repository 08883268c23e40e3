//! How the files of this checkout are encoded: an editor or a copy made on Windows changes that.

use std::fs;

use super::finding::{Finding, note};
use checkout::project::Project;

/// What works only with LF: files, and folders of such files.
const LF_ONLY: [&str; 8] = [
    ".ci",
    ".devcontainer",
    ".envrc",
    "compose",
    "crates/replay-in-ci/export-histories.sh",
    "flake.nix",
    "nix",
    "nix/stand-in",
];

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let mut findings: Vec<Finding> = with_crlf(project).into_iter().collect();
    findings.extend(
        [::lab::LIVE_WORKFLOW, ::lab::LIVE_ACTIVITIES].iter().filter_map(|path| no_text(project, path)),
    );
    findings
}

/// Scripts and Nix files with CRLF. In a live module it makes no difference.
fn with_crlf(project: &Project) -> Option<Finding> {
    let mut files: Vec<String> = LF_ONLY.into_iter().flat_map(|path| files(project, path)).collect();
    let has_crlf = |path: &String| {
        fs::read(project.root.join(path)).is_ok_and(|text| text.windows(2).any(|bytes| bytes == b"\r\n"))
    };
    files.retain(has_crlf);
    files.sort();
    let first = files.first()?;
    let says = match files.len() {
        1 => format!("{first} has CRLF, and works only with LF"),
        number => format!("{first} and {} more have CRLF, and work only with LF", number - 1),
    };
    let remedy = format!("sed -i 's/\\r$//' {}", files.join(" "));
    Some(note("line endings", says, &remedy))
}

/// The file, or the files of the folder, relative to the project's folder.
fn files(project: &Project, path: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(project.root.join(path)) else { return vec![path.to_owned()] };
    let files = entries.flatten().filter(|entry| entry.path().is_file());
    files.map(|entry| format!("{path}/{}", entry.file_name().to_string_lossy())).collect()
}

/// A live module that is not UTF-8, as the compiler needs it.
fn no_text(project: &Project, path: &str) -> Option<Finding> {
    let text = fs::read(project.root.join(path)).ok()?;
    let is_wrong = std::str::from_utf8(&text).is_err();
    is_wrong.then(|| note("encoding", format!("{path} is not UTF-8"), "save it as UTF-8 in your editor"))
}

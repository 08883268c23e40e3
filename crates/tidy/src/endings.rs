//! Checks the line endings of the project's files: a script with CRLF does not run, and a string of Nix would contain it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::complaint::Complaint;

/// What is not the project's own: folders that git, Nix, cargo and the lab write to.
const SKIPPED: [&str; 4] = [".direnv", ".git", ".lab", "target"];

/// The files that have a line with CRLF. What a learner edits is not among them: those endings are the editor's.
pub(super) fn check(root: &Path) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("could not read the folder {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("could not read {}", folder.display()))?;
            let path = entry.path();
            let kind = entry.file_type().with_context(|| format!("could not read {}", path.display()))?;
            if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                open.push(path);
            } else if kind.is_file() {
                let content =
                    fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
                let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                complaints.extend(line_with_crlf(&content).map(|line| complaint(&file, line)));
            }
        }
    }
    complaints.retain(|complaint| ![lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES].contains(&&*complaint.file));
    complaints.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(complaints)
}

/// The number of the first line of a text that ends with CRLF.
fn line_with_crlf(content: &[u8]) -> Option<usize> {
    let at = content.windows(2).position(|bytes| bytes == b"\r\n")?;
    let is_text = !content.contains(&0);
    is_text.then(|| content[..at].split(|byte| *byte == b'\n').count())
}

fn complaint(file: &str, line: usize) -> Complaint {
    let to_do = format!("save it with LF, or type: sed -i 's/\\r$//' {file}");
    Complaint::at(file, line, "this line ends with CRLF", to_do)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_crlf_is_reported_with_its_first_such_line() {
        let root = std::env::temp_dir().join(format!("tidy-endings-{}", std::process::id()));
        let write = |file: &str, content: &[u8]| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(path, content).expect("it can be written");
        };
        write("README.md", b"# The lab\n");
        write("nix/test", b"#!/bin/sh\r\necho\r\n");
        write(".ci/run", b"#!/bin/sh\necho\n\r\nend");
        write("docs/picture.png", b"\x89PNG\r\n\x1a\n\0");
        write("target/debug/build", b"\r\n");
        write(".lab/worker.log", b"\r\n");
        write(lab::LIVE_WORKFLOW, b"// mine\r\n");
        let complaints = check(&root).expect("all can be read");
        let reported: Vec<_> =
            complaints.iter().map(|complaint| (complaint.file.as_str(), complaint.line)).collect();
        assert_eq!(reported, [(".ci/run", Some(3)), ("nix/test", Some(1))]);
        fs::remove_dir_all(root).expect("it is there");
    }
}

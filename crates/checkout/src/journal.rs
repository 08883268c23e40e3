//! Writes the [journal] of a drill.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
};

use anyhow::{Context, Result};
use lab_client::{journal, time};

use crate::project::{Project, open_private};

/// Adds a command, typed just now.
///
/// # Errors
/// The lab's folder cannot be written to.
pub fn append(project: &Project, command: &str) -> Result<()> {
    let path = project.in_lab(journal::FILE);
    let line = format!("{}\n", journal::line(&time::rfc3339_exact(time::now()), command));
    // In one write, so that lines of two commands do not mix.
    open_private(&path, OpenOptions::new().append(true))
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| format!("could not write {}", path.display()))
}

/// Empties it: a drill begins.
///
/// # Errors
/// The lab's folder cannot be written to.
pub fn empty(project: &Project) -> Result<()> {
    let path = project.in_lab(journal::FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn commands_are_added_until_the_next_drill_begins() {
        let project = fixture::checkout("journal");
        empty(&project).expect("there is nothing to remove");
        append(&project, "cargo xtask retry").expect("it can be written");
        append(&project, "cargo xtask lab deploy").expect("it can be written");
        let read = journal::read(&project.lab);
        let commands: Vec<&str> = read.iter().map(|(_, command)| &**command).collect();
        assert_eq!(commands, ["cargo xtask retry", "cargo xtask lab deploy"]);
        assert!(read[0].0 <= read[1].0);
        empty(&project).expect("it can be removed");
        assert_eq!(journal::read(&project.lab), []);
        fs::remove_dir_all(&project.root).expect("it is there");
    }
}

//! What is missing of the stages and their texts.

mod commands;
#[cfg(test)]
mod example;
mod links;
mod markdown;
mod order;
mod readme;
mod stages;

use std::{fmt, fs, io, path::Path};

use anyhow::{Context, Result};
use clap::Command;
use lab::STAGES;

use self::markdown::Markdown;
pub use self::stages::{is_used, live_modules};
use checkout::project::Project;

/// Something that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file it is in, relative to the project's folder.
    pub file: String,
    /// The line in it, where it is in one.
    pub line: Option<usize>,
    /// What it is.
    pub what: String,
    /// What to do about it.
    pub to_do: String,
}

impl Complaint {
    fn of_file(file: impl Into<String>, what: impl Into<String>, to_do: impl Into<String>) -> Complaint {
        Complaint { file: file.into(), line: None, what: what.into(), to_do: to_do.into() }
    }

    fn at(file: &str, line: usize, what: impl Into<String>, to_do: impl Into<String>) -> Complaint {
        Complaint { line: Some(line), ..Complaint::of_file(file, what, to_do) }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(f, "{}{line}: {}; {}", self.file, self.what, self.to_do)
    }
}

/// What is missing of the stages: of each row, and of the files that belong to rows.
pub fn stages(project: &Project) -> Result<Vec<Complaint>> {
    let mut complaints = stages::rows(STAGES);
    complaints.extend(stages::files(STAGES, project)?);
    complaints.extend(order::rows(STAGES));
    complaints.extend(order::sources(STAGES, &project.root)?);
    Ok(complaints)
}

/// What is wrong in the project's texts for people: commands, links, stages, and the tables of the README.
pub fn texts(project: &Project, command_line: &Command) -> Result<Vec<Complaint>> {
    let mut files = Vec::new();
    for folder in ["", "docs", "lab"] {
        for name in names(&project.root.join(folder), "md")? {
            let file = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let source = fs::read_to_string(project.root.join(&file))
                .with_context(|| format!("could not read {file}"))?;
            files.push(Markdown::new(file, source));
        }
    }
    let commands = files.iter().flat_map(|file| commands::check(file, command_line));
    let mut complaints: Vec<Complaint> = commands.chain(links::check(&files, &project.root)).collect();
    complaints.extend(order::texts(STAGES, &files)?);
    complaints.extend(readme::commands(&files, command_line));
    complaints.extend(readme::stages(STAGES, &files));
    Ok(complaints)
}

/// The names of a folder's files with that ending, in order; none of a folder that is not there.
fn names(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("could not read the folder {}", folder.display()))?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let chosen = paths.filter(|path| path.is_file() && path.extension().is_some_and(|end| end == ending));
    let name = |path: std::path::PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    let mut names: Vec<String> = chosen.filter_map(name).collect();
    names.sort();
    Ok(names)
}

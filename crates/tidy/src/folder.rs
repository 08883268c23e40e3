//! The files of a folder.

use std::{fs, io, path::Path};

use anyhow::{Context, Result};

/// The names of a folder's files with this extension, sorted; none if the folder does not exist.
pub(crate) fn names(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let mut names = files(folder)?;
    names.retain(|name| Path::new(name).extension().is_some_and(|end| end == ending));
    Ok(names)
}

/// The names of a folder's files, sorted; none if the folder does not exist.
pub(crate) fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("could not read the folder {}", folder.display()))?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let chosen = paths.filter(|path| path.is_file());
    let name = |path: std::path::PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    let mut names: Vec<String> = chosen.filter_map(name).collect();
    names.sort();
    Ok(names)
}

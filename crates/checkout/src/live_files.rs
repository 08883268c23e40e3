//! The two files of the live modules: where they are, what they hold, and whether that is shipped.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab::{STAGES, Stage, is_same_code};

use crate::project::Project;

/// The live modules, relative to the project's folder.
pub(crate) const LIVE: [&str; 2] = [lab::LIVE_WORKFLOW, lab::LIVE_ACTIVITIES];

/// What the live modules hold; one that was deleted holds nothing.
pub(crate) type Contents = [Option<Vec<u8>>; 2];

/// The live modules.
pub(crate) fn live_paths(project: &Project) -> [PathBuf; 2] {
    LIVE.map(|path| project.root.join(path))
}

/// The modules of a stage, as shipped.
pub(crate) fn sources(stage: &Stage) -> [&'static [u8]; 2] {
    [stage.workflow.source.as_bytes(), stage.activities.source.as_bytes()]
}

/// The modules to put in place for a stage: as shipped, but for live ones with the same code, which keep their line endings.
pub(crate) fn placed<'a>(stage: &Stage, live: &'a Contents) -> [&'a [u8]; 2] {
    let shipped = sources(stage);
    std::array::from_fn(|at| match &live[at] {
        Some(live) if is_same_code(live, shipped[at]) => live,
        _ => shipped[at],
    })
}

/// What these two files hold.
pub(crate) fn read_all(paths: &[PathBuf; 2]) -> Result<Contents> {
    Ok([read(&paths[0])?, read(&paths[1])?])
}

/// The content of a file, if there is one.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

/// Whether one of them is not the code of a variant that the project has anyway.
pub(crate) fn is_edited(live: &Contents) -> bool {
    live.iter().flatten().any(|content| !is_shipped(content))
}

/// Whether this is the code of a variant that the project has anyway.
pub(crate) fn is_shipped(content: &[u8]) -> bool {
    STAGES
        .iter()
        .flat_map(|stage| [&stage.workflow, &stage.activities])
        .any(|variant| variant.is_code_of(content))
}

/// The name of a file without its folder.
pub(crate) fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

//! Checks the stages, the texts and the structure of the project.

mod answers;
mod circles;
mod commands;
mod complaint;
mod endings;
#[cfg(test)]
mod example;
mod folder;
mod imports;
mod incidents;
mod layers;
mod links;
mod markdown;
mod order;
mod readme;
mod routes;
mod scripts;
mod snippets;
mod stages;
mod tasks;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use clap::Command;
use lab::{INCIDENTS, STAGES};

pub use self::{
    complaint::Complaint,
    stages::{is_used, live_modules},
};
use self::{
    folder::{files, names},
    markdown::Markdown,
    routes::Routes,
    scripts::Script,
};
use checkout::project::Project;

/// Checks the stages and incidents: each row, and the files that belong to rows.
pub fn stages(project: &Project) -> Result<Vec<Complaint>> {
    let mut complaints = stages::check(STAGES);
    complaints.extend(incidents::check(INCIDENTS));
    complaints.extend(stages::without_commands(&lab::WITHOUT_TEMPORAL));
    complaints.extend(stages::files(STAGES, INCIDENTS, project)?);
    complaints.extend(order::rows(STAGES));
    complaints.extend(order::sources(STAGES, &project.root)?);
    Ok(complaints)
}

/// Checks the structure of the project: import circles between the files of a crate, dependencies between crates that are not in
/// docs/architecture.md, and line endings.
///
/// # Errors
/// A file cannot be read.
pub fn structure(project: &Project) -> Result<Vec<Complaint>> {
    let mut complaints = circles::check(&project.root)?;
    complaints.extend(layers::check(&project.root)?);
    complaints.extend(endings::check(&project.root)?);
    Ok(complaints)
}

/// Checks the project's texts, scripts and workflows: commands, links, the instructor's answers, routes, stages, Rust code that is not compiled, and the tables of
/// the README.
pub fn texts(project: &Project, command_line: &Command) -> Result<Vec<Complaint>> {
    let mut files = Vec::new();
    for folder in ["", "docs", "docs/instructor", "lab", incidents::TEXTS] {
        for name in names(&project.root.join(folder), "md")? {
            let file = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let source = fs::read_to_string(project.root.join(&file))
                .with_context(|| format!("could not read {file}"))?;
            files.push(Markdown::new(file, source));
        }
    }
    let mut complaints: Vec<Complaint> =
        files.iter().flat_map(|file| commands::check(file, command_line)).collect();
    complaints.extend(links::check(&files, &project.root));
    complaints.extend(answers::check(&files));
    complaints.extend(order::texts(STAGES, &files)?);
    complaints.extend(readme::commands(&files, command_line));
    complaints.extend(readme::stages(STAGES, &files));
    let parts = tasks::Parts::read(&project.root)?;
    complaints.extend(tasks::rows(STAGES, &parts, command_line)?);
    complaints.extend(tasks::text(&lab::WITHOUT_TEMPORAL, &[], &parts, command_line)?);
    complaints.extend(snippets::check(&files, &project.root)?);
    let scripts = scripts(&project.root)?;
    complaints.extend(scripts.iter().flat_map(|script| scripts::check(script, command_line)));
    let routes = Routes::read(&project.root)?;
    complaints.extend(files.iter().flat_map(|text| routes.check(&text.file, text.source())));
    complaints.extend(scripts.iter().flat_map(|script| routes.check(&script.file, &script.source)));
    Ok(complaints)
}

/// The workflows, scripts and settings that mention commands and routes.
fn scripts(root: &Path) -> Result<Vec<Script>> {
    let mut scripts = Vec::new();
    for folder in [".ci", ".devcontainer", ".github/workflows", ".vscode", "compose", "nix"] {
        for file in files(&root.join(folder))? {
            let file = format!("{folder}/{file}");
            let text = fs::read(root.join(&file)).with_context(|| format!("could not read {file}"))?;
            scripts.push(Script { file, source: String::from_utf8_lossy(&text).into_owned() });
        }
    }
    Ok(scripts)
}

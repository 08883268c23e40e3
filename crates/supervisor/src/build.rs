//! Building what a lab runs, by cargo.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    cargo,
    cargo_output::{self, Shown},
    compile_error::CompileError,
    executables::Executables,
    freshness,
    log_copy::{Copier, Timed},
    logs,
    manifest::Unusable,
    process::{self, Ending, Identity},
    services::{self, ACCOUNT_API, WORKER},
};
use checkout::project::Project;

/// The grace period of a build that is interrupted.
pub const GRACE: Duration = Duration::from_secs(5);
/// The error of a build that fails, where cargo has printed the rest.
const FAILED: &str = "the build failed";
/// How long the last lines may take after cargo has ended: a compiler may hold the other end.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);
/// Should cargo not run.
const NO_CARGO: &str = "could not run cargo; see what is missing with: cargo xtask doctor";

/// The worker of a shadow: it runs the variants of which the live modules are copies.
pub const STAGE_WORKER: &str = "stage_worker";
/// The transfer as a plain program, without Temporal.
pub const PLAIN_TRANSFER: &str = "plain-transfer";
/// What a lab runs, with the worker that has every stage's modules in place of the learner's; and what the texts run besides.
pub fn binaries_for_play() -> Vec<&'static str> {
    let all = services::all_binaries().into_iter().chain([PLAIN_TRANSFER]);
    all.map(|name| if name == WORKER { STAGE_WORKER } else { name }).collect()
}

/// The packages that only the command line is made of. Cargo is called for them apart from the rest: the crates that both share
/// have fewer features without a lab's programs, and would be compiled once more.
pub const COMMAND_LINE: [&str; 8] =
    ["checkout", "classroom", "rehearsal", "supervisor", "terminal", "tidy", "xtask", "xtask-extra"];

/// What names the packages of [`COMMAND_LINE`] to cargo.
pub fn command_line_packages() -> Vec<&'static str> {
    COMMAND_LINE.iter().flat_map(|package| ["--package", package]).collect()
}

/// What names all other packages of the project to cargo.
pub fn other_packages() -> Vec<&'static str> {
    ["--workspace"]
        .into_iter()
        .chain(COMMAND_LINE.iter().flat_map(|package| ["--exclude", package]))
        .collect()
}

/// What came of a build of a lab.
#[derive(Debug, Default)]
pub struct Built {
    /// What was built; of a build that failed, what does not depend on the code that does not compile.
    pub executables: Executables,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Why a build failed.
#[derive(Debug)]
pub enum Failure {
    /// Cargo reported it: the first compile errors, if there are any.
    Cargo(Vec<CompileError>),
    /// Cargo did not begin, because of the worker's manifest.
    Manifest(Unusable),
    /// Cargo could not be run.
    NoCargo(String),
}

impl Failure {
    /// The compile errors.
    pub(crate) fn compile_errors(&self) -> &[CompileError] {
        match self {
            Failure::Cargo(errors) => errors,
            _ => &[],
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Cargo(errors) => match errors.first() {
                Some(error) => write!(f, "{FAILED}: {error}"),
                None => f.write_str(FAILED),
            },
            Failure::Manifest(unusable) => write!(f, "{FAILED}: {unusable}"),
            Failure::NoCargo(error) => f.write_str(error),
        }
    }
}

/// Where cargo's progress and the compiler's messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To the terminal, which also shows cargo's bar.
    Terminal,
    /// To `.lab/logs/build.log`.
    Log,
}

/// Builds these binaries of the packages that a lab runs, in the user's terminal, and returns where they are.
pub fn build(project: &Project, binaries: &[&str]) -> Result<Executables> {
    let mut command = cargo_build(project, binaries);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(NO_CARGO)?;
    finish(child).map_err(|error| match Unusable::ask(project) {
        Some(unusable) => error.context(unusable),
        None => error,
    })
}

/// Builds these binaries of whichever package, for a rehearsal: without the live modules, which may not even
/// compile now, and with the same features of what all share.
pub fn build_for_play(project: &Project, binaries: &[&str]) -> Result<Executables> {
    let mut command = cargo::call("build");
    command.arg("--message-format=json-render-diagnostics").args(other_packages());
    for binary in binaries {
        command.args(["--bin", binary]);
    }
    command.current_dir(&project.root);
    finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(NO_CARGO)?)
}

/// Builds the program of this package of the project, in the user's terminal, and returns where it is.
///
/// # Errors
/// The build fails; cargo has said why.
pub fn build_package(project: &Project, package: &str) -> Result<PathBuf> {
    let mut command = cargo::call("build");
    command
        .args(["--message-format=json-render-diagnostics", "--package", package])
        .current_dir(&project.root);
    // Cargo's progress is for somebody at a terminal.
    if !io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    let built = finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(NO_CARGO)?)?;
    built.get(package).with_context(|| format!("cargo built no program {package}"))
}

/// Builds the transfer as a plain program and a bank for it, with the features that they have in a lab, and tells where they are.
///
/// # Errors
/// The build fails; cargo has said why.
pub fn build_plain_transfer(project: &Project, output: Output) -> Result<Executables> {
    let mut command = cargo_build(project, &[ACCOUNT_API, PLAIN_TRANSFER]);
    command.args(["--package", PLAIN_TRANSFER]);
    if output == Output::Log {
        command = process::tied(&command);
        command.stderr(Stdio::piped());
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context(NO_CARGO)?;
    let _tie = child.stdin.take();
    let _copier = match child.stderr.take() {
        Some(stderr) => Some(Copier::start(stderr, Timed::new(logs::open(project, logs::BUILD)?))),
        None => None,
    };
    finish(child)
}

/// A lab's build in a process group of its own, so that a stop can end the compilers too. It waits until
/// a line is written to its standard input; see [`process::gated`].
pub fn gated(project: &Project, binaries: &[&str], output: Output, supervisor: &Identity) -> Result<Child> {
    let mut cargo = cargo_build(project, binaries);
    // So that code which does not compile keeps only its own program from being built.
    cargo.arg("--keep-going");
    cargo_output::report_progress(&mut cargo, output == Output::Terminal);
    process::mark(&mut cargo, supervisor);
    let mut gate = process::gated(&cargo);
    gate.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    gate.spawn().context(NO_CARGO)
}

/// Waits for a build that [`gated`] has started, and says at once which executables there are. When cargo was killed, its compilers
/// end as well.
pub fn finish_gated(
    project: &Project,
    mut child: Child,
    output: Output,
    on_executable: impl FnMut(&str, &Path) + Send + 'static,
) -> Result<Built> {
    // A compiler may hold the other end of these when cargo has gone.
    let executables = child.stdout.take().map(|stdout| thread::spawn(|| executables(stdout, on_executable)));
    let to: Box<dyn Write + Send> = match (output, logs::open(project, logs::BUILD)) {
        (Output::Log, Ok(log)) => Box::new(Timed::new(log)),
        // Also if the log cannot be opened, so that the compiler's messages are not lost.
        _ => Box::new(io::stderr()),
    };
    let shown = Shown::new(to, output == Output::Terminal);
    let shown = child.stderr.take().map(|stderr| Copier::start(stderr, shown));
    let status = child.wait().context("could not wait for cargo")?;
    if !process::group_is_empty(child.id()) {
        process::end_group(child.id(), None, &Ending { grace: GRACE, hurry: &|| false });
    }
    let executables = executables.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let shown = shown.and_then(|shown| shown.finish(SHOWN_WITHIN));
    let why = || {
        let unusable = shown.as_ref().and_then(|shown| Unusable::find(project, &shown.printed()));
        let errors = || shown.as_ref().map(Shown::errors).unwrap_or_default();
        unusable.map_or_else(|| Failure::Cargo(errors()), Failure::Manifest)
    };
    Ok(Built { executables, failure: (!status.success()).then(why) })
}

/// Waits for a build that has been started.
fn finish(mut child: Child) -> Result<Executables> {
    let executables = child.stdout.take().map(|stdout| executables(stdout, |_, _| ()));
    if !child.wait().context("could not wait for cargo")?.success() {
        bail!(FAILED);
    }
    Ok(executables.unwrap_or_default())
}

fn cargo_build(project: &Project, binaries: &[&str]) -> Command {
    freshness::distrust_file_times(project);
    let mut command = cargo::call("build");
    command.arg("--message-format=json-render-diagnostics");
    for package in services::packages() {
        command.args(["--package", package]);
    }
    for binary in binaries {
        command.args(["--bin", binary]);
    }
    command.current_dir(&project.root);
    command
}

/// Whether nothing of the lab has been built yet.
pub fn is_first(project: &Project) -> bool {
    !cargo::target(project).join("debug").join(WORKER).exists()
}

/// Those of these binaries that an earlier build has left.
pub(crate) fn earlier<'a>(
    project: &Project,
    binaries: impl Iterator<Item = &'a str>,
) -> BTreeMap<String, PathBuf> {
    let folder = cargo::target(project).join("debug");
    let found = binaries.map(|name| (name.to_owned(), folder.join(name)));
    found.filter(|(_, path)| path.exists()).collect()
}

/// Picks the executables out of cargo's messages.
fn executables(messages: impl Read, mut on_each: impl FnMut(&str, &Path)) -> Executables {
    let mut found = BTreeMap::new();
    for line in BufReader::new(messages).lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        if let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str())
        {
            on_each(name, Path::new(path));
            found.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Executables(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"contract"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"worker"},"executable":"/t/debug/worker"}"#,
            "\n",
            "not JSON\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        let mut each = Vec::new();
        let found = executables(messages.as_bytes(), |name, _| each.push(name.to_owned()));
        assert_eq!(each, ["worker"]);
        assert_eq!(found.get("worker"), Some(PathBuf::from("/t/debug/worker")));
        assert_eq!(found.get("contract"), None);
    }
}

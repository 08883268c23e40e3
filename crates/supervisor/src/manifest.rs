//! `crates/worker/Cargo.toml`, to which a learner may add a dependency: why cargo cannot use it, and the last version that it could.

use std::{env, fmt, fs, process::Stdio};

use checkout::project::Project;

use crate::{cargo, compile_error::without_escapes};

/// The manifest of the worker, in the project's folder.
pub const MANIFEST: &str = "crates/worker/Cargo.toml";
/// The last version of it with which a build of the lab succeeded, in the lab's folder.
const KEPT: &str = "worker-Cargo.toml";
/// What cargo prints first when the network is down.
const NETWORK: [&str; 3] = ["spurious network error", "failed to download", "Could not resolve host"];

/// Why cargo cannot use the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What cargo says.
    pub why: String,
    /// The lines that are new since the last successful build, such as `uuid = "1"`.
    pub new: Vec<String>,
    /// What to type to get that version back; none where there is none.
    pub undo: Option<String>,
    /// This program, which runs without cargo.
    pub program: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cargo cannot use {MANIFEST}: {}", self.why)?;
        if !self.new.is_empty() {
            write!(f, " (new there: {})", self.new.join("; "))?;
        }
        write!(f, "; {}; meanwhile type {} in place of cargo xtask", self.remedy(), self.program)
    }
}

impl Unusable {
    /// Why a call of cargo failed, by what it printed, if it is because of the manifest.
    pub fn find(project: &Project, printed: &str) -> Option<Unusable> {
        let why = why(printed)?;
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let kept = project.in_lab(KEPT);
        let (now, before) = (read(project.root.join(MANIFEST)), read(kept.clone()));
        let is_new = |line: &&str| !line.is_empty() && !before.lines().any(|old| old.trim() == *line);
        let new = now.lines().map(str::trim).filter(is_new).map(str::to_owned);
        let undo = if !before.is_empty() && before != now {
            Some(format!("cp {} {MANIFEST}", project.display(&kept)))
        } else {
            project.is_git_checkout().then(|| format!("git checkout {MANIFEST}"))
        };
        let program = env::current_exe()
            .map_or_else(|_| "target/debug/xtask".to_owned(), |path| project.display(&path));
        // Without a version to compare with, every line would be new.
        Some(Unusable { why, new: if before.is_empty() { Vec::new() } else { new.collect() }, undo, program })
    }

    /// The same, by asking cargo, after a call of it has failed.
    pub fn ask(project: &Project) -> Option<Unusable> {
        Unusable::ask_with(project, &[])
    }

    /// The same, where no call has failed. Of a project that was never built, only the manifests are read: cargo would download every
    /// crate for the answer.
    pub fn check(project: &Project) -> Option<Unusable> {
        let kept = fs::read(project.in_lab(KEPT)).ok();
        if kept.is_some() && kept == fs::read(project.root.join(MANIFEST)).ok() {
            return None;
        }
        Unusable::ask_with(project, if kept.is_some() { &[] } else { &["--no-deps"] })
    }

    fn ask_with(project: &Project, arguments: &[&str]) -> Option<Unusable> {
        let mut metadata = cargo::call("metadata");
        metadata.args(["--format-version", "1", "--quiet"]).args(arguments).current_dir(&project.root);
        // One attempt: somebody waits for the answer.
        metadata.env("CARGO_NET_RETRY", "0").env("CARGO_TERM_COLOR", "never");
        let output = metadata.stdin(Stdio::null()).output().ok()?;
        (!output.status.success())
            .then(|| Unusable::find(project, &String::from_utf8_lossy(&output.stderr)))?
    }

    /// What to do.
    pub fn remedy(&self) -> String {
        match &self.undo {
            Some(undo) => format!("correct it, or undo the change: {undo}"),
            None => "correct it".to_owned(),
        }
    }
}

/// Keeps the manifest as it is: a build with it has succeeded.
pub(crate) fn keep(project: &Project) {
    let Ok(now) = fs::read(project.root.join(MANIFEST)) else { return };
    let kept = project.in_lab(KEPT);
    if fs::read(&kept).is_ok_and(|kept| kept == now) {
        return;
    }
    // On a full disk there is less to offer, and nothing else is lost.
    let _ = files::replace(&kept, &now, 0o600);
}

/// Cargo's reason, if it is the worker's manifest.
fn why(printed: &str) -> Option<String> {
    let printed = without_escapes(printed);
    // Of code that does not compile, the compiler says the rest.
    let names_it = printed.contains("package `worker v") || printed.contains("crates/worker");
    if printed.contains("could not compile") || !names_it {
        return None;
    }
    let errors = || printed.lines().filter_map(|line| line.trim().strip_prefix("error: "));
    let first = errors().next()?;
    // A general statement, and the reason as the last of its causes.
    let is_general = first.starts_with("failed to load manifest") || first.starts_with("failed to get");
    let causes = printed.lines().skip_while(|line| line.trim() != "Caused by:");
    let cause = causes.filter(|line| !line.trim().is_empty() && line.trim() != "Caused by:").last();
    let reason = cause.filter(|_| is_general).map_or(first, str::trim);
    Some(if NETWORK.iter().any(|sign| printed.contains(sign)) {
        format!("a crate could not be downloaded: {reason}")
    } else {
        reason.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: &str =
        "location searched: crates.io index\nrequired by package `worker v0.1.0 (/lab/crates/worker)`\n";

    #[test]
    fn what_cargo_says_of_the_manifest_is_told_in_one_sentence() {
        let unknown =
            format!("    Updating crates.io index\nerror: no matching package named `uid` found\n{REQUIRED}");
        assert_eq!(why(&unknown).as_deref(), Some("no matching package named `uid` found"));
        let broken = "error: unclosed table, expected `]`\n --> crates/worker/Cargo.toml:8:14\n  |\n\
                      error: failed to load manifest for workspace member `/lab/crates/worker`\n";
        assert_eq!(why(broken).as_deref(), Some("unclosed table, expected `]`"));
        let missing = "error: failed to load manifest for workspace member `/lab/crates/worker`\n\nCaused by:\n  failed to \
                       parse manifest at `/lab/crates/worker/Cargo.toml`\n\nCaused by:\n  `workspace.dependencies` was not defined\n";
        assert_eq!(why(missing).as_deref(), Some("`workspace.dependencies` was not defined"));
        let offline = "warning: spurious network error (1 try remaining)\nerror: failed to get `a` as a dependency of package \
                       `worker v0.1.0 (/lab/crates/worker)`\n\nCaused by:\n  [6] Could not resolve hostname\n";
        assert_eq!(
            why(offline).as_deref(),
            Some("a crate could not be downloaded: [6] Could not resolve hostname")
        );
    }

    #[test]
    fn code_that_does_not_compile_is_not_the_manifests_fault() {
        let code = "error[E0308]: mismatched types\n --> crates/worker/src/workflow.rs:1:2\n\nerror: could not compile `worker`\n";
        assert_eq!((why(code), why("error: linking failed\n")), (None, None));
    }

    #[test]
    fn the_last_usable_version_is_offered_with_what_is_new() {
        let root = env::temp_dir().join(format!("manifest-{}", std::process::id()));
        let project = Project { lab: root.join(".lab"), root: root.clone() };
        fs::create_dir_all(root.join("crates/worker")).expect("temporary files can be written");
        fs::create_dir_all(&project.lab).expect("temporary files can be written");
        fs::write(root.join(MANIFEST), "[dependencies]\n").expect("it can be written");
        let printed = format!("error: no matching package named `uid` found\n{REQUIRED}");
        let found = || Unusable::find(&project, &printed).expect("it is the manifest");
        assert_eq!((found().new, found().undo), (Vec::new(), None), "nothing is known of an earlier one");
        keep(&project);
        fs::write(root.join(MANIFEST), "[dependencies]\nuid = \"1\"\n").expect("it can be written");
        let said = found().to_string();
        assert!(said.contains("named `uid` found (new there: uid = \"1\"); correct it, or undo"), "{said}");
        assert!(said.contains("cp .lab/worker-Cargo.toml crates/worker/Cargo.toml"), "{said}");
        fs::remove_dir_all(root).expect("it is there");
    }
}

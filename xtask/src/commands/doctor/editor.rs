//! What an editor needs of Rust: rust-analyzer, and the standard library's source, which every rust-analyzer reads.

use std::{env, path::Path, process::Command};

use super::{
    finding::{Finding, good, note},
    tools,
};
use checkout::project::Project;
use supervisor::{temporal_cli::on_path, toolchain};

pub(super) fn check(project: &Project) -> Option<Finding> {
    let name = "rust-analyzer";
    let ask = |program: &Path, arguments: &[&str]| {
        toolchain::output(Command::new(program).args(arguments), project)
    };
    let sysroot = ask(&toolchain::rustc(), &["--print", "sysroot"])?;
    let has_source = env::var_os("RUST_SRC_PATH").is_some_and(|path| Path::new(&path).is_dir())
        || Path::new(&sysroot).join("lib/rustlib/src/rust/library").is_dir();
    let found = on_path(name);
    let version = found.as_deref().map(|program| ask(program, &["--version"]));
    let says = match (version, has_source) {
        (Some(Some(version)), true) => {
            return Some(good(name, format!("{version}, with the standard library's source")));
        }
        (None, true) => {
            let says = "not on PATH; for an editor with its own, the standard library's source is there";
            return Some(good(name, says));
        }
        // rustup puts a proxy of this name on PATH, whether the toolchain has it or not.
        (Some(None), _) => "on PATH, but it does not run: this Rust toolchain comes without it",
        (_, false) => "it needs the standard library's source, and this Rust toolchain comes without it",
    };
    let remedy = match tools::origin(&on_path("rustc").unwrap_or_else(toolchain::rustc)) {
        "rustup" => "for your editor, in this folder: rustup component add rust-analyzer rust-src",
        _ => "for your editor, install rust-analyzer and rust-src the way Rust was installed",
    };
    Some(note(name, says, remedy))
}

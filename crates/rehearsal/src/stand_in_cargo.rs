//! The `cargo` of a shadow's lab: it compiles nothing and names existing executables.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::json;
use supervisor::{
    build::{PLAIN_TRANSFER, STAGE_WORKER},
    executables::Executables,
    services::{self, WORKER},
};

/// It handles two commands: a build, and the replay of `test --mine --replay`, whose arguments end with that name.
const SCRIPT: &str = r#"#!/bin/sh
# Stands in for cargo where a lab is rehearsed: everything is built already.
here=$(dirname "$0")
for last; do :; done
case "$1 $last" in
  build\ *) exec cat "$here/built.json" ;;
  "test replay::") exec "$here/stage_worker" --replay ;;
esac
echo "a rehearsal compiles nothing, so this is not available: cargo $*" >&2
exit 1
"#;

/// Installs it in this folder as `cargo`, with the files that it needs.
pub(crate) fn install(folder: &Path, executables: &Executables) -> io::Result<()> {
    fs::write(folder.join("built.json"), messages(executables))?;
    if let Some(worker) = executables.get(STAGE_WORKER) {
        symlink(worker, folder.join(STAGE_WORKER))?;
    }
    let cargo = folder.join("cargo");
    fs::write(&cargo, SCRIPT)?;
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o700))
}

/// Cargo's output after a build: the path of each executable of a lab.
fn messages(executables: &Executables) -> String {
    let message = |name: &str| {
        let built = if name == WORKER { STAGE_WORKER } else { name };
        let executable = executables.get(built);
        let message =
            json!({ "reason": "compiler-artifact", "target": { "name": name }, "executable": executable });
        format!("{message}\n")
    };
    services::all_binaries().into_iter().chain([PLAIN_TRANSFER]).map(message).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_stand_in_for_cargo_handles_two_commands() {
        let folder = std::env::temp_dir().join(format!("xtask shadow {}", std::process::id()));
        fs::create_dir_all(&folder).expect("temporary files can be written");
        install(&folder, &Executables::default()).expect("it can be written");
        let (cargo, worker) = (folder.join("cargo"), folder.join(STAGE_WORKER));
        fs::write(&worker, "#!/bin/sh\necho \"replays: $*\"\n").expect("it can be written");
        fs::set_permissions(&worker, fs::Permissions::from_mode(0o700)).expect("it is there");
        fs::write(folder.join("built.json"), "what was built\n").expect("it can be written");
        let says = |words: &[&str]| {
            let output = Command::new(&cargo).args(words).output().expect("it is there");
            (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert_eq!(says(&["build", "--bin", "worker"]), (true, "what was built\n".to_owned()));
        assert_eq!(says(&["test", "--", "replay::"]), (true, "replays: --replay\n".to_owned()));
        for words in [&["test"][..], &["--version"], &["clippy", "replay::"], &[]] {
            assert_eq!(says(words), (false, String::new()), "{words:?}");
        }
        fs::remove_dir_all(folder).expect("it is there");
    }
}

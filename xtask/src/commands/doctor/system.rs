//! The system: its kernel, WSL, the free space.

use std::{env, fs};

use xshell::{Shell, cmd};

use super::finding::{Finding, good, missing, note};
use checkout::project::Project;

/// The space for a first build with some reserve, in MiB.
const ROOM: u64 = 3 * 1024;

pub(super) fn check(shell: &Shell, project: &Project) -> Vec<Finding> {
    [system(shell)].into_iter().chain(owner(project)).chain(disk(shell, project)).collect()
}

fn system(shell: &Shell) -> Finding {
    let uname = cmd!(shell, "uname -srm").quiet().ignore_stderr().read().unwrap_or_default();
    if !is_wsl() {
        return good("system", uname);
    }
    match env::current_dir() {
        Ok(folder) if folder.starts_with("/mnt") => note(
            "system",
            format!("{uname}, WSL, on a Windows drive"),
            "move the project to the Linux file system, such as ~/; builds are several times faster there",
        ),
        _ => good("system", format!("{uname}, WSL")),
    }
}

/// A folder of another user.
fn owner(project: &Project) -> Option<Finding> {
    let (says, remedy) = project.foreign_folder()?;
    Some(missing("owner", says, &remedy))
}

fn is_wsl() -> bool {
    fs::read_to_string("/proc/version").is_ok_and(|version| version.to_lowercase().contains("microsoft"))
}

/// The free space on the build's disk.
fn disk(shell: &Shell, project: &Project) -> Option<Finding> {
    let root = &project.root;
    let table = cmd!(shell, "df -Pk {root}").quiet().ignore_stderr().read().ok()?;
    let free: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    let (mib, built) = (free / 1024, root.join("target").is_dir());
    let says = format!("{}.{} GiB free", mib / 1024, mib % 1024 * 10 / 1024);
    Some(if mib < ROOM && !built {
        note("disk", says, "a first build needs up to 2 GiB; free some space if it fails")
    } else {
        good("disk", says)
    })
}

//! A checkout with a folder of another user, as after a command that was typed with sudo.

use std::{
    fs,
    fs::Permissions,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Output},
};

use nix::unistd::geteuid;
use webtest::skip;

/// Any user but root; the system need not know it.
const SOMEBODY: u32 = 65534;

/// Runs the command line in this folder as somebody who does not own its `.lab`.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(folder.join("program"));
    command.args(arguments).current_dir(folder).env_remove("CARGO_MANIFEST_DIR").env_remove("BUGLAB_DIR");
    if geteuid().is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    command.output().expect("it can be run")
}

#[test]
fn each_command_says_that_a_folder_belongs_to_another_user_and_how_to_change_that() {
    let folder_of_root = ["/root", "/var/root"].into_iter().find(|folder| Path::new(folder).is_dir());
    if !geteuid().is_root() && folder_of_root.is_none() {
        skip("another user's folder is needed");
        return;
    }
    // The folder for temporary files may be closed to others.
    let folder = tempfile::tempdir_in("/tmp").expect("there is a temporary folder");
    let path = folder.path();
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it is this test's own");
    for inside in ["xtask", "crates/worker/src"] {
        fs::create_dir_all(path.join(inside)).expect("it can be made");
    }
    fs::copy(env!("CARGO_BIN_EXE_xtask"), path.join("program")).expect("it can be copied");
    if geteuid().is_root() {
        fs::create_dir(path.join(".lab")).expect("it can be made");
        fs::set_permissions(path.join(".lab"), Permissions::from_mode(0o700)).expect("it is this test's own");
    } else if let Some(folder) = folder_of_root {
        symlink(folder, path.join(".lab")).expect("it can be made");
    }
    let expected = "belongs to another user";
    for arguments in
        [&["lab", "status"][..], &["lab", "stop"], &["check"], &["stage", "jerry", "--bare"], &["hint"]]
    {
        let output = run(path, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(expected) && said.contains("sudo chown -R"), "{arguments:?}: {said}");
    }
    let output = run(path, &["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(expected) && said.contains("-> sudo chown -R"), "{said}");
}

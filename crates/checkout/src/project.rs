//! Where things are: the project's folder, and the lab's own folder inside it.

use std::{
    env, fs,
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, access, geteuid};
use serde_json::Value;

/// Names another folder for the lab's state than `.lab`, so that several labs can run beside each
/// other on one checkout.
pub const LAB_VARIABLE: &str = "BUGLAB_DIR";

/// A socket in the lab's folder. Its name is in the error of Nix, which copies no sockets.
pub const NO_COPY: &str = "nix-needs-git-init-and-git-add-all";

/// The project's folder and the lab's.
#[derive(Clone, Debug)]
pub struct Project {
    /// The checkout.
    pub root: PathBuf,
    /// State, logs, databases and backups of one lab.
    pub lab: PathBuf,
}

impl Project {
    /// Finds the checkout: the one cargo runs this program for, else the one around the current folder.
    pub fn find() -> Result<Project> {
        let root = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(xtask) => Path::new(&xtask).parent().map(Path::to_owned),
            None => None,
        };
        let here = env::current_dir().context("could not tell the current folder")?;
        let root = root
            .filter(|root| is_root(root))
            .or_else(|| here.ancestors().find(|folder| is_root(folder)).map(Path::to_owned));
        let Some(root) = root else {
            bail!("{} is not inside the project; change to its folder and try again", here.display());
        };
        let lab = match env::var_os(LAB_VARIABLE).filter(|value| !value.is_empty()) {
            Some(lab) => here.join(lab),
            None => root.join(".lab"),
        };
        Ok(Project { root, lab })
    }

    /// What is wrong and what to type if another user owns the lab's folder or cargo's, as after a command that was typed with sudo.
    /// Every command would fail on it sooner or later, or take a running lab for a stopped one.
    pub fn foreign_folder(&self) -> Option<(String, String)> {
        let is_foreign = |folder: &PathBuf| {
            let is_usable = access(folder, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
            !is_usable && fs::metadata(folder).is_ok_and(|found| found.uid() != geteuid().as_raw())
        };
        let folder = [self.lab.clone(), self.root.join("target")].into_iter().find(is_foreign)?;
        let says =
            format!("{} belongs to another user, maybe because of a command with sudo", folder.display());
        let quoted = contract::shell_quoted(&folder.display().to_string());
        Some((says, format!("sudo chown -R \"$(id -un)\" {quoted}")))
    }

    /// A file or folder of the lab.
    pub fn in_lab(&self, name: &str) -> PathBuf {
        self.lab.join(name)
    }

    /// The log of a service, of a build or of the supervisor.
    pub fn log(&self, name: &str) -> PathBuf {
        self.lab.join("logs").join(format!("{name}.log"))
    }

    /// The file that a service writes when it is ready.
    pub fn ready_file(&self, service: &str) -> PathBuf {
        self.in_lab("run").join(format!("{service}.ready"))
    }

    /// Makes the lab's folders, for this user alone: they hold the control token and the backups.
    pub fn make_lab(&self) -> Result<()> {
        for folder in [self.lab.clone(), self.in_lab("logs"), self.in_lab("run"), self.in_lab("backup")] {
            // A folder that BUGLAB_DIR names may be for others as well; what the lab puts there is not.
            if folder == self.lab && folder.is_dir() && folder != self.root.join(".lab") {
                continue;
            }
            make_private(&folder)
                .with_context(|| format!("could not make the folder {}", folder.display()))?;
        }
        self.keep_from_nix();
        Ok(())
    }

    /// Whether the project is in a git checkout, be it as one of its folders.
    pub fn is_git_checkout(&self) -> bool {
        self.root.ancestors().any(|folder| folder.join(".git").exists())
    }

    /// From a folder that is not a git checkout, Nix copies all into its store, which everybody can read: the control token, too. So a
    /// socket stops it. Without one (a path may be too long for sockets), the flake rejects the copy.
    fn keep_from_nix(&self) {
        let socket = self.in_lab(NO_COPY);
        if self.lab.starts_with(&self.root) && !self.is_git_checkout() {
            // It stays for the next command, which cannot bind it again.
            let _ = UnixListener::bind(&socket);
            let _ = close_if_there(&socket);
        }
    }

    /// Writes a state file of the lab, such as `lab.json`, whole or not at all, for this user alone.
    ///
    /// # Errors
    /// The lab's folder cannot be written to. The old content is still there.
    pub fn write_json(&self, name: &str, content: &Value) -> Result<()> {
        let path = self.in_lab(name);
        files::replace(&path, content.to_string().as_bytes(), 0o600)
            .with_context(|| format!("could not write {}", path.display()))
    }

    /// Takes a state file of the lab away, if it is there.
    ///
    /// # Errors
    /// The lab's folder cannot be written to.
    pub fn remove_json(&self, name: &str) -> Result<()> {
        let path = self.in_lab(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The path as a person would write it: relative to the project, or with `~` for the home folder.
    pub fn display(&self, path: &Path) -> String {
        match path.strip_prefix(&self.root) {
            Ok(relative) => relative.display().to_string(),
            Err(_) => with_tilde(path),
        }
    }
}

/// The path with `~` for the home folder, so that it can be pasted without a user's name.
pub fn with_tilde(path: &Path) -> String {
    let home = env::var_os("HOME").filter(|home| !home.is_empty());
    match home.as_ref().map(|home| path.strip_prefix(home)) {
        Some(Ok(relative)) => format!("~/{}", relative.display()),
        _ => path.display().to_string(),
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("xtask").is_dir() && folder.join("crates/worker").is_dir()
}

/// Makes a folder, and those above it, for this user alone. One that is there is closed to the others.
pub fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return close(folder, &fs::metadata(folder)?);
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Opens a file to be written, for this user alone. It is made if there is none, and one that is there is closed
/// to the others.
pub fn open_private(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let file = how.create(true).mode(0o600).open(path)?;
    close(path, &file.metadata()?)?;
    Ok(file)
}

/// Closes a file to the others, if it is there.
pub fn close_if_there(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        found => close(path, &found?),
    }
}

/// Takes every right to it from the other users.
fn close(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    match found.permissions().mode() & 0o7777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => fs::set_permissions(path, Permissions::from_mode(mode & !0o077)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_project_is_shown_relative_to_it() {
        let project = Project { root: "/srv/lab".into(), lab: "/srv/lab/.lab".into() };
        assert_eq!(project.display(&project.log("worker")), ".lab/logs/worker.log");
        assert_eq!(project.display(Path::new("/elsewhere/x")), "/elsewhere/x");
    }

    #[test]
    fn a_lab_outside_of_a_git_checkout_has_a_socket_that_nix_does_not_copy() {
        use std::os::unix::fs::FileTypeExt;

        // The path of a socket must be short, and the folder for temporary files may have a long one.
        let root = PathBuf::from(format!("/tmp/checkout-nix-{}", std::process::id()));
        let is_there = |lab: &str| {
            let project = Project { root: root.clone(), lab: root.join(lab) };
            // Twice, as by the next command.
            project.make_lab().and_then(|()| project.make_lab()).expect("it can be made");
            fs::metadata(project.in_lab(NO_COPY)).is_ok_and(|file| file.file_type().is_socket())
        };
        assert!(is_there(".lab") && is_there("another-lab"));
        fs::create_dir(root.join(".git")).expect("it can be made");
        assert!(!is_there("lab-of-a-git-checkout"));
        fs::remove_dir_all(root).expect("it is there");
    }
}

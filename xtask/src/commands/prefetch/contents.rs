//! What is in a bundle, and how its files are checked.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use supervisor::temporal_cli;

/// The folder that the archive unpacks to. A clone has another name, and so has the folder that `install.sh` installs to.
pub(super) const TOP: &str = "temporal-bug-lab-bundle";
/// The SHA-256 of every other file, as `sha256sum` writes and reads it.
pub(super) const SUMS: &str = "SHA256SUMS";
/// A part of cargo's home: the crates' archives and their entries in the index, in folders as cargo names them.
pub(super) const REGISTRY: &str = "registry";
/// The sources of the lab.
pub(super) const CHECKOUT: &str = "checkout";

/// Where the Temporal CLI for a system is.
pub(super) fn cli_of(system: &str) -> String {
    format!("cli/{system}/temporal")
}

/// A crate from crates.io that the lab needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crate {
    name: String,
    /// The file's name in cargo's registry.
    pub(super) archive: String,
    /// The archive's SHA-256.
    pub(super) checksum: String,
}

impl Crate {
    /// Its file in a folder of the index, by the rules of cargo: two levels, by the first letters.
    pub(super) fn entry(&self) -> String {
        let name = self.name.to_lowercase();
        let folder = match name.len() {
            1 | 2 => name.len().to_string(),
            3 => format!("3/{}", &name[..1]),
            _ => format!("{}/{}", &name[..2], &name[2..4]),
        };
        format!(".cache/{folder}/{name}")
    }
}

/// The crates that a `Cargo.lock` names.
///
/// # Errors
/// It cannot be read, or names a crate with a checksum that is none.
pub(super) fn crates(lock: &Path) -> Result<Vec<Crate>> {
    let text = fs::read_to_string(lock).with_context(|| format!("could not read {}", lock.display()))?;
    Ok(parse(&text))
}

fn parse(lock: &str) -> Vec<Crate> {
    let packages = lock.split("[[package]]").skip(1).filter_map(|package| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        // The lab's own packages have none.
        let checksum = value("checksum")?;
        let name = value("name").filter(|name| name.is_ascii())?;
        Some(Crate { archive: format!("{name}-{}.crate", value("version")?), name, checksum })
    });
    packages.collect()
}

/// Cargo's registry of this user.
///
/// # Errors
/// There is no home folder.
pub(super) fn registry() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CARGO_HOME").or_else(|| set("HOME").map(|home| home.join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set, so cargo's registry cannot be found")?;
    Ok(env::current_dir().unwrap_or_default().join(home).join(REGISTRY))
}

/// The files below a folder, relative to it and sorted, without those that macOS adds.
///
/// # Errors
/// Something there is neither a file nor a folder, such as a link.
pub(super) fn files_in(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    walk(folder, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, before: &str, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let entry = entry.with_context(|| format!("could not read {}", folder.display()))?;
        let kind = entry.file_type().with_context(|| format!("could not read {}", folder.display()))?;
        let name = entry.file_name().into_string().ok().context("a file's name is not UTF-8")?;
        let path = format!("{before}{name}");
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found)?;
        } else if kind.is_file() {
            if !is_from_macos(&name) {
                found.push(path);
            }
        } else {
            bail!("{path} is neither a file nor a folder");
        }
    }
    Ok(())
}

/// Whether macOS may have added a file of this name to a folder that somebody opened, or copied to a stick.
fn is_from_macos(name: &str) -> bool {
    name == ".DS_Store" || name.starts_with("._")
}

/// Whether a path stays in its folder: relative, and without `..`.
pub(super) fn stays_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The lines of [`SUMS`] for the files of this folder.
///
/// # Errors
/// One cannot be read.
pub(super) fn sums(top: &Path) -> Result<String> {
    let mut lines = String::new();
    for file in files_in(top)?.iter().filter(|file| *file != SUMS) {
        let sum = temporal_cli::sha256(&top.join(file)).with_context(|| format!("could not read {file}"))?;
        lines.push_str(&format!("{sum}  {file}\n"));
    }
    Ok(lines)
}

/// Checks that the folder has exactly the files that its [`SUMS`] lists, apart from those that macOS adds.
///
/// # Errors
/// A file is missing, differs, or is not listed.
pub(super) fn check(top: &Path) -> Result<()> {
    let listed = fs::read_to_string(top.join(SUMS)).with_context(|| format!("it has no {SUMS}"))?;
    let listed: BTreeMap<&str, &str> =
        listed.lines().filter_map(|line| line.split_once("  ").map(|(sum, file)| (file, sum))).collect();
    let found = files_in(top)?;
    if let Some(missing) = listed.keys().find(|listed| !found.iter().any(|file| file == *listed)) {
        bail!("{missing} is missing");
    }
    for file in found.iter().filter(|file| *file != SUMS) {
        let sum = temporal_cli::sha256(&top.join(file)).with_context(|| format!("could not read {file}"))?;
        match listed.get(file.as_str()) {
            None => bail!("{file} is not listed in {SUMS}"),
            Some(listed) if *listed != sum => bail!("{file} differs from what {SUMS} lists"),
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_of_a_lock_are_found_where_cargo_has_them() {
        let lock = "version = 4\n\n[[package]]\nname = \"Inflector\"\nversion = \"0.1.0\"\nsource = \"registry\"\nchecksum = \"a1\"\n\
                    dependencies = [\n \"syn\",\n]\n\n[[package]]\nname = \"worker\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"syn\"\nversion = \"2.0.1\"\nchecksum = \"b2\"\n";
        let found = parse(lock);
        let parts: Vec<_> = found.iter().map(|it| (&*it.archive, it.entry(), &*it.checksum)).collect();
        let expected = [
            ("Inflector-0.1.0.crate", ".cache/in/fl/inflector".to_owned(), "a1"),
            ("syn-2.0.1.crate", ".cache/3/s/syn".to_owned(), "b2"),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_path_out_of_the_folder_is_recognized() {
        for (path, inside) in
            [("a/b", true), ("./a", true), ("/a", false), ("a/../../b", false), ("..", false), ("", false)]
        {
            assert_eq!(stays_inside(path), inside, "{path}");
        }
    }

    #[test]
    fn every_change_of_a_bundle_is_found() {
        let top = env::temp_dir().join(format!("xtask-bundle-{}", std::process::id()));
        fs::create_dir_all(top.join("cli")).expect("temporary folders can be made");
        let write = |file: &str, text: &str| fs::write(top.join(file), text).expect("it can be written");
        write("cli/temporal", "program");
        write("versions", "rust 1");
        write(SUMS, &sums(&top).expect("all can be read"));
        check(&top).expect("nothing has changed");
        let fails = || check(&top).expect_err("it has changed").to_string();
        write("versions", "rust 2");
        assert_eq!(fails(), "versions differs from what SHA256SUMS lists");
        write("versions", "rust 1");
        write(".DS_Store", "");
        write("cli/._temporal", "");
        check(&top).expect("macOS adds such files");
        assert!(!sums(&top).expect("all can be read").contains("._"));
        write("more", "");
        assert_eq!(fails(), "more is not listed in SHA256SUMS");
        fs::rename(top.join("more"), top.join("versions")).expect("it is there");
        fs::remove_file(top.join("versions")).expect("it is there");
        assert_eq!(fails(), "versions is missing");
        std::os::unix::fs::symlink("/etc/passwd", top.join("versions")).expect("links can be made");
        assert_eq!(fails(), "versions is neither a file nor a folder");
        fs::remove_dir_all(top).expect("it is there");
    }
}

//! Finds import circles between the files of a crate.
//!
//! Sources are parsed as text: `use`s, and paths in code that start with `crate`, `self`, `super` or one of the file's own modules. A
//! re-exported name (`pub use`) counts as an import of the file that defines it. `mod x;` is not an import, and tests may import
//! anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};

use crate::{
    complaint::Complaint,
    imports::{Imports, Target},
};

/// The circles in the crates of this project.
pub(crate) fn check(root: &Path) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for folder in crate_folders(root)? {
        let mut sources = BTreeMap::new();
        let source = root.join(&folder).join("src");
        // A crate may be made of tests alone.
        if !source.is_dir() {
            continue;
        }
        read(&source, "", &mut sources)?;
        complaints.extend(circles(&sources).into_iter().map(|circle| {
            let first = circle.files.first().map_or("", String::as_str);
            let edges: Vec<String> = circle.edges.iter().map(ToString::to_string).collect();
            let what = format!("{} files import each other: {}", circle.files.len(), edges.join("; "));
            let to_do = "move what both sides need into a separate file";
            Complaint::of_file(format!("{folder}/src/{first}"), what, to_do)
        }));
    }
    Ok(complaints)
}

/// The folders of the crates, relative to the project's.
pub(super) fn crate_folders(root: &Path) -> Result<Vec<String>> {
    let mut folders = vec!["xtask".to_owned()];
    for entry in fs::read_dir(root.join("crates")).context("could not read crates")?.flatten() {
        folders.push(format!("crates/{}", entry.file_name().to_string_lossy()));
    }
    folders.retain(|folder| root.join(folder).join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}

/// Reads a folder's Rust files, by their relative paths.
fn read(folder: &Path, before: &str, sources: &mut BTreeMap<String, String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    for entry in entries.flatten() {
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            // Each file there is a program, and so a separate crate.
            if name != "bin" {
                read(&entry.path(), &format!("{name}/"), sources)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).with_context(|| format!("could not read {name}"))?;
            sources.insert(name, text);
        }
    }
    // The program beside a library is a separate crate too.
    if sources.contains_key("lib.rs") {
        sources.remove("main.rs");
    }
    Ok(())
}

/// Files that all import each other, directly or indirectly.
#[derive(Debug, PartialEq, Eq)]
struct Circle {
    files: Vec<String>,
    edges: Vec<Edge>,
}

/// One file imports another.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    names: BTreeSet<String>,
}

impl std::fmt::Display for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        write!(f, "{} imports {} ({})", self.from, self.to, names.join(", "))
    }
}

/// The circles among these files of one crate.
fn circles(sources: &BTreeMap<String, String>) -> Vec<Circle> {
    let files: Modules =
        sources.iter().map(|(file, text)| (module_of(file), File::new(file, text))).collect();
    let mut imports: BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
    for (module, file) in &files {
        for (inside, target) in &file.imports.paths {
            let Some(path) = absolute(&files, module, inside, &target.path) else { continue };
            let Some((to, name)) = resolve(&files, &path, 0) else { continue };
            if to != file.name {
                imports.entry(file.name).or_default().entry(to).or_default().insert(name);
            }
        }
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|from| (*from, reachable(&imports, from))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut circles = Vec::new();
    for &file in imports.keys() {
        if seen.contains(file) || !reaches(file, file) {
            continue;
        }
        let members: Vec<&str> =
            imports.keys().copied().filter(|other| reaches(file, other) && reaches(other, file)).collect();
        seen.extend(&members);
        let mut edges = Vec::new();
        for from in &members {
            for (to, names) in imports[from].iter().filter(|(to, _)| members.contains(to)) {
                edges.push(Edge { from: (*from).to_owned(), to: (*to).to_owned(), names: names.clone() });
            }
        }
        circles.push(Circle { files: members.into_iter().map(str::to_owned).collect(), edges });
    }
    circles
}

/// A file of a crate, and what it imports.
struct File<'a> {
    name: &'a str,
    imports: Imports,
}

impl<'a> File<'a> {
    fn new(name: &'a str, text: &str) -> File<'a> {
        File { name, imports: Imports::read(text) }
    }
}

type Modules<'a> = BTreeMap<Vec<String>, File<'a>>;

/// The path of a file's module.
fn module_of(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" | "main" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

/// The path from the crate's root, for a path in a module; none if it leads out of the crate.
fn absolute(files: &Modules<'_>, file: &[String], inside: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut module: Vec<String> = file.iter().chain(inside).cloned().collect();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            module.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|first| first == "super") {
                module.pop();
                rest = &rest[1..];
            }
        }
        child => {
            module.push(child.to_owned());
            if !files.contains_key(&module) {
                return None;
            }
            rest = &rest[1..];
        }
    }
    module.extend(rest.iter().cloned());
    Some(module)
}

/// The file that defines the item of a path, and the item's name there.
fn resolve<'a>(files: &Modules<'a>, path: &[String], depth: usize) -> Option<(&'a str, String)> {
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(length);
    let file = &files[module];
    let Some(name) = rest.first() else {
        return Some((file.name, module.last().cloned().unwrap_or_else(|| "crate".to_owned())));
    };
    let here = Some((file.name, name.clone()));
    // More steps would be a circle of re-exports.
    if depth > 8 || file.imports.items.contains(name) {
        return here;
    }
    for (inside, Target { path: used, name: called }) in &file.imports.uses {
        let Some(mut onwards) = absolute(files, module, inside, used) else { continue };
        if called == name {
            onwards.extend(rest[1..].iter().cloned());
            return resolve(files, &onwards, depth + 1);
        }
        let has_it = |module: &File<'_>| module.imports.items.contains(name);
        if called == "*" && files.get(&onwards).is_some_and(has_it) {
            return files.get(&onwards).map(|module| (module.name, name.clone()));
        }
    }
    here
}

/// The files that a file imports, directly or indirectly.
fn reachable<'a>(
    imports: &BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>,
    from: &str,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&'a str> = imports.get(from).into_iter().flat_map(BTreeMap::keys).copied().collect();
    while let Some(file) = left.pop() {
        if reached.insert(file) {
            left.extend(imports.get(file).into_iter().flat_map(BTreeMap::keys));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(Vec<String>, Vec<String>)> {
        let sources = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let circles = circles(&sources).into_iter();
        circles.map(|it| (it.files, it.edges.iter().map(ToString::to_string).collect())).collect()
    }

    #[test]
    fn this_project_has_no_import_circles() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let reported = check(&root).expect("this project can be read");
        assert_eq!(reported.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn a_circle_through_a_third_file_is_found() {
        let found = found(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::{b::{self, B as Bee}, d::D}; pub struct A;"),
            ("b.rs", "fn f() { super::c::C::new() } pub struct B;"),
            ("c.rs", "use super::a::A; pub struct C;"),
            ("d.rs", "pub struct D;"),
        ]);
        let files = ["a.rs", "b.rs", "c.rs"].map(str::to_owned).to_vec();
        let edges = ["a.rs imports b.rs (B, b)", "b.rs imports c.rs (C)", "c.rs imports a.rs (A)"];
        assert_eq!(found, [(files, edges.map(str::to_owned).to_vec())]);
    }

    #[test]
    fn a_circle_of_a_parent_and_a_child_is_found() {
        let found = found(&[
            ("main.rs", "mod commands; fn main() { commands::run(); }"),
            ("commands/mod.rs", "mod test; fn run() { test::run() } fn flag() {}"),
            ("commands/test.rs", "use super::flag; pub(super) fn run() { flag() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, ["commands/mod.rs", "commands/test.rs"]);
    }

    #[test]
    fn other_imports_are_accepted() {
        let found = found(&[
            // A re-exported name leads to the file that defines it.
            ("lib.rs", "mod a; mod b; pub use a::Money; pub use b::*; pub mod deep;"),
            ("a.rs", "pub struct Money; #[cfg(test)] mod tests { use super::*; use crate::b::Bank; }"),
            (
                "b.rs",
                "use crate::Money; pub struct Bank; // crate::deep::x()\nconst S: &str = \"crate::deep::x\";",
            ),
            (
                "deep/mod.rs",
                "mod child; use crate::{Bank, Money}; pub(in crate::deep) fn f(_: &'static Money) {}",
            ),
            ("deep/child.rs", "use std::fmt; use super::super::a::Money; #[cfg(test)] use super::f;"),
        ]);
        assert_eq!(found, []);
    }
}

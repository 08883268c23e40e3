//! Checks links between the project's Markdown files, and to its other files.

use std::path::{Component, Path, PathBuf};

use crate::{complaint::Complaint, markdown::Markdown};

/// The broken links.
pub(super) fn check(files: &[Markdown], root: &Path) -> Vec<Complaint> {
    let links = files.iter().flat_map(|file| file.links().into_iter().map(move |link| (file, link)));
    let dead = links.filter_map(|(from, (line, target))| {
        // Web links are not checked.
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let to = if path.is_empty() {
            PathBuf::from(&from.file)
        } else {
            normal(&Path::new(&from.file).with_file_name(path))
        };
        let complain = |what: String, to_do: &str| Some(Complaint::at(&from.file, line, what, to_do));
        if !path.is_empty() && !root.join(&to).exists() {
            return complain(
                format!("the link to {target} is broken: no such file"),
                "fix the link, or add the file",
            );
        }
        let known = files.iter().find(|file| Path::new(&file.file) == to);
        if !anchor.is_empty() && known.is_some_and(|file| !file.anchors().iter().any(|known| known == anchor))
        {
            return complain(
                format!("the link to {target} is broken: no such heading"),
                "use a heading of that file, in lower case, with - for each space",
            );
        }
        None
    });
    dead.collect()
}

/// The path with `..` resolved.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_links_are_reported() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = |name: &str, text: &str| Markdown::new(name.to_owned(), text.to_owned());
        // Neither of the two exists.
        let files = [
            file("a.md", "# A b\n[x](src/lib.rs) [x](#a-b) [x](https://x.org/#y)\n[y](nope.rs) [y](#c)"),
            file("src/d.md", "[x](lib.rs) [x](../src)\n\n[y](../a.md)"),
        ];
        let reported: Vec<String> = check(&files, root)
            .iter()
            .map(|complaint| {
                format!("{}:{}: {}", complaint.file, complaint.line.unwrap_or(0), complaint.what)
            })
            .collect();
        let expected = [
            "a.md:3: the link to nope.rs is broken: no such file",
            "a.md:3: the link to #c is broken: no such heading",
            "src/d.md:3: the link to ../a.md is broken: no such file",
        ];
        assert_eq!(reported, expected);
    }
}

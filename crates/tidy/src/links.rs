//! Links between the project's Markdown files, and to its other files.

use std::path::{Component, Path, PathBuf};

use crate::{complaint::Complaint, markdown::Markdown};

/// The links that lead nowhere.
pub(super) fn check(files: &[Markdown], root: &Path) -> Vec<Complaint> {
    let links = files.iter().flat_map(|file| file.links().into_iter().map(move |link| (file, link)));
    let dead = links.filter_map(|(from, (line, target))| {
        // Of the web nothing is known here.
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
                format!("its link to {target} leads to no file"),
                "fix the link, or write the file",
            );
        }
        let known = files.iter().find(|file| Path::new(&file.file) == to);
        if !anchor.is_empty() && known.is_some_and(|file| !file.anchors().iter().any(|known| known == anchor))
        {
            return complain(
                format!("its link to {target} leads to no heading"),
                "name a heading of that file: in small letters, with - for each space",
            );
        }
        None
    });
    dead.collect()
}

/// The path without `..`, as far as it goes.
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
    fn links_that_lead_nowhere_are_told() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = |name: &str, text: &str| Markdown::new(name.to_owned(), text.to_owned());
        // Neither of the two is there.
        let files = [
            file("a.md", "# A b\n[x](src/lib.rs) [x](#a-b) [x](https://x.org/#y)\n[y](nope.rs) [y](#c)"),
            file("src/d.md", "[x](lib.rs) [x](../src)\n\n[y](../a.md)"),
        ];
        let told: Vec<String> = check(&files, root)
            .iter()
            .map(|complaint| {
                format!("{}:{}: {}", complaint.file, complaint.line.unwrap_or(0), complaint.what)
            })
            .collect();
        let expected = [
            "a.md:3: its link to nope.rs leads to no file",
            "a.md:3: its link to #c leads to no heading",
            "src/d.md:3: its link to ../a.md leads to no file",
        ];
        assert_eq!(told, expected);
    }
}

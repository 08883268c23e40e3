//! Checks that each crate imports exactly the project's crates that docs/architecture.md lists for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};

use crate::{circles::crate_folders, complaint::Complaint};

const TABLE: &str = "docs/architecture.md";

/// The differences between the table of crates and the crates.
pub(crate) fn check(root: &Path) -> Result<Vec<Complaint>> {
    let read =
        |file: &str| fs::read_to_string(root.join(file)).with_context(|| format!("could not read {file}"));
    let mut manifests = BTreeMap::new();
    for folder in crate_folders(root)? {
        let name = folder.rsplit('/').next().unwrap_or(&folder).to_owned();
        manifests.insert(name, read(&format!("{folder}/Cargo.toml"))?);
    }
    Ok(compare(&read(TABLE)?, &manifests))
}

fn compare(text: &str, manifests: &BTreeMap<String, String>) -> Vec<Complaint> {
    let table = table(text);
    if table.is_empty() {
        let to_do = "start a table with | crate | what it does | imports |";
        return vec![Complaint::of_file(TABLE, "it has no table of crates", to_do)];
    }
    let mut complaints = Vec::new();
    for (name, (line, said)) in &table {
        let mut complain =
            |what: String, to_do: &str| complaints.push(Complaint::at(TABLE, *line, what, to_do));
        let Some(manifest) = manifests.get(name) else {
            complain(format!("the crate {name} does not exist"), "remove its row");
            continue;
        };
        let found: BTreeSet<String> =
            dependencies(manifest).into_iter().filter(|it| manifests.contains_key(it)).collect();
        for other in found.difference(said) {
            complain(
                format!("{name} depends on {other}, which is not in its row"),
                "remove the dependency, or add it to the row",
            );
        }
        for other in said.difference(&found) {
            complain(
                format!("{name} does not depend on {other}, which is in its row"),
                "remove it from the row",
            );
        }
    }
    for name in manifests.keys().filter(|name| !table.contains_key(*name)) {
        let what = format!("the crate {name} is not in the table");
        complaints.push(Complaint::of_file(TABLE, what, "add a row: what it does, and what it imports"));
    }
    complaints
}

/// The rows of the table of crates: the line of each, and its allowed dependencies.
fn table(text: &str) -> BTreeMap<String, (usize, BTreeSet<String>)> {
    let lines = text.lines().enumerate().skip_while(|(_, line)| {
        let cells = cells(line);
        cells.first() != Some(&"crate") || cells.last() != Some(&"imports")
    });
    let rows = lines.skip(2).take_while(|(_, line)| line.starts_with('|'));
    let rows = rows.filter_map(|(at, line)| {
        let cells = cells(line);
        let name = in_backticks(cells.first()?).into_iter().next()?;
        Some((name, (at + 1, in_backticks(cells.last()?).into_iter().collect())))
    });
    rows.collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn in_backticks(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The `[dependencies]` of a manifest, without those of tests.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut is_inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            is_inside = section == "dependencies" || section.ends_with(".dependencies");
            found.extend(section.strip_prefix("dependencies.").map(str::to_owned));
        } else if is_inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.insert(name.trim_matches('"').to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_of_this_project_import_what_the_table_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let reported = check(&root).expect("this project can be read");
        assert_eq!(reported, []);
    }

    #[test]
    fn differences_from_the_table_are_reported() {
        let text = "# The parts\n\n| crate | what it does | imports |\n| --- | --- | --- |\n\
                    | `contract` | names | – |\n\
                    | `bank` | the bank | `contract`, axum |\n\
                    | `page` | the page | `contract`, `bank` |\n\
                    | `gone` | nothing | – |\n\nmore `text`\n";
        let manifest = |text: &str| format!("[package]\nname = \"x\"\n{text}");
        let manifests = [
            ("bank", manifest("[dependencies]\naxum = \"1\"\ncontract.workspace = true\n")),
            (
                "contract",
                manifest(
                    "[dependencies]\n# bank = 1\nserde = \"1\"\n[dev-dependencies]\npage.workspace = true\n",
                ),
            ),
            (
                "page",
                manifest(
                    "[dependencies]\ncontract = { path = \"../contract\" }\nnew = { path = \"../new\" }\n",
                ),
            ),
            ("new", manifest("")),
        ];
        let manifests = manifests.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        let reported: Vec<String> = compare(text, &manifests).iter().map(ToString::to_string).collect();
        let expected = [
            "docs/architecture.md:8: the crate gone does not exist; remove its row",
            "docs/architecture.md:7: page depends on new, which is not in its row; remove the dependency, or add \
             it to the row",
            "docs/architecture.md:7: page does not depend on bank, which is in its row; remove it from the row",
            "docs/architecture.md: the crate new is not in the table; add a row: what it does, and what it imports",
        ];
        assert_eq!(reported, expected);
        assert!(compare("no table", &manifests)[0].what.contains("no table"));
    }
}

//! The code in a text: each `rust` block has to be in a file that is compiled, so that no reader copies what does not compile.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{complaint::Complaint, folder::names, markdown::Markdown};

/// The file for code that only texts have.
const SNIPPETS: &str = "crates/stages/tests/stages/snippets.rs";
/// What has it compiled.
const TESTS: (&str, &str) = ("crates/stages/tests/stages/main.rs", "mod snippets;");
/// The folders whose files a text may quote.
const QUOTED: [&str; 6] = [
    "crates/plain-transfer/src",
    "crates/replay-in-ci/tests",
    "crates/stages/src",
    "crates/stages/src/activities",
    "crates/stages/src/workflow",
    "crates/transfer-kit/src",
];
/// Its blocks are typed by a test of its own.
const AUTHORING: &str = "docs/authoring.md";

/// The blocks of these texts that no compiled file has.
///
/// # Errors
/// A file cannot be read.
pub(super) fn check(texts: &[Markdown], root: &Path) -> Result<Vec<Complaint>> {
    let mut sources = Vec::new();
    for folder in QUOTED {
        for name in names(&root.join(folder), "rs")? {
            sources.push(read(root, &format!("{folder}/{name}"))?);
        }
    }
    let (tests, declares) = TESTS;
    if root.join(tests).exists() && read(root, tests)?.contains(declares) {
        sources.push(read(root, SNIPPETS)?);
    }
    let sources: Vec<Vec<&str>> = sources.iter().map(|source| code(source.lines())).collect();
    let quoted =
        |block: &[&str]| sources.iter().any(|source| source.windows(block.len()).any(|lines| lines == block));
    let mut complaints = Vec::new();
    for text in texts.iter().filter(|text| text.file != AUTHORING) {
        for (line, block) in blocks(text) {
            if !block.is_empty() && !quoted(&block) {
                let what =
                    format!("its block of Rust is in no file that is compiled; it begins: {}", block[0]);
                let to_do = format!("quote a variant line for line, or write it into {SNIPPETS} too");
                complaints.push(Complaint::at(&text.file, line, what, to_do));
            }
        }
    }
    Ok(complaints)
}

fn read(root: &Path, file: &str) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| format!("could not read {file}"))
}

/// Lines as they are compared: without their indentation, and without empty ones.
fn code<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    lines.map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// The blocks of Rust in this text, with the line of the text that each begins on.
fn blocks(text: &Markdown) -> Vec<(usize, Vec<&str>)> {
    let mut blocks: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut last = 0;
    for line in text.lines().filter(|line| line.block == Some("rust")) {
        // Between two blocks is at least a fence.
        if line.number != last + 1 || blocks.is_empty() {
            blocks.push((line.number, Vec::new()));
        }
        last = line.number;
        if let Some((_, block)) = blocks.last_mut() {
            block.extend(code([line.text].into_iter()));
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_no_compiled_file_has_line_for_line_is_told_with_its_line() {
        let root = std::env::temp_dir().join(format!("tidy-snippets-{}", std::process::id()));
        let write = |file: &str, content: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(path, content).expect("it can be written");
        };
        write("crates/stages/src/workflow/fixed.rs", "fn a() {\n    one();\n\n    two();\n}\n");
        write(SNIPPETS, "three();\n");
        write(TESTS.0, "mod snippets;\n");
        // A file that is not compiled proves nothing.
        write("lab/four.rs", "four();\n");
        let text = "```rust\none();\ntwo();\n```\n\n- a list\n  ```rust\n  three();\n  ```\n\n```rust\none();\n```\n\
                    ```rust\ntwo();\none();\n```\n\n```rust\nfour();\n```\n\n```sh\nfive\n```\n";
        let markdown = |file: &str| Markdown::new(file.to_owned(), text.to_owned());
        let complaints =
            check(&[markdown("lab/01-a.md"), markdown(AUTHORING)], &root).expect("all can be read");
        let told: Vec<_> = complaints.iter().map(|complaint| (complaint.line, &*complaint.what)).collect();
        let what = |first| format!("its block of Rust is in no file that is compiled; it begins: {first}");
        assert_eq!(told, [(Some(15), &*what("two();")), (Some(20), &*what("four();"))]);
        fs::remove_dir_all(root).expect("it is there");
    }
}

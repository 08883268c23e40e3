//! For the tests of this crate: a checkout in a temporary folder.

use std::fs;

use crate::{modules, project::Project};

/// The same code with what editors on other systems make of it: other line endings, a byte order mark, a last line without an end.
pub(crate) fn with_other_endings(code: &str) -> [Vec<u8>; 5] {
    let crlf = code.replace('\n', "\r\n");
    [
        code.replacen('\n', "\r\n", 7),
        code.trim_end().to_owned(),
        format!("\u{feff}{crlf}"),
        crlf.trim_end().to_owned(),
        crlf,
    ]
    .map(String::into_bytes)
}

/// A checkout at the first stage. Its test removes the folder.
pub(crate) fn checkout(name: &str) -> Project {
    let root = std::env::temp_dir().join(format!("checkout-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("crates/worker/src")).expect("temporary files can be written");
    let project = Project { lab: root.join(".lab"), root };
    modules::enter(&project, &lab::STAGES[0]).expect("there is nothing in the way");
    project
}

//! Copies of a checkout, with what cargo has compiled in it.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// What a checkout is made of, but for what is only for git and for Nix.
const PARTS: [&str; 12] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "crates",
    "docs",
    "lab",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "xtask",
];

/// Copies the sources of a checkout.
pub fn sources(checkout: &Path, to: &Path) -> io::Result<()> {
    for part in PARTS.iter().filter(|part| checkout.join(part).exists()) {
        tree(&checkout.join(part), &to.join(part), &|from, to| fs::copy(from, to).map(drop))?;
    }
    Ok(())
}

/// Takes what cargo has compiled in the folder `compiled` along, for the copy at `to`: as hard links, but for what
/// cargo or rustc write to in place. They would write to each copy at once, and a build could then take the sources of another copy for
/// its own.
pub fn compiled(compiled: &Path, to: &Path) -> io::Result<()> {
    let target = to.join("target/debug");
    // A link needs one disk for both.
    let linked = |from: &Path, to: &Path| match from.extension().is_some_and(|kind| kind == "d") {
        true => with_time(from, to),
        false => fs::hard_link(from, to).or_else(|_| with_time(from, to)),
    };
    tree(&compiled.join("deps"), &target.join("deps"), &linked)?;
    // What a build script has printed is written in place, too.
    for name in ["build", ".fingerprint"] {
        tree(&compiled.join(name), &target.join(name), &with_time)?;
    }
    Ok(())
}

fn tree(from: &Path, to: &Path, file: &dyn Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    if !from.is_dir() {
        return file(from, to);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        tree(&entry.path(), &to.join(entry.file_name()), file)?;
    }
    Ok(())
}

/// Copies a file of whose time cargo makes something.
pub fn with_time(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    File::options().write(true).open(to)?.set_modified(modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_and_rustc_write_to_in_place_is_no_link() {
        let folder = std::env::temp_dir().join(format!("checkout-copy-{}", std::process::id()));
        let (compiled_here, copied) = (folder.join("debug"), folder.join("copy"));
        fs::create_dir_all(compiled_here.join("deps")).expect("temporary folders can be made");
        fs::create_dir_all(compiled_here.join("build")).expect("temporary folders can be made");
        fs::create_dir_all(compiled_here.join(".fingerprint")).expect("temporary folders can be made");
        for file in ["build/output", "deps/worker-1.d", "deps/libworker-1.rlib", ".fingerprint/worker-1"] {
            fs::write(compiled_here.join(file), "as compiled").expect("it can be written");
        }
        compiled(&compiled_here, &copied).expect("it can be copied");
        for (file, is_shared) in [
            ("build/output", false),
            ("deps/worker-1.d", false),
            ("deps/libworker-1.rlib", true),
            (".fingerprint/worker-1", false),
        ] {
            let copy = copied.join("target/debug").join(file);
            fs::write(&copy, "written in place").expect("it can be written");
            let original = fs::read_to_string(compiled_here.join(file)).expect("it is there");
            assert_eq!(original == "written in place", is_shared, "{file}");
        }
        fs::remove_dir_all(folder).expect("it is there");
    }
}

//! The executables that cargo has built, and whether one can be run.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The executables of a build, by name.
#[derive(Clone, Debug, Default)]
pub struct Executables(pub(crate) BTreeMap<String, PathBuf>);

impl Executables {
    /// The path of that executable.
    pub fn get(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).cloned()
    }
}

/// Why this program cannot be run: somebody has deleted it, or put another in its place. A shell would take one for another kind of
/// machine for a script.
pub(crate) fn why_unusable(program: &Path) -> Option<&'static str> {
    let Ok(metadata) = fs::metadata(program) else { return Some("is missing") };
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Some("is not executable");
    }
    let Some(head) = Head::of(program) else { return Some("is not a program for this machine") };
    if head.is_script() {
        return None;
    }
    match this_program().and_then(|this| Head::of(&this)) {
        Some(own) if own.kind() != head.kind() => Some("is not a program for this machine"),
        _ if head.length().is_some_and(|length| length > metadata.len()) => Some("is incomplete"),
        _ => None,
    }
}

/// The file of this program, also where it was deleted.
fn this_program() -> Option<PathBuf> {
    if cfg!(target_os = "linux") { Some("/proc/self/exe".into()) } else { env::current_exe().ok() }
}

/// The first bytes of a program.
struct Head([u8; 64]);

impl Head {
    fn of(program: &Path) -> Option<Head> {
        let mut head = [0; 64];
        File::open(program).ok()?.read_exact(&mut head).ok()?;
        Some(Head(head))
    }

    fn is_script(&self) -> bool {
        self.0.starts_with(b"#!")
    }

    fn is_elf(&self) -> bool {
        self.0.starts_with(b"\x7fELF")
    }

    /// The format and the machine: of ELF (Linux) the class, the byte order and `e_machine`; of Mach-O (macOS) the magic
    /// number and `cputype`.
    fn kind(&self) -> [u8; 8] {
        let head = &self.0;
        match self.is_elf() {
            true => [head[0], head[1], head[2], head[3], head[4], head[5], head[18], head[19]],
            false => [head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7]],
        }
    }

    /// The least length of an ELF file of 64 bits: linkers put the table of its sections at the end.
    fn length(&self) -> Option<u64> {
        let number = |at: usize| u64::from(u16::from_ne_bytes([self.0[at], self.0[at + 1]]));
        let (size, sections) = (number(0x3a), number(0x3c));
        let start = u64::from_ne_bytes(self.0[0x28..0x30].try_into().ok()?);
        (self.is_elf() && self.0[4] == 2).then(|| start.saturating_add(size * sections))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_usable_and_a_spoiled_one_says_why_not() {
        let here = env::temp_dir().join(format!("xtask-program-{}", std::process::id()));
        fs::copy("/proc/self/exe", &here).expect("there is room for it");
        assert_eq!(why_unusable(&here), None);
        assert_eq!(why_unusable(Path::new("/bin/sh")), None);
        assert_eq!(why_unusable(&here.with_extension("none")), Some("is missing"));
        assert_eq!(why_unusable(&env::temp_dir()), Some("is not executable"));
        let whole = fs::read(&here).expect("it can be read");
        let mut foreign = whole.clone();
        foreign[18] ^= 0xff;
        for (content, why) in [
            (&whole[..whole.len() / 2], Some("is incomplete")),
            (&whole[..10], Some("is not a program for this machine")),
            (&[], Some("is not a program for this machine")),
            (&foreign, Some("is not a program for this machine")),
            (format!("#!/bin/sh\n{}", " ".repeat(64)).as_bytes(), None),
        ] {
            fs::write(&here, content).expect("it can be written");
            assert_eq!(why_unusable(&here), why);
        }
        fs::set_permissions(&here, fs::Permissions::from_mode(0o600)).expect("it is this test's own");
        assert_eq!(why_unusable(&here), Some("is not executable"));
        fs::remove_file(&here).expect("it is there");
    }
}

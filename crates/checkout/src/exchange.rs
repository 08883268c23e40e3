//! Exchanging two files so that nothing that anybody writes to either is lost.

use std::{fs, io, path::Path};

/// Exchanges a live module with the file beside it. Whatever an editor has saved until then is that other
/// file afterwards, and what it still writes to the old one goes there as well.
pub(crate) fn exchange(live: &Path, new: &Path) -> io::Result<()> {
    loop {
        match exchange_at_once(live, new) {
            // Deleted; or an editor has moved it away, to write another in its place.
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::hard_link(new, live) {
                Ok(()) => return fs::remove_file(new),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(_) => return fs::rename(new, live),
            },
            Err(_) => return exchange_in_steps(live, new),
            Ok(()) => return Ok(()),
        }
    }
}

/// Exchanges two files, where the system and the disk can do so.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn exchange_at_once(live: &Path, new: &Path) -> io::Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

    Ok(renameat2(AT_FDCWD, new, AT_FDCWD, live, RenameFlags::RENAME_EXCHANGE)?)
}

/// Exchanges two files, where the system and the disk can do so.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn exchange_at_once(live: &Path, _new: &Path) -> io::Result<()> {
    fs::symlink_metadata(live)?;
    Err(io::ErrorKind::Unsupported.into())
}

/// The same for other disks. Only a file that an editor renames to the live one between two of these
/// system calls is lost.
fn exchange_in_steps(live: &Path, new: &Path) -> io::Result<()> {
    let old = new.with_extension("old");
    // Where a disk has no links, there is no file for a moment.
    let moved = fs::hard_link(live, &old).is_err();
    if moved {
        fs::rename(live, &old)?;
    }
    let placed = fs::rename(new, live);
    if placed.is_err() && moved {
        let _ = fs::rename(&old, live);
    }
    placed?;
    fs::rename(old, new)
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    #[test]
    fn files_are_exchanged_also_in_steps_and_where_one_is_not_there() {
        let folder = std::env::temp_dir().join(format!("checkout-exchange-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("temporary folders can be made");
        let (live, new) = (folder.join("live.rs"), folder.join(".live.rs.new"));
        for exchange in [exchange, exchange_in_steps] {
            fs::write(&live, "old").expect("it can be written");
            let mut editor = OpenOptions::new().append(true).open(&live).expect("it is there");
            fs::write(&new, "new").expect("it can be written");
            exchange(&live, &new).expect("they can be exchanged");
            editor.write_all(b", and more").expect("it can be written");
            assert_eq!(fs::read_to_string(&live).expect("it is there"), "new");
            assert_eq!(fs::read_to_string(&new).expect("it is there"), "old, and more");
            fs::remove_file(&new).expect("it is there");
        }
        fs::rename(&live, &new).expect("it is there");
        exchange(&live, &new).expect("it can be put there");
        assert_eq!(fs::read_to_string(&live).expect("it is there"), "new");
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1, "nothing is left beside it");
        fs::remove_dir_all(folder).expect("it is there");
    }
}

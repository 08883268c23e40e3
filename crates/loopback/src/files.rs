//! How many files a program may have open: each connection is one.

/// So many are enough for all connections, and for what their requests ask of others.
const ENOUGH: u64 = 4096;

/// Has the system allow this program enough open files for [`CONNECTIONS`](crate::CONNECTIONS). Where it does not,
/// [`serve`](crate::serve) makes do with fewer connections. Systems allow 1024, or even 256, unless they are asked.
#[cfg(unix)]
pub fn allow_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < ENOUGH {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(ENOUGH), hard);
    }
}

/// How many files this program may have open.
#[cfg(unix)]
pub(crate) fn allowed_files() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};

    getrlimit(Resource::RLIMIT_NOFILE).map_or(ENOUGH, |(soft, _)| soft)
}

/// Has the system allow this program enough open files. There is no such limit here.
#[cfg(not(unix))]
pub fn allow_files() {}

/// How many files this program may have open.
#[cfg(not(unix))]
pub(crate) fn allowed_files() -> u64 {
    ENOUGH
}

//! The limit of open files, of which each connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Enough for all connections, and for the requests that they cause.
const ENOUGH: u64 = 4096;

/// Raises the limit of open files so that [`CONNECTIONS`](crate::CONNECTIONS) fit. If the system does not allow it,
/// [`serve`](crate::serve) accepts fewer connections. The default limit is 1024 or even 256.
pub fn allow_files() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < ENOUGH {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(ENOUGH), hard);
    }
}

/// The limit of open files.
pub(crate) fn allowed_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(ENOUGH, |(soft, _)| soft)
}

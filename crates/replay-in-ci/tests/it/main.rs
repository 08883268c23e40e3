//! What the CI job is worth: it exports from a real server, and fails on code that breaks transfers in progress.

#[path = "../replay.rs"]
mod replay;

/// What `cargo xtask test` leaves out: a server, a bank and two workers. By `cargo xtask test --slow`.
mod slow {
    mod exported;
}

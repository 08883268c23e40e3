//! The bank as its clients see it: over HTTP, and as a program.

mod accounts;
mod crowds;
#[cfg(target_os = "linux")]
mod disk;
mod entries;
mod faults;
mod form;
mod keys;
mod ledger_file;
mod model;
mod openapi;
mod program;
mod refunds;
mod support;

/// What `cargo xtask test` leaves out: it takes long, and breaks seldom. By `cargo xtask test --slow`.
mod slow {
    mod crashes;
}

//! The gateway before a real dev server: as a server's clients see it, and as several learners of one namespace do.

mod as_a_server;
mod learners;
mod preflight;
mod support;
mod tls;

/// What `cargo xtask test` leaves out: it takes long, and breaks seldom. By `cargo xtask test --slow`.
mod slow {
    mod link;
}

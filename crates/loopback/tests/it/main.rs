//! The parts of a service as a client meets them: on a socket, byte for byte.

mod json_text;
mod local_only;
mod program;
mod serve;
mod support;

/// What `cargo xtask test` leaves out: it takes long, and breaks seldom. By `cargo xtask test --slow`.
mod slow {
    mod crowds;
}

//! The parts of a service, tested over a socket, byte for byte.

mod json_text;
mod local_only;
mod program;
mod public_hosts;
mod serve;
mod support;

/// Slow tests: `cargo xtask test --slow`.
mod slow {
    mod crowds;
}

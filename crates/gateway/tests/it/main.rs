//! The gateway in front of a real dev server: for a single lab, and for several learners in one namespace.

mod as_a_server;
mod fuzz;
mod learners;
mod moves;
mod preflight;
mod public_hosts;
mod support;
mod tls;

/// Slow tests: `cargo xtask test --slow`.
mod slow {
    mod crowd;
    mod link;
}

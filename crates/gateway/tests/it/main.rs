//! The gateway before a real dev server: as a server's clients see it, and as several learners of one namespace do.

mod as_a_server;
mod learners;
mod link;
mod preflight;
mod support;
mod tls;

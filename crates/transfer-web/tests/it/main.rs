//! The service over HTTP, with a real dev server, a real bank and real workers.

mod drill;
mod events;
mod first_page;
mod forwarded;
mod goals;
mod guards;
mod halts;
mod odd_input;
mod openapi;
mod program;
mod proxy;
mod reset;
mod shared;
mod stream;
mod stuck;
mod supervisor;
mod support;
mod transfers;

/// Slow tests: `cargo xtask test --slow`.
mod slow {
    mod limits;
    mod outages;
}

//! The service as its clients see it: over HTTP, with a real dev server, a real bank and real workers behind it.

mod events;
mod first_page;
mod goals;
mod guards;
mod limits;
mod odd_input;
mod openapi;
mod outages;
mod program;
mod proxy;
mod reset;
mod stream;
mod stuck;
mod supervisor;
mod support;
mod transfers;

//! The parts of a service as a client meets them: on a socket, byte for byte.

mod crowds;
mod json_text;
mod local_only;
mod program;
mod serve;
mod support;

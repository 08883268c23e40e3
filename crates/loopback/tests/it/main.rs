//! The parts of a service as a client meets them: on a socket, byte for byte.

mod serve;
mod support;

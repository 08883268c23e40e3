//! TLS before the server.

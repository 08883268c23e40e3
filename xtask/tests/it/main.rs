//! The lab as a person meets it: the real program, a real Temporal server, real signals.
//!
//! Each test has a checkout of its own in a temporary folder, with ports of its own. The bank and the
//! worker in it are stand-ins with the same command line, so that building them takes a second.

mod authoring;
mod bench;
mod confinement;
#[path = "../../src/copy.rs"]
mod copy;
mod help_and_usage;
mod lifecycle;
mod offline;
mod play;
mod ports;
mod provisioning;
mod sacred;
mod stages;
mod story;
mod support;
mod tidy;
mod transfers;
mod watching;

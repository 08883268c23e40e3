//! Starts, probes, watches, rebuilds and stops the services of one lab, and enters stages.
//!
//! **Architecture invariant:** this crate starts processes and asks them questions over loopback. It parses no command line. The
//! Temporal SDK is the worker's.

pub mod attach;
mod blocking;
pub mod build;
pub mod cargo;
mod cargo_output;
pub mod class_files;
mod class_notices;
mod class_progress;
mod cli_version;
pub mod compile_error;
pub mod control;
mod deployed;
pub mod drill_end;
mod drill_traffic;
mod ended_faults;
pub mod entry_plan;
pub mod executables;
mod failing;
pub mod freshness;
pub mod gateway;
pub mod leftovers;
mod log_copy;
pub mod log_tail;
pub mod logs;
pub mod manifest;
pub mod pip;
pub mod ports;
pub mod preparation;
pub mod process;
mod programs;
pub mod remote_service;
mod report_sender;
pub mod reporter;
pub mod roll_out;
pub mod saved_edits;
pub mod services;
pub mod sign_of_life;
pub mod signals;
mod source_watch;
pub mod stage_entry;
mod stuck_since;
pub mod supervise;
mod supervised;
pub mod temporal_cli;
pub mod toolchain;
mod transfer_watch;
mod versions;
pub mod without_temporal;

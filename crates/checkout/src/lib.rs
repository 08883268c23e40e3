//! A working tree and its `.lab` folder: paths, state files, live modules and their backups.
//!
//! **Architecture invariant:** nothing else writes `.lab/*.json`, and nothing else replaces a live module. This crate starts no
//! process and sends no request.

pub mod backups;
pub mod copy;
mod exchange;
#[cfg(test)]
mod fixture;
pub mod keep;
mod live_files;
pub mod modules;
pub mod progress;
pub mod project;
pub mod stage_lock;
pub mod state;

pub use project::Project;

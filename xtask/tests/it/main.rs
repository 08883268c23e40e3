//! The lab as a person meets it: the real program, a real Temporal server, real signals.
//!
//! Each test has a checkout of its own in a temporary folder, with ports of its own. The bank and the
//! worker in it are stand-ins with the same command line, compiled once for all of them.

#[cfg(target_os = "linux")]
mod asking;
mod building;
#[cfg(target_os = "linux")]
mod checking;
mod confinement;
mod doctor;
mod doctor_nix;
#[cfg(target_os = "linux")]
mod drills;
mod editors;
#[cfg(target_os = "linux")]
mod entering;
#[cfg(target_os = "linux")]
mod fake_lab;
mod floods;
#[cfg(target_os = "linux")]
mod held;
mod help_and_usage;
mod lifecycle;
mod owner;
mod planted;
mod play;
mod ports;
mod programs;
mod provisioning;
mod public_hosts;
mod sacred;
#[cfg(target_os = "linux")]
mod screen;
mod settings;
mod shell_env;
mod small_disk;
mod stages;
#[cfg(target_os = "linux")]
mod stepped;
#[cfg(target_os = "linux")]
mod stopped;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod tidy;
mod transfers;
#[cfg(target_os = "linux")]
mod versions;
#[cfg(target_os = "linux")]
mod waiting;
mod watching;

/// What `cargo xtask test` leaves out: it takes long, and breaks seldom. By `cargo xtask test --slow`.
mod slow {
    mod any_service;
    #[cfg(target_os = "linux")]
    mod anywhere;
    mod authoring;
    mod bench;
    mod bundle;
    mod chaos;
    mod class;
    mod classroom;
    #[cfg(target_os = "linux")]
    mod clock;
    #[cfg(target_os = "linux")]
    mod deleted;
    mod download;
    mod drill;
    mod features;
    mod first_call;
    #[cfg(target_os = "linux")]
    mod full_disk;
    #[cfg(target_os = "linux")]
    mod matrix;
    mod odd_path;
    mod offline;
    mod oldest_cli;
    #[cfg(target_os = "linux")]
    mod orphans;
    mod story;
    #[cfg(target_os = "linux")]
    mod strangers;
    mod without_temporal;
}

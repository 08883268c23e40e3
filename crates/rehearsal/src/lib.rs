//! Plays the course in a shadow checkout: the texts, chaos runs, and a class of many learners; and measures a lab in a copy.
//!
//! **Architecture invariant:** a learner's files and running lab are never changed.

pub mod bench;
pub mod chaos;
pub mod class;
pub mod play;
pub mod random;
mod reserved_ports;
pub mod shadow;
mod stand_in_cargo;

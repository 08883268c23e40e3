//! Plays a lab in a shadow checkout: the texts, a storm of kills, a class of many learners; and measures one in a copy.
//!
//! **Architecture invariant:** a learner's files and a running lab stay as they are.

pub mod bench;
pub mod chaos;
pub mod class;
pub mod play;
pub mod random;
mod reserved_ports;
pub mod shadow;
mod stand_in_cargo;

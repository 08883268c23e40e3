//! A room's Temporal server, its relay, and the board of its learners.

pub mod addresses;
pub mod board;
mod relay;
pub mod serve;
pub mod served;
pub mod table;

//! A class: its Temporal server, the relay in front of it, and the board of its learners.

pub mod addresses;
pub mod board;
mod relay;
pub mod results;
pub mod serve;
pub mod served;
pub mod table;

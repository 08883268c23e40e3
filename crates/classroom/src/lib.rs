//! A class: its Temporal server, the relay in front of it, the board of its learners, and the pages for the room.

pub mod addresses;
pub mod board;
pub mod pages;
pub mod qr;
mod relay;
pub mod results;
pub mod serve;
pub mod served;
pub mod table;

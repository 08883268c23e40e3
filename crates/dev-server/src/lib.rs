//! Runs the Temporal CLI and its dev server, for the lab, a class and every test.
//!
//! - [`command`]: runs the CLI without the user's own Temporal settings;
//! - [`DevServer`]: the flags of a dev server;
//! - [`SETTINGS`]: the values of its dynamic configuration, one per row.

mod command;
mod flags;
mod settings;

pub use command::{command, forget_settings};
pub use flags::{DATABASE, DevServer};
pub use settings::{Audience, SETTINGS, Setting, for_a_class};

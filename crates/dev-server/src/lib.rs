//! Runs the Temporal CLI and its dev server, for the lab, a class and every test.
//!
//! - [`Cli`]: the CLI, which runs only without the user's own Temporal settings;
//! - [`DevServer`]: the flags of a dev server;
//! - [`SETTINGS`]: the values of its dynamic configuration, one per row.

mod command;
mod flags;
mod settings;

pub use command::{CONFIG_FILE, Cli, forget_cli_settings, forget_settings, forgotten_settings};
pub use flags::{DATABASE, DevServer, is_unreadable_database};
pub use settings::{Audience, SETTINGS, Setting, for_a_class};

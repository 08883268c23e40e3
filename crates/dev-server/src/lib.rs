//! How the Temporal CLI is called and its dev server started: by the lab, by a class and by every test.
//!
//! - [`command`]: a call of the CLI without the user's own Temporal settings;
//! - [`DevServer`]: the flags of a dev server;
//! - [`SETTINGS`]: the values of its dynamic configuration, one a row.

mod command;
mod flags;
mod settings;

pub use command::{command, forget_settings};
pub use flags::{DATABASE, DevServer};
pub use settings::{Audience, SETTINGS, Setting, for_a_class};

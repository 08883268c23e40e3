//! The argument that names a service or a log.

use anyhow::Result;
use clap::{Arg, ArgMatches};
use terminal::Usage;

use crate::args::text;

/// The optional argument that is one of these names.
pub(super) fn service_argument(names: impl Iterator<Item = &'static str>) -> Arg {
    let mut names: Vec<_> = names.collect();
    let last = names.pop().unwrap_or_default();
    Arg::new("service").value_name("SERVICE").help(format!("{} or {last}", names.join(", ")))
}

/// The one of these names that was given, if one was.
pub(super) fn chosen(
    arguments: &ArgMatches,
    names: impl Iterator<Item = &'static str> + Clone,
) -> Result<Option<&'static str>> {
    let Some(given) = text(arguments, "service") else { return Ok(None) };
    match names.clone().find(|&name| name == given) {
        Some(name) => Ok(Some(name)),
        None => {
            let names = names.collect::<Vec<_>>().join(", ");
            Err(Usage(format!("there is no {given}; choose one of: {names}")).into())
        }
    }
}

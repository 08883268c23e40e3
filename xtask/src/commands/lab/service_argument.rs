//! The argument that names a service or a log.

use anyhow::Result;
use clap::{Arg, ArgMatches};
use lab_client::kept_versions::{service_of, version_of};
use terminal::Usage;

use crate::args::text;

/// The optional argument that is one of these names.
pub(super) fn service_argument(names: impl Iterator<Item = &'static str>) -> Arg {
    let mut names: Vec<_> = names.collect();
    let last = names.pop().unwrap_or_default();
    Arg::new("service").value_name("SERVICE").help(format!("{} or {last}", names.join(", ")))
}

/// The one of these names that was given, or the one of a version of the worker, if one was given.
pub(super) fn chosen(
    arguments: &ArgMatches,
    names: impl Iterator<Item = &'static str> + Clone,
) -> Result<Option<String>> {
    let Some(given) = text(arguments, "service") else { return Ok(None) };
    if names.clone().any(|name| name == given) || version_of(given).is_some() {
        return Ok(Some(given.to_owned()));
    }
    let names = names.collect::<Vec<_>>().join(", ");
    let versions = format!("in a stage with versions also {}", service_of(1));
    Err(Usage(format!("there is no {given}; choose one of: {names}; {versions}")).into())
}

//! Changes what the instructor tells the class.

use anyhow::{Context, Result};
use checkout::Project;
use clap::ArgMatches;
use classroom::board;
use lab_client::class::notices::{self, Notices};
use xtask::remote_flags;

/// Changes the notices of the class that these flags name, and returns the new ones.
pub(super) fn change(
    project: &Project,
    arguments: &ArgMatches,
    change: impl Fn(&mut Notices),
) -> Result<Notices> {
    let place = board::find(project, remote_flags::named(arguments))?;
    // The gateway runs until the notices are changed.
    let (server, _gateway) = board::reach(project, &place)?;
    notices::change(&server, change).context("could not change the class's notices")
}

//! A storm over a lab of its own: transfers are under way while its parts are killed, again and again.
//!
//! The lab is a [shadow](crate::shadow) of the checkout, whose parts are the real ones. A seed gives the
//! `plan`: the transfers, what is killed in which order, and the pauses. The `storm` carries it out, and afterwards the
//! `audit` goes through the Event Histories and the ledger, and `leftovers` through processes, ports and files. Where
//! exactly a kill strikes is up to the machine: another run of the same seed meets other moments.

mod audit;
mod ledger;
mod leftovers;
mod plan;
mod storm;

use anyhow::{Result, bail};

pub use self::{audit::Tally, plan::Plan, storm::Kills};
use crate::shadow::Shadow;

/// How a storm went that broke nothing.
pub struct Survived {
    /// What was killed, and how often.
    pub kills: Kills,
    /// What the histories and the ledger have.
    pub tally: Tally,
}

/// Carries out the plan, and looks at everything that it must not have broken. The lab is started here, and stopped.
///
/// # Errors
/// The first thing that is broken, and where to look at it.
pub fn run(shadow: &Shadow, plan: &Plan) -> Result<Survived> {
    shadow.start(&[])?;
    let ports = shadow.state()?.ports;
    let storm = storm::weather(shadow, plan)?;
    let tally = audit::audit(plan, &storm.recorded)?;
    shadow.stop()?;
    let left = leftovers::look(&shadow.project.root, &storm.seen, &ports);
    if !left.is_empty() {
        bail!("the lab was stopped, and this is left of it:\n  {}", left.join("\n  "));
    }
    Ok(Survived { kills: storm.kills, tally })
}

//! A chaos run in a separate lab: its parts are killed again and again while transfers are in progress.
//!
//! The lab is a [shadow](crate::shadow) of the checkout with real parts. A seed determines the `plan`: the transfers, the order of
//! kills, and the pauses. `storm` carries it out; then `audit` checks the Event Histories and the ledger, and `leftovers` checks
//! processes, ports and files. The exact moment of a kill depends on the machine, so runs with the same seed differ.

mod audit;
mod ledger;
mod leftovers;
mod plan;
mod storm;
mod versions;

use anyhow::{Result, bail};

pub use self::{audit::Tally, plan::Plan, storm::Kills};
use crate::shadow::Shadow;

/// The result of a chaos run that broke nothing.
pub struct ChaosReport {
    /// How often each part was killed.
    pub kills: Kills,
    /// Counts from the histories and the ledger.
    pub tally: Tally,
}

/// Starts the lab with these flags, carries out the plan, stops the lab, and checks everything.
///
/// # Errors
/// The first violation, and where to look.
pub fn run(shadow: &Shadow, plan: &Plan, words: &[String]) -> Result<ChaosReport> {
    shadow.start(words)?;
    if plan.has_versions {
        versions::deploy(shadow)?;
    }
    let ports = shadow.state()?.ports;
    let storm = storm::weather(shadow, plan)?;
    let tally = audit::audit(plan, &storm.recorded)?;
    shadow.stop()?;
    let left = leftovers::look(&shadow.project.root, &storm.seen, &ports);
    if !left.is_empty() {
        bail!("the stopped lab left this behind:\n  {}", left.join("\n  "));
    }
    Ok(ChaosReport { kills: storm.kills, tally })
}

//! An outage: the bank's withdrawals, its deposits, or both are out of service until further notice.
//!
//! Like Real World Mode it is kept in memory: a restart of the bank ends it.

use serde::{Deserialize, Serialize};

use crate::ledger::Direction;

/// What is out of service: what `GET /outage` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Outage {
    /// Whether withdrawals are.
    pub withdrawals: bool,
    /// Whether deposits are.
    pub deposits: bool,
}

impl Outage {
    /// Whether a movement of this direction is out of service.
    pub(crate) fn covers(self, direction: Direction) -> bool {
        match direction {
            Direction::Withdraw => self.withdrawals,
            Direction::Deposit => self.deposits,
        }
    }
}

/// What to change: any of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    withdrawals: Option<bool>,
    deposits: Option<bool>,
}

impl Change {
    /// The outage with this change.
    pub(crate) fn applied_to(&self, outage: Outage) -> Outage {
        Outage {
            withdrawals: self.withdrawals.unwrap_or(outage.withdrawals),
            deposits: self.deposits.unwrap_or(outage.deposits),
        }
    }
}

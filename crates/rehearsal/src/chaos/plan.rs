//! The plan that a seed determines: the transfers, the order of kills, and the pauses between them.

use std::{path::PathBuf, time::Duration};

use contract::{Money, RefusalKind};

use crate::random::Seeded;
use supervisor::services::{ACCOUNT_API, TEMPORAL, WORKER};

/// The part that is killed besides the services.
pub(super) const SUPERVISOR: &str = "supervisor";

/// The parts of a Temporal cluster that are killed as well, each by the name of the file in `pids` that has its process id.
pub(super) const CLUSTER: [&str; 4] = ["frontend", "history", "matching", "postgresql"];

/// The share of each part in ten kills. After a kill of the supervisor, the lab must be started again.
const TARGETS: [&str; 10] =
    [WORKER, WORKER, WORKER, ACCOUNT_API, ACCOUNT_API, ACCOUNT_API, TEMPORAL, TEMPORAL, TEMPORAL, SUPERVISOR];

/// Of a hundred transfers, how many name an unknown account, and how many ask for too much money.
const REFUSED: [(u64, RefusalKind); 2] =
    [(2, RefusalKind::UnknownAccount), (3, RefusalKind::InsufficientFunds)];

/// More than all accounts hold.
const TOO_MUCH: Money = Money::from_dollars(1_000_000);

/// A transfer to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its Workflow Id.
    pub workflow_id: String,
    /// The account that the money leaves.
    pub from: String,
    /// The account that it reaches.
    pub to: String,
    /// The amount.
    pub amount: Money,
    /// The reason to refuse it, if it must be refused.
    pub refused: Option<RefusalKind>,
}

/// The plan of a chaos run.
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The transfers, in the order of their start.
    pub orders: Vec<Order>,
    /// The number of kills.
    pub kills: usize,
    /// Whether two versions of the worker run, each of which takes half of the transfers.
    pub has_versions: bool,
    /// The folder of the Temporal cluster that the lab is on, if its parts are killed as well.
    pub cluster: Option<PathBuf>,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64, transfers: usize, kills: usize) -> Plan {
        let mut dice = Seeded::new(seed);
        let orders = (0..transfers).map(|number| Order::draw(number, &mut dice)).collect();
        Plan { seed, orders, kills, has_versions: false, cluster: None }
    }

    /// The kills, in order.
    pub fn targets(&self) -> Targets {
        // A separate sequence, so that the number of transfers does not change the kills.
        let parts = TARGETS.into_iter().chain(CLUSTER.into_iter().filter(|_| self.cluster.is_some()));
        Targets { dice: Seeded::new(!self.seed), parts: parts.collect(), ahead: Vec::new() }
    }
}

impl Order {
    fn draw(number: usize, dice: &mut Seeded) -> Order {
        let account = |number: u64| format!("account_{}", char::from(b'A' + number as u8));
        let from = dice.below(10);
        let to = (from + 1 + dice.below(9)) % 10;
        let amount = Money::from_cents(1 + dice.below(2_000) as i64);
        let mut order = Order {
            workflow_id: format!("chaos-{number:05}"),
            from: account(from),
            to: account(to),
            amount,
            refused: None,
        };
        let mut lot = dice.below(100);
        for (share, kind) in REFUSED {
            if lot < share {
                order.refused = Some(kind);
                match kind {
                    RefusalKind::UnknownAccount => order.to = "account_X".to_owned(),
                    _ => order.amount = TOO_MUCH,
                }
                break;
            }
            lot -= share;
        }
        order
    }
}

/// The order of kills: of every ten, or fourteen with a cluster, each part has its share, in random order.
pub struct Targets {
    dice: Seeded,
    /// Each part, as often as it is killed before all have had their turn.
    parts: Vec<&'static str>,
    ahead: Vec<&'static str>,
}

impl Targets {
    /// The pause before the next kill: usually long enough to make progress, sometimes so short that the last killed part is still
    /// restarting.
    pub fn pause(&mut self) -> Duration {
        let most = if self.dice.below(4) == 0 { 300 } else { 3_000 };
        Duration::from_millis(self.dice.below(most))
    }

    /// The next target that is running now; the others stay in the queue.
    pub fn next(&mut self, is_there: impl Fn(&str) -> bool) -> Option<&'static str> {
        if self.ahead.is_empty() {
            self.ahead = self.parts.clone();
            self.dice.shuffle(&mut self.ahead);
        }
        let at = self.ahead.iter().position(|target| is_there(target))?;
        Some(self.ahead.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_seed_has_its_own_plan() {
        let orders = |seed| Plan::new(seed, 100, 10).orders;
        assert_eq!(orders(7), orders(7));
        assert_ne!(orders(7), orders(8));
    }

    #[test]
    fn transfers_are_between_two_accounts_and_some_must_be_refused() {
        let orders = Plan::new(1, 1_000, 0).orders;
        assert!(orders.iter().all(|order| order.from != order.to && order.amount > Money::ZERO));
        for (share, kind) in REFUSED {
            let count = orders.iter().filter(|order| order.refused == Some(kind)).count() as u64;
            assert!((share * 5..share * 20).contains(&count), "{count} are refused as {}", kind.name());
        }
    }

    #[test]
    fn of_ten_kills_each_part_has_its_share_and_a_stopped_part_waits() {
        let plan = Plan::new(3, 0, 10);
        let mut targets = plan.targets();
        let first = targets.next(|target| target != WORKER).expect("others are there");
        assert_ne!(first, WORKER);
        assert!(targets.next(|_| false).is_none());
        let mut killed = vec![first];
        killed.extend((1..10).filter_map(|_| targets.next(|_| true)));
        killed.sort_unstable();
        let mut all = TARGETS;
        all.sort_unstable();
        assert_eq!(killed, all);
        let mut targets = Plan { cluster: Some("cluster".into()), ..plan }.targets();
        let killed: BTreeSet<_> = (0..14).filter_map(|_| targets.next(|_| true)).collect();
        assert_eq!(killed, TARGETS.into_iter().chain(CLUSTER).collect());
    }
}

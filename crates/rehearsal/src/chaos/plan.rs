//! What a seed stands for: which transfers there are, and what is killed in which order and how long after one another.

use std::time::Duration;

use contract::{Money, RefusalKind};

use crate::random::Seeded;
use supervisor::services::{ACCOUNT_API, TEMPORAL, WORKER};

/// What kills are counted of beside the services.
pub(super) const SUPERVISOR: &str = "supervisor";

/// Of ten kills, so many of each. The supervisor's is the one after which somebody has to start the lab again.
const TARGETS: [&str; 10] =
    [WORKER, WORKER, WORKER, ACCOUNT_API, ACCOUNT_API, ACCOUNT_API, TEMPORAL, TEMPORAL, TEMPORAL, SUPERVISOR];

/// Of a hundred transfers, so many name an account that there is not, and so many ask for more than there is.
const REFUSED: [(u64, RefusalKind); 2] =
    [(2, RefusalKind::UnknownAccount), (3, RefusalKind::InsufficientFunds)];

/// More than all accounts hold together.
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
    /// How much.
    pub amount: Money,
    /// How it has to be refused, if it cannot but be.
    pub refused: Option<RefusalKind>,
}

/// The plan of a storm.
pub struct Plan {
    /// The number that stands for it.
    pub seed: u64,
    /// The transfers, in the order of their start.
    pub orders: Vec<Order>,
    /// How many kills there are.
    pub kills: usize,
}

impl Plan {
    /// The plan that a seed stands for.
    pub fn new(seed: u64, transfers: usize, kills: usize) -> Plan {
        let mut dice = Seeded::new(seed);
        let orders = (0..transfers).map(|number| Order::draw(number, &mut dice)).collect();
        Plan { seed, orders, kills }
    }

    /// Its kills, one after the other.
    pub fn targets(&self) -> Targets {
        // Other numbers than those of the transfers, however many of these there are.
        Targets { dice: Seeded::new(!self.seed), ahead: Vec::new() }
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

/// What is killed next. Of every ten kills each part has its share, in a random order.
pub struct Targets {
    dice: Seeded,
    ahead: Vec<&'static str>,
}

impl Targets {
    /// How long to wait before the next kill: mostly so long that something gets done in between, at times so short
    /// that what was killed last is only just being started again.
    pub fn pause(&mut self) -> Duration {
        let most = if self.dice.below(4) == 0 { 300 } else { 3_000 };
        Duration::from_millis(self.dice.below(most))
    }

    /// The next target that is there to be killed now; those that are not stay ahead.
    pub fn next(&mut self, is_there: impl Fn(&str) -> bool) -> Option<&'static str> {
        if self.ahead.is_empty() {
            self.ahead = TARGETS.to_vec();
            self.dice.shuffle(&mut self.ahead);
        }
        let at = self.ahead.iter().position(|target| is_there(target))?;
        Some(self.ahead.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_stands_for_one_plan_and_another_for_another() {
        let orders = |seed| Plan::new(seed, 100, 10).orders;
        assert_eq!(orders(7), orders(7));
        assert_ne!(orders(7), orders(8));
    }

    #[test]
    fn transfers_are_between_two_accounts_and_some_cannot_but_be_refused() {
        let orders = Plan::new(1, 1_000, 0).orders;
        assert!(orders.iter().all(|order| order.from != order.to && order.amount > Money::ZERO));
        for (share, kind) in REFUSED {
            let count = orders.iter().filter(|order| order.refused == Some(kind)).count() as u64;
            assert!((share * 5..share * 20).contains(&count), "{count} are refused as {}", kind.name());
        }
    }

    #[test]
    fn of_ten_kills_each_part_has_its_share_and_what_is_down_waits() {
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
    }
}

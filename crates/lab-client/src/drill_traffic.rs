//! The traffic of a drill: the transfers that its customers ask for, which follow from its seed, and how many have been started.
//! The supervisor starts them.

use anyhow::Result;
use contract::Money;
use lab::spread;
use serde_json::{Value, json};

use crate::{
    progress::Progress,
    temporal::{Run, Server, status_of, transfers},
    time,
};

/// A burst has so many transfers: five of each kind, at whichever number it begins.
pub const BURST: u32 = lab::SAFE as u32 * Kind::ALL.len() as u32;

/// A drill's traffic ends after so many transfers.
pub const MOST: u32 = 1800;

/// The accounts of the transfers that the bank does not refuse, each with the next, and the last with the first.
pub const RING: [&str; 6] = ["account_A", "account_C", "account_D", "account_F", "account_H", "account_J"];
/// The bank has no such account.
pub const UNKNOWN_ACCOUNT: &str = "account_X";
/// This account holds far less than [`Kind::TooMuch`] asks for.
const POOR_ACCOUNT: &str = "account_I";

/// The kinds of transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 2.00 to 9.99.
    Small,
    /// 12.00 to 30.00.
    Medium,
    /// 40.00.
    Large,
    /// 50000.00 from an account that does not hold it: the bank refuses it.
    TooMuch,
    /// To an account that does not exist: the bank refuses it.
    Unknown,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] = [Kind::Small, Kind::Medium, Kind::Large, Kind::TooMuch, Kind::Unknown];

    /// An amount of this kind, by a random number.
    fn amount(self, random: u64) -> Money {
        Money::from_cents(match self {
            Kind::Small => 2_00 + (random % 8_00) as i64,
            Kind::Medium | Kind::Unknown => 12_00 + (random % 18_01) as i64,
            Kind::Large => 40_00,
            Kind::TooMuch => 5_000_000,
        })
    }
}

/// A transfer that a customer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its kind.
    pub kind: Kind,
    /// The account to withdraw from.
    pub from: &'static str,
    /// The account to deposit into.
    pub to: &'static str,
    /// How much.
    pub amount: Money,
}

impl Order {
    /// The order with this number, from zero, of the traffic with this seed: the same on every machine. The transfers of a kind go round
    /// the ring, each round with one amount, so that after a whole round every balance is what it was.
    pub fn of(seed: u64, number: u32) -> Order {
        let kinds = Kind::ALL.len() as u32;
        let kind = kinds_in_turn(seed)[(number % kinds) as usize];
        let of_kind = u64::from(number / kinds);
        let random = |what: u64| spread(spread(seed ^ kind as u64).wrapping_add(what));
        let (round, ring) = (of_kind / RING.len() as u64, RING.len() as u64);
        let at = |step: u64| RING[((random(0) % ring + of_kind + step) % ring) as usize];
        let (from, to) = match kind {
            Kind::Small | Kind::Medium | Kind::Large => (at(0), at(1)),
            Kind::TooMuch => (POOR_ACCOUNT, RING[0]),
            Kind::Unknown => (at(0), UNKNOWN_ACCOUNT),
        };
        Order { kind, from, to, amount: kind.amount(random(1 + round)) }
    }

    /// The input of its transfer.
    pub fn input(&self) -> Value {
        json!({ "from_account": self.from, "to_account": self.to, "amount": self.amount })
    }
}

/// The order in which the kinds come again and again.
fn kinds_in_turn(seed: u64) -> [Kind; 5] {
    let mut kinds = Kind::ALL;
    for end in (1..kinds.len()).rev() {
        let other = spread(seed.wrapping_add(end as u64)) % (end as u64 + 1);
        kinds.swap(end, other as usize);
    }
    kinds
}

/// A seed that is short enough to be told to a colleague.
pub fn random_seed() -> u64 {
    fastrand::u64(1..1_000_000)
}

/// When the drill began, in seconds since 1970: a part of the Workflow Ids of its traffic.
pub fn began(progress: &Progress) -> u64 {
    time::parse_rfc3339(&progress.entered).unwrap_or_default() as u64
}

/// The Workflow Id of the transfer with this number, without the name of a learner.
pub fn workflow_id(began: u64, number: u32) -> String {
    contract::workflow_id(began, number)
}

/// Starts the transfer with this number, unless it has been started before. Returns its run if it was started now.
///
/// # Errors
/// The server rejects it or does not answer.
pub fn start(server: &Server, seed: u64, began: u64, number: u32) -> Result<Option<Run>> {
    match server.start_transfer(&workflow_id(began, number), &Order::of(seed, number).input()) {
        Err(error) if status_of(&error) == ALREADY_STARTED => Ok(None),
        started => started.map(Some),
    }
}

/// The HTTP status of a start whose Workflow Id was used before.
const ALREADY_STARTED: u16 = 409;

/// The number of the next transfer of the drill that began then, by what the server lists. Its list lags behind, so the first may have
/// been started already. In that second, others may have started a transfer whose id ends in a random number: those are not counted.
///
/// # Errors
/// The server does not answer.
pub fn next_number(server: &Server, began: u64) -> Result<u32> {
    let query = format!("{} AND StartTime>=\"{}\"", transfers(), time::rfc3339(began));
    let first = contract::workflow_id_of(server.learner(), &workflow_id(began, 0));
    let prefix = first.trim_end_matches(|character| character != '-');
    let number = |run: &Run| u32::from_str_radix(run.workflow_id.strip_prefix(prefix)?, 16).ok();
    let started = server.list(&query, usize::MAX)?;
    Ok(started.iter().filter_map(number).filter(|number| *number < MOST).max().map_or(0, |last| last + 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::stuck::tests::server;

    /// So many transfers are a whole number of rounds of each kind.
    const ROUNDS: u32 = 600;

    fn orders(seed: u64, numbers: std::ops::Range<u32>) -> Vec<Order> {
        numbers.map(|number| Order::of(seed, number)).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_traffic_and_another_makes_another() {
        assert_eq!(orders(7, 0..100), orders(7, 0..100));
        let differ = |seed: u64| orders(seed, 0..100) != orders(seed + 1, 0..100);
        assert!((0..20).all(differ));
        // What a colleague with another machine has.
        let first = orders(7, 0..5);
        let told = first.iter().map(|order| format!("{} from {} to {}", order.amount, order.from, order.to));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "14.68 from account_J to account_X",
                "6.57 from account_F to account_H",
                "14.79 from account_F to account_H",
                "40.00 from account_F to account_H",
                "50000.00 from account_I to account_A",
            ]
        );
    }

    #[test]
    fn a_burst_has_five_of_each_kind_wherever_it_begins() {
        for begin in [0, 1, 13, 149, 600] {
            let burst = orders(3, begin..begin + BURST);
            for kind in Kind::ALL {
                let of_kind = burst.iter().filter(|order| order.kind == kind);
                assert_eq!(of_kind.count(), 5, "{kind:?} from {begin}");
            }
        }
    }

    #[test]
    fn after_whole_rounds_every_balance_is_what_it_was_and_on_the_way_none_is_far_from_it() {
        for seed in 0..50 {
            let mut changes: BTreeMap<&str, i64> = BTreeMap::new();
            for order in orders(seed, 0..ROUNDS) {
                if matches!(order.kind, Kind::TooMuch | Kind::Unknown) {
                    continue;
                }
                *changes.entry(order.from).or_default() -= order.amount.cents();
                *changes.entry(order.to).or_default() += order.amount.cents();
                assert!(changes.values().all(|change| change.abs() <= 80_00), "{seed}: {changes:?}");
            }
            assert_eq!(changes.into_keys().collect::<Vec<_>>(), RING);
        }
    }

    #[test]
    fn amounts_and_accounts_are_those_of_the_kind() {
        for order in (0..20).flat_map(|seed| orders(seed, 0..ROUNDS)) {
            let range = match order.kind {
                Kind::Small => 2_00..=9_99,
                Kind::Medium | Kind::Unknown => 12_00..=30_00,
                Kind::Large => 40_00..=40_00,
                Kind::TooMuch => 5_000_000..=5_000_000,
            };
            assert!(range.contains(&order.amount.cents()), "{order:?}");
            assert_ne!(order.from, order.to);
            assert_eq!(order.to == UNKNOWN_ACCOUNT, order.kind == Kind::Unknown);
            assert_eq!(order.from == POOR_ACCOUNT, order.kind == Kind::TooMuch);
        }
    }

    #[test]
    fn the_next_number_is_read_from_the_server_and_what_was_started_is_not_started_again() {
        let server = server(&[
            (
                "workflows?",
                "200",
                r#"{"executions":[
                    {"execution":{"workflowId":"transfer-1795349101-0000001f","runId":"a"}},
                    {"execution":{"workflowId":"transfer-1795349101-00000003","runId":"b"}},
                    {"execution":{"workflowId":"transfer-1795349101-9e3779b9","runId":"random"}},
                    {"execution":{"workflowId":"transfer-1795349109-000000ff","runId":"c"}},
                    {"execution":{"workflowId":"transfer-1795349101-mine","runId":"d"}}]}"#,
            ),
            ("workflows/transfer-1795349101-00000020", "200", r#"{"runId":"e"}"#),
            (
                "workflows/transfer-1795349101-00000021",
                "409",
                r#"{"message":"Workflow execution already started."}"#,
            ),
            ("workflows/transfer-1795349101-00000022", "503", "{}"),
        ]);
        assert_eq!(next_number(&server, 1_795_349_101).expect("it answers"), 0x20);
        assert_eq!(next_number(&server, 1_795_349_102).expect("it answers"), 0, "another drill");
        let start = |number| start(&server, 7, 1_795_349_101, number).map(|run| run.map(|run| run.run_id));
        assert_eq!(start(0x20).expect("it is started").as_deref(), Some("e"));
        assert_eq!(start(0x21).expect("it was started before"), None);
        start(0x22).expect_err("the server does not answer");
    }
}

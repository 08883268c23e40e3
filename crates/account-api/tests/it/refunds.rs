//! Refunds: the rules at the top of ledger.rs, one after the other.

use futures::future::join_all;
use serde_json::json;

use crate::support::{Ask, Client, bank};

const AMOUNT: f64 = 25.5;

/// The requests of one transfer from account_A to account_B, with the same keys in every run.
struct Transfer {
    bank: Client,
}

impl Transfer {
    async fn new() -> Transfer {
        Transfer { bank: bank().await }
    }

    fn withdraw(&self, run: &str) -> Ask {
        self.bank.withdraw("account_A", AMOUNT).key("withdraw").run_of("transfer", run)
    }

    fn deposit(&self, run: &str) -> Ask {
        self.bank.deposit("account_B", AMOUNT).key("deposit").run_of("transfer", run)
    }

    fn refund(&self, run: &str) -> Ask {
        self.bank.refund("account_A", AMOUNT).run_of("transfer", run)
    }

    async fn balances(&self) -> (f64, f64) {
        (self.bank.balance("account_A").await, self.bank.balance("account_B").await)
    }
}

async fn done(ask: Ask) {
    let answer = ask.send().await;
    assert_eq!(answer.status, 200, "{}", answer.json);
}

/// Asks for a refund, and gives how much went back and whether the money had arrived.
async fn refunded(ask: Ask) -> (f64, bool) {
    let answer = ask.send().await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let amount = answer.json["amount_refunded"].as_f64().expect("an amount");
    (amount, answer.json["delivered"].as_bool().expect("a yes or no"))
}

async fn closed(ask: Ask) -> String {
    let answer = ask.send().await;
    assert_eq!(answer.refusal(), (409, Some("TransferClosed")));
    answer.error().to_owned()
}

#[tokio::test]
async fn a_refund_gives_back_what_was_withdrawn() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    let answer = transfer.refund("run-1").send().await;
    let expected = json!({
        "account_number": "account_A",
        "amount_refunded": 25.5,
        "new_balance": 1000,
        "delivered": false,
    });
    assert_eq!((answer.status, answer.json), (200, expected));
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
}

#[tokio::test]
async fn a_refund_gives_back_what_is_in_transit_whatever_it_was_asked_for() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    let ask = transfer.bank.refund("account_A", 999.0).run_of("transfer", "run-1");
    assert_eq!(refunded(ask).await, (25.5, false));
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
}

#[tokio::test]
async fn only_the_account_that_was_taken_from_can_be_refunded() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    let answer = transfer.bank.refund("account_C", AMOUNT).run_of("transfer", "run-1").send().await;
    assert_eq!(answer.refusal(), (422, Some("BadRequest")));
    assert_eq!(transfer.bank.balance("account_C").await, 750.0);
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
}

#[tokio::test]
async fn a_refund_needs_its_transfer_and_its_run() {
    let bank = bank().await;
    for ask in [
        bank.refund("account_A", AMOUNT),
        bank.refund("account_A", AMOUNT).header("Transfer-Id", "transfer"),
        bank.refund("account_A", AMOUNT).header("Transfer-Run", "run"),
    ] {
        let answer = ask.send().await;
        assert_eq!(answer.refusal(), (400, Some("BadRequest")));
        assert!(answer.error().contains("Transfer-Id and Transfer-Run"), "{}", answer.error());
    }
}

#[tokio::test]
async fn the_same_refund_again_is_answered_the_same_and_pays_once() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    let asks = (0..20).map(|_| refunded(transfer.refund("run-1")));
    for answer in join_all(asks).await {
        assert_eq!(answer, (25.5, false));
    }
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
}

#[tokio::test]
async fn money_that_has_arrived_stays_and_its_run_stays_open() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    done(transfer.deposit("run-1")).await;
    for _ in 0..2 {
        assert_eq!(refunded(transfer.refund("run-1")).await, (0.0, true));
    }
    done(transfer.deposit("run-1")).await;
    assert_eq!(transfer.balances().await, (974.5, 525.5));
}

#[tokio::test]
async fn a_refund_with_nothing_withdrawn_closes_the_run_before_a_late_withdrawal() {
    let transfer = Transfer::new().await;
    for _ in 0..2 {
        assert_eq!(refunded(transfer.refund("run-1")).await, (0.0, false));
    }
    closed(transfer.withdraw("run-1")).await;
    closed(transfer.deposit("run-1")).await;
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
    // A reset is another run.
    done(transfer.withdraw("run-2")).await;
    done(transfer.deposit("run-2")).await;
    assert_eq!(transfer.balances().await, (974.5, 525.5));
}

#[tokio::test]
async fn what_arrives_late_from_a_refunded_run_is_refused_even_under_an_applied_key() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
    closed(transfer.withdraw("run-1")).await;
    closed(transfer.deposit("run-1")).await;
    let without_key = transfer.bank.withdraw("account_A", 1.0).run_of("transfer", "run-1");
    closed(without_key).await;
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
}

#[tokio::test]
async fn a_refund_closes_the_earlier_runs_as_well() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    // A reset: the second run finds the withdrawal done, and gives up later.
    done(transfer.withdraw("run-2")).await;
    assert_eq!(refunded(transfer.refund("run-2")).await, (25.5, false));
    for run in ["run-1", "run-2"] {
        closed(transfer.withdraw(run)).await;
        closed(transfer.deposit(run)).await;
    }
    assert_eq!(refunded(transfer.refund("run-1")).await, (0.0, false));
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
    done(transfer.withdraw("run-3")).await;
    done(transfer.deposit("run-3")).await;
    assert_eq!(transfer.balances().await, (974.5, 525.5));
}

#[tokio::test]
async fn other_transfers_and_other_runs_are_not_closed_by_a_refund() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
    done(transfer.bank.withdraw("account_A", 1.0).run_of("other", "run-1")).await;
    done(transfer.bank.deposit("account_B", 1.0).run_of("other", "run-1")).await;
    done(transfer.bank.withdraw("account_A", 1.0).run_of("transfer", "run-2")).await;
}

#[tokio::test]
async fn a_reset_before_the_withdrawal_moves_the_money_once_under_the_same_keys() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
    for _ in 0..3 {
        done(transfer.withdraw("run-2")).await;
    }
    assert_eq!(transfer.balances().await, (974.5, 500.0));
    for _ in 0..3 {
        done(transfer.deposit("run-2")).await;
    }
    assert_eq!(transfer.balances().await, (974.5, 525.5));
    assert_eq!(refunded(transfer.refund("run-2")).await, (0.0, true));
    // What the first run still sends, and asks for, changes nothing.
    closed(transfer.deposit("run-1")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
    assert_eq!(transfer.balances().await, (974.5, 525.5));
}

#[tokio::test]
async fn a_reset_of_the_bank_in_the_middle_of_a_transfer_makes_no_money() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    assert_eq!(transfer.bank.ask("POST", "/reset").send().await.status, 200);
    closed(transfer.deposit("run-1")).await;
    // Nor does a Workflow Reset to behind the withdrawal; one to before it begins anew.
    closed(transfer.deposit("run-2")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (0.0, false));
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
    done(transfer.withdraw("run-3")).await;
    done(transfer.deposit("run-3")).await;
    assert_eq!(transfer.balances().await, (974.5, 525.5));
}

#[tokio::test]
async fn a_reset_of_the_bank_closes_also_a_transfer_that_named_no_run() {
    let bank = bank().await;
    done(bank.withdraw("account_A", AMOUNT).header("Transfer-Id", "transfer")).await;
    assert_eq!(bank.ask("POST", "/reset").send().await.status, 200);
    closed(bank.deposit("account_B", AMOUNT).header("Transfer-Id", "transfer")).await;
    assert_eq!(bank.total_cents().await, 795_000);
    // From a withdrawal on it moves money again.
    done(bank.withdraw("account_A", AMOUNT).header("Transfer-Id", "transfer")).await;
    done(bank.deposit("account_B", AMOUNT).header("Transfer-Id", "transfer")).await;
    assert_eq!(bank.total_cents().await, 795_000);
}

#[tokio::test]
async fn a_repeated_refund_of_an_old_run_leaves_the_new_runs_money_in_transit() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
    done(transfer.withdraw("run-2")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
    assert_eq!(transfer.balances().await, (974.5, 500.0));
    done(transfer.deposit("run-2")).await;
    assert_eq!(transfer.balances().await, (974.5, 525.5));
}

#[tokio::test]
async fn a_reset_after_the_withdrawal_cannot_deposit_what_was_given_back() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
    let sentence = closed(transfer.deposit("run-2")).await;
    assert!(sentence.contains("reset the transfer to a point before its withdrawal"), "{sentence}");
    let without_key = transfer.bank.deposit("account_B", AMOUNT).run_of("transfer", "run-2");
    closed(without_key).await;
    assert_eq!(transfer.balances().await, (1000.0, 500.0));
}

#[tokio::test]
async fn each_of_several_refunds_gives_back_its_own_runs_money() {
    let transfer = Transfer::new().await;
    for run in ["run-1", "run-2", "run-3"] {
        done(transfer.withdraw(run)).await;
        assert_eq!(refunded(transfer.refund(run)).await, (25.5, false));
        assert_eq!(transfer.balances().await, (1000.0, 500.0));
    }
    // By now there is nothing left to give back.
    assert_eq!(refunded(transfer.refund("run-4")).await, (0.0, false));
    assert_eq!(refunded(transfer.refund("run-1")).await, (25.5, false));
}

#[tokio::test]
async fn a_deposit_of_which_only_a_part_arrived_is_refunded_for_the_rest() {
    let transfer = Transfer::new().await;
    done(transfer.withdraw("run-1")).await;
    let part = transfer.bank.deposit("account_B", 10.0).key("part").run_of("transfer", "run-1");
    done(part).await;
    assert_eq!(refunded(transfer.refund("run-1")).await, (15.5, false));
    assert_eq!(transfer.balances().await, (990.0, 510.0));
    // The key of the deposit is undone as well, and nothing is in transit to cover it.
    let part = transfer.bank.deposit("account_B", 10.0).key("part").run_of("transfer", "run-2");
    closed(part).await;
    done(transfer.withdraw("run-2")).await;
    let part = transfer.bank.deposit("account_B", 10.0).key("part").run_of("transfer", "run-2");
    done(part).await;
    assert_eq!(transfer.balances().await, (964.5, 520.0));
}

#[tokio::test]
async fn a_transfer_that_was_never_refunded_may_deposit_without_a_withdrawal() {
    let bank = bank().await;
    done(bank.deposit("account_B", AMOUNT).run_of("foreign", "run-1")).await;
    assert_eq!(bank.balance("account_B").await, 525.5);
    let ask = bank.refund("account_B", AMOUNT).run_of("foreign", "run-1");
    assert_eq!(refunded(ask).await, (0.0, true));
}

#[tokio::test]
async fn a_refund_and_a_deposit_at_once_end_with_the_money_in_one_place() {
    for _ in 0..20 {
        let transfer = Transfer::new().await;
        done(transfer.withdraw("run-1")).await;
        let (deposit, refund) =
            tokio::join!(transfer.deposit("run-1").send(), refunded(transfer.refund("run-1")));
        match refund {
            (amount, false) => {
                assert_eq!((amount, deposit.status), (25.5, 409));
                assert_eq!(transfer.balances().await, (1000.0, 500.0));
            }
            (amount, true) => {
                assert_eq!((amount, deposit.status), (0.0, 200));
                assert_eq!(transfer.balances().await, (974.5, 525.5));
            }
        }
    }
}

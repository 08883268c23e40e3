//! Real World Mode, outages, the daily batch and the reset: the bank's state matches the page.

use serde_json::{Value, json};
use testbed::until;

use crate::{lab::Lab, page::Page, visit, webdriver::Key};

/// Waits until the bank's response has these fields.
async fn bank_has(lab: &Lab, path: &str, part: Value) {
    let part = part.as_object().expect("fields");
    until(&format!("{path} of the bank to be {part:?}"), || async {
        let answer: Value = lab.testbed.get(path).await;
        if part.iter().all(|(name, value)| answer[name] == *value) { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn the_page_sets_the_banks_real_world_mode_and_its_rates() {
    visit("jerry", async |lab, page| {
        page.click("#trouble > summary").await;
        page.click("#real-world").await;
        bank_has(lab, "/real-world-mode", json!({ "enabled": true })).await;
        page.see_text("#bank-message", "Real World Mode is on.").await;

        page.click("#rates summary").await;
        let rates = [("#error-rate", "25"), ("#timeout-rate", "5"), ("#timeout-seconds", "2.5")];
        for (field, rate) in rates {
            page.fill(field, rate).await;
        }
        page.choose("#strikes", "after the money moves").await;
        page.click("#apply-rates").await;
        let set = json!({ "enabled": true, "error_rate": 0.25, "timeout_rate": 0.05, "timeout_seconds": 2.5, "strikes": "after" });
        bank_has(lab, "/real-world-mode", set.clone()).await;
        page.see_text("#rates summary", "25% fail, 5% time out").await;

        for (field, wrong, says) in [
            ("#error-rate", "101", "from 0 to 100"),
            ("#timeout-rate", "many", "from 0 to 100"),
            ("#timeout-seconds", "301", "from 0 to 300"),
            ("#error-rate", "96", "together must be at most 100%"),
        ] {
            let before = page.string(&format!("return $('{field}').value")).await;
            page.fill(field, wrong).await;
            page.click("#apply-rates").await;
            page.see_text("#rates-error", says).await;
            page.fill(field, &before).await;
        }
        bank_has(lab, "/real-world-mode", set).await;

        page.click("#real-world").await;
        bank_has(lab, "/real-world-mode", json!({ "enabled": false, "error_rate": 0.25 })).await;
    })
    .await;
}

#[tokio::test]
async fn the_page_shows_the_banks_outage_wherever_it_was_switched() {
    visit("jerry", async |lab, page| {
        page.click("#trouble > summary").await;
        page.click("#outage-withdrawals").await;
        bank_has(lab, "/outage", json!({ "withdrawals": true, "deposits": false })).await;
        page.click("#outage-deposits").await;
        bank_has(lab, "/outage", json!({ "withdrawals": true, "deposits": true })).await;
        page.click("#outage-withdrawals").await;
        bank_has(lab, "/outage", json!({ "withdrawals": false, "deposits": true })).await;
        page.see_text("#bank-message", "The withdrawal outage is off.").await;

        lab.testbed.put("/outage", json!({ "withdrawals": true, "deposits": false })).await;
        page.see(
            "a change that the page did not make",
            "return $('#outage-withdrawals').checked && !$('#outage-deposits').checked",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_daily_batch_is_twelve_transfers_that_move_money_once() {
    visit("fix-activity", async |lab, page| {
        lab.work("reset-workflows").await;
        page.click("#batch").await;
        page.see_text("#form-message", "12 transfers started.").await;
        page.see_text("#counts", "12 completed").await;
        page.see_text("#range", "1–10 of 12").await;
        assert_eq!(page.js("return $$('.transfer[data-status=COMPLETED]').length").await, 10);
        // account_A after one payment and two receipts.
        page.see_text("[data-account=account_A] .balance", "$1,028.80").await;
        assert_eq!(lab.testbed.balance("account_A").await, 102_880);
        page.see_text("#total", "$7,950.00").await;
        page.see_text("#in-transit", "$0.00").await;

        page.click("[data-account=account_A]").await;
        page.see("its three transfers", "return $$('#history-rows .movement').length === 3").await;
        let summary = page.string("return text('#history-summary')").await;
        assert_eq!(
            summary,
            "Sent$12.50Received$41.30Net change$28.80Transfers3Completed3In progress0Failed0"
        );
        page.click("#history-close").await;
        lab.rest().await;
    })
    .await;
}

async fn dialog_is_open(page: &Page) -> bool {
    page.js("return $('#reset-dialog').open").await == true
}

#[tokio::test]
async fn a_confirmed_reset_empties_the_lab_and_a_canceled_one_does_not() {
    visit("fix-activity", async |lab, page| {
        lab.work("reset-workflows").await;
        let completed = page.start_transfer("account_A", "account_B", "100").await;
        page.see_element(&format!("[data-workflow-id={completed}][data-status=COMPLETED]")).await;
        // A transfer that waits at its deposit.
        lab.testbed.put("/outage", json!({ "deposits": true })).await;
        let waiting = page.start_transfer("account_C", "account_D", "50").await;
        page.see_element(&format!("[data-workflow-id={waiting}][data-stuck=activity]")).await;
        page.see_text("#in-transit", "$50.00").await;

        page.click("#reset").await;
        page.see_element("#reset-dialog").await;
        assert_eq!(page.js("return document.activeElement === $('#reset-cancel')").await, true);
        page.click("#reset-cancel").await;
        assert!(!dialog_is_open(page).await);
        assert_eq!(page.js("return document.activeElement === $('#reset')").await, true);
        // Escape and a click outside the dialog cancel it too.
        page.click("#reset").await;
        page.press(&[Key::Escape]).await;
        assert!(!dialog_is_open(page).await);
        // A selection of text that ends outside does not.
        page.click("#reset").await;
        for (begins_at, is_open) in [("#reset-dialog p", true), ("#reset-dialog", false)] {
            let press = format!(
                "const send = (kind, target) => target.dispatchEvent(new MouseEvent(kind, {{ bubbles: true, clientX: 1, clientY: 1 }}));
                 send('pointerdown', $('{begins_at}'));
                 send('click', $('#reset-dialog'));
                 return true"
            );
            page.js(&press).await;
            assert_eq!(dialog_is_open(page).await, is_open, "{begins_at}");
        }
        assert_eq!(lab.testbed.balance("account_A").await, 90_000);
        assert_eq!(page.js("return $$('.transfer').length").await, 2);
        assert_ne!(page.string("return text('#form-message')").await, "");

        page.click("#reset").await;
        page.click("#reset-confirm").await;
        page.see_text("#bank-message[data-tone=ok]", "transfers have been reset").await;
        page.see_text("#empty-title", "No transfers yet").await;
        page.see_text("[data-account=account_A] .balance", "$1,000.00").await;
        page.see_text("[data-account=account_C] .balance", "$750.00").await;
        page.see_text("#in-transit", "$0.00").await;
        page.see("no message about a deleted transfer", "return text('#form-message') === ''").await;
        assert_eq!(lab.testbed.balance("account_A").await, 100_000);
        assert!(!dialog_is_open(page).await);
        lab.rest().await;
    })
    .await;
}

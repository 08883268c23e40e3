//! A page that stays open: it shows what is down and recovers without a reload.

use crate::{
    browser::Browser,
    lab::Lab,
    page::{Page, transfer},
    visit, visit_with,
};

/// Something that a reload would lose.
async fn mark(page: &Page) {
    page.js("window.mark = 'left open'").await;
}

async fn was_not_reloaded(page: &Page) {
    assert_eq!(page.js("return window.mark").await, "left open");
}

#[tokio::test]
async fn a_page_left_open_survives_a_restart_of_its_own_service() {
    visit("fix-activity", async |lab, page| {
        lab.work("reset-workflows").await;
        let before = page.start_transfer("account_A", "account_B", "25.50").await;
        page.see_element(&format!("{}[data-status=COMPLETED]", transfer(&before))).await;
        mark(page).await;

        lab.end_service().await;
        page.expects("/api/events?offset=0&limit=10 - Failed to load resource: net::ERR_CONNECTION_REFUSED");
        page.see_text("#banner [data-name=lost]", "This page has lost its connection to the lab.").await;
        page.see_element("#services [data-service=worker][data-state=unknown]").await;
        // The known data stays, and a request in the meantime shows its error.
        page.see_element(&transfer(&before)).await;
        page.expects("/api/transfer - Failed to load resource: net::ERR_CONNECTION_REFUSED");
        page.click("#submit").await;
        page.see_text("#form-message[data-tone=bad]", "The page cannot connect to its server.").await;

        lab.serve_again().await;
        page.see("no banner any more", "return $('#banner').childElementCount === 0").await;
        page.see_text("#health[data-state=running] summary", "Lab running").await;
        let after = page.start_transfer("account_A", "account_B", "1").await;
        page.see_element(&format!("{}[data-status=COMPLETED]", transfer(&after))).await;
        was_not_reloaded(page).await;
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn a_page_left_open_survives_a_restart_of_temporal_and_of_the_bank() {
    let Some(browser) = Browser::open().await else { return };
    visit_with(browser, Lab::start_keeping("fix-activity").await, async |lab, page| {
        let before = page.start_transfer("account_A", "account_B", "25.50").await;
        mark(page).await;

        lab.testbed.server.stop();
        page.see_text("#banner [data-name=temporal]", "The Temporal server does not answer").await;
        page.see_text("#banner [data-name=temporal] code", "cargo xtask lab status").await;
        page.see_element(&transfer(&before)).await;
        page.expects("/api/transfer - Failed to load resource: the server responded with a status of 503");
        page.click("#submit").await;
        page.see_text("#form-message[data-tone=bad]", "the Temporal server does not answer").await;
        lab.testbed.server.start_again().await;
        page.see("no banner any more", "return $('#banner').childElementCount === 0").await;

        lab.testbed.bank.close().await;
        page.see_text("#banner [data-name=account-api]", "The bank does not answer").await;
        page.see_text("[data-account=account_A] .balance", "$1,000.00").await;
        page.expects("/api/outage - Failed to load resource: the server responded with a status of 503");
        page.click("#outage-deposits").await;
        page.see_text("#bank-message[data-tone=bad]", "the bank does not answer").await;
        page.see("the switch to be as it was", "return !$('#outage-deposits').checked").await;
        // A transfer starts without the bank, and waits for it.
        let without_bank = page.start_transfer("account_C", "account_D", "1").await;
        lab.testbed.bank.open_again().await;
        page.see("no banner any more", "return $('#banner').childElementCount === 0").await;

        // Every transfer completes in the end.
        lab.work("reset-workflows").await;
        for id in [before, without_bank] {
            page.see_element(&format!("{}[data-status=COMPLETED]", transfer(&id))).await;
        }
        page.see_text("[data-account=account_A] .balance", "$974.50").await;
        was_not_reloaded(page).await;
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn a_page_opened_without_the_bank_says_so_and_recovers() {
    let Some(browser) = Browser::open().await else { return };
    let mut lab = Lab::start_keeping("jerry").await;
    lab.testbed.bank.close().await;
    visit_with(browser, lab, async |lab, page| {
        page.see_text("#banner [data-name=account-api]", "The bank does not answer").await;
        page.see_text("#accounts-empty", "once the bank responds").await;
        page.click("#submit").await;
        page.see_text("#from-error", "The bank has not responded yet, so there are no accounts to choose.")
            .await;
        lab.testbed.bank.open_again().await;
        page.see_text("[data-account=account_J] .balance", "$800.00").await;
        page.see(
            "no error any more",
            "return text('#from-error') === '' && $('#from').options.length === 10",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_banner_shows_what_the_supervisor_reports() {
    visit("jerry", async |lab, page| {
        lab.say("worker", "stopped");
        page.see_text("#banner [data-name=worker]", "No worker is running").await;
        page.see_element("#services [data-service=worker][data-state=stopped]").await;
        page.see_text("#health-says", "worker down").await;
        lab.say("worker", "restarting");
        page.see_element("#services [data-service=worker][data-state=restarting]").await;
        page.see_text("#banner [data-name=worker]", "No worker is running").await;
        // The same is no alarm while the lab builds.
        lab.say_build("building");
        page.see("no banner any more", "return $('#banner').childElementCount === 0").await;
        page.see_element("#services [data-service=worker][data-state=restarting]").await;
        lab.say("worker", "running");
        page.see_text("#health-says", "Lab running").await;
        page.see("the names folded again", "return !shown('#services')").await;
        lab.say_build("building");
        page.see_text("#build[data-build=building]", "building the worker").await;
        lab.say_build("failed");
        page.see_text("#banner [data-name=build]", "The worker does not compile.").await;
        page.see_text("#banner [data-name=build] code", "cargo xtask lab logs build").await;
        lab.say_build("ok");
        page.see("no banner any more", "return $('#banner').childElementCount === 0").await;
    })
    .await;
}

//! The form that starts a transfer: its errors, and that one submit starts one transfer.

use serde_json::json;

use crate::{page::transfer, visit};

#[tokio::test]
async fn an_invalid_field_shows_its_error_and_nothing_is_started() {
    visit("jerry", async |_, page| {
        for (typed, says) in [
            ("", "Enter an amount, such as 25.50."),
            ("some", "Enter an amount, such as 25.50."),
            ("1e3", "Enter an amount, such as 25.50."),
            ("12,5", "Write a dot before the cents: 25.50."),
            ("0.125", "Enter at most two digits after the dot."),
            ("0", "The amount must be more than zero."),
            ("0.00", "The amount must be more than zero."),
            ("-5", "The amount must be more than zero."),
            ("1000000000.01", "The maximum is $1,000,000,000.00."),
        ] {
            page.fill("#amount", typed).await;
            page.click("#submit").await;
            page.see_text("#amount-error", says).await;
            let state = page.js(
                "const amount = $('#amount');
                 return [amount.getAttribute('aria-invalid'), amount.getAttribute('aria-describedby'), document.activeElement === amount]",
            );
            assert_eq!(state.await, json!(["true", "amount-error", true]), "{typed}");
            assert_eq!(
                page.js("return $('#submit').hasAttribute('aria-disabled')").await,
                false,
                "no request was sent, so the button accepts the next click"
            );
            // Editing the field clears its error.
            page.type_text("1").await;
            page.see("no error any more", "return text('#amount-error') === '' && !$('#amount').ariaInvalid").await;
        }
        page.fill("#amount", "1").await;
        page.choose("#from", "account_C").await;
        page.choose("#to", "account_C").await;
        page.click("#submit").await;
        page.see_text("#to-error", "Choose two different accounts.").await;
        assert_eq!(page.js("return document.activeElement === $('#to')").await, true);
        page.choose("#from", "account_D").await;
        page.see("no error any more", "return text('#to-error') === ''").await;

        // Valid now; and it is the first on the list, so nothing was started before.
        page.fill("#amount", "$1,000.5").await;
        page.click("#submit").await;
        page.see_text("#form-message", "Started").await;
        let row = transfer(&page.string("return text('#form-message code')").await);
        page.see_text(&format!("{row} .amount"), "$1,000.50").await;
        assert_eq!(page.js("return $$('.transfer').length").await, 1);
        // Without a worker, it counts as stuck after five seconds.
        let counts = page.string("return text('#counts')").await;
        assert!(counts.starts_with("1 in progress"), "{counts}");
    })
    .await;
}

#[tokio::test]
async fn an_error_from_the_server_is_shown_as_it_is() {
    visit("jerry", async |_, page| {
        page.expects("/api/transfer - Failed to load resource: the server responded with a status of 400");
        // As if the bank had closed an account in the meantime.
        page.js("$('#from').append(new Option('account_Z', 'account_Z'))").await;
        page.choose("#from", "account_Z").await;
        page.click("#submit").await;
        page.see_text("#form-message[data-tone=bad]", "the bank has no account account_Z").await;
        page.choose("#from", "account_A").await;
        page.click("#submit").await;
        page.see_text("#form-message[data-tone=ok]", "Started").await;
    })
    .await;
}

#[tokio::test]
async fn a_double_click_starts_one_transfer() {
    visit("jerry", async |lab, page| {
        page.js("window.clicks = 0; $('#submit').addEventListener('click', () => { window.clicks += 1 })")
            .await;
        let double = page.element("#submit").await.double_click().await;
        double.expect("the mouse can be clicked");
        page.see_text("#form-message", "Started").await;
        assert_eq!(page.js("return window.clicks").await, 2);

        // Once the next transfer is listed, a second one from the double click would be listed too.
        page.click("#submit").await;
        testbed::until("the second transfer", || async {
            let listed = lab.testbed.ask_server("workflow-count").await;
            if listed["count"] == "2" { Ok(()) } else { Err(listed) }
        })
        .await;
        page.see_text("#counts", "2 in progress").await;
        assert_eq!(page.js("return $$('.transfer').length").await, 2);
    })
    .await;
}

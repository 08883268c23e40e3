//! The form that starts a transfer: what it says of what cannot be, and that it starts one for one wish.

use serde_json::json;

use crate::{page::transfer, visit};

#[tokio::test]
async fn what_cannot_be_transferred_is_said_next_to_its_field_and_nothing_is_started() {
    visit("jerry", async |_, page| {
        for (typed, says) in [
            ("", "Type an amount, such as 25.50."),
            ("some", "That is no amount. Write it like 25.50."),
            ("1e3", "That is no amount. Write it like 25.50."),
            ("12,5", "Write a dot before the cents: 25.50."),
            ("0.125", "At most two digits after the dot."),
            ("0", "The amount must be more than zero."),
            ("0.00", "The amount must be more than zero."),
            ("-5", "The amount must be more than zero."),
            ("1000000000.01", "The most is $1,000,000,000.00."),
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
                "nothing was ordered, so the button takes the next click"
            );
            // Whoever sees to it is not told off any longer.
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

        // Now it can be; and as it is the first on the list, nothing was started before.
        page.fill("#amount", "$1,000.5").await;
        page.click("#submit").await;
        page.see_text("#form-message", "Started").await;
        let row = transfer(&page.string("return text('#form-message code')").await);
        page.see_text(&format!("{row} .amount"), "$1,000.50").await;
        assert_eq!(page.js("return $$('.transfer').length").await, 1);
        assert_eq!(page.string("return text('#counts')").await, "1 under way");
    })
    .await;
}

#[tokio::test]
async fn what_only_the_server_knows_is_said_in_its_words() {
    visit("jerry", async |_, page| {
        page.expects("/api/transfer - Failed to load resource: the server responded with a status of 400");
        // As if the bank had closed an account since.
        page.js("$('#from').append(new Option('account_Z', 'account_Z'))").await;
        page.choose("#from", "account_Z").await;
        page.click("#submit").await;
        page.see_text("#form-message[data-tone=bad]", "there is no account account_Z").await;
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

        // When the next one is there as well, the first click's other half would be, too.
        page.click("#submit").await;
        testbed::until("the second transfer", || async {
            let listed = lab.testbed.ask_server("workflow-count").await;
            if listed["count"] == "2" { Ok(()) } else { Err(listed) }
        })
        .await;
        page.see_text("#counts", "2 under way").await;
        assert_eq!(page.js("return $$('.transfer').length").await, 2);
    })
    .await;
}

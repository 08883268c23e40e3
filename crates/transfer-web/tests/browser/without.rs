//! Before the first transfer: the same transfer without Temporal.

use crate::{browser::WINDOW, visit};

#[tokio::test]
async fn before_the_first_transfer_the_guide_shows_it_without_temporal_on_a_phone_too() {
    visit("jerry", async |_, page| {
        page.browser.look_like((390, 844), 1.0).await;
        page.click("#without-section summary").await;
        page.click("#without-run").await;
        page.see_text("#without-moments", "withdrawn twice, deposited once").await;
        let moments = page.string("return $$('#without-moments li').map((item) => item.innerText).join('|')").await;
        for part in ["$1,000.00", "$974.50", "25.50 is in no account", "$949.00", "$525.50"] {
            assert!(moments.contains(part), "{part} in {moments}");
        }
        page.see_text("#without-conclusion", "nobody knows that 25.50 is missing").await;
        let widest = "return $$('#without-section *').every((part) => part.getBoundingClientRect().right <= innerWidth)";
        assert_eq!(page.js(widest).await, true, "nothing is cut off");

        // With the first transfer it has been seen.
        page.browser.look_like(WINDOW, 1.0).await;
        page.start_transfer("account_A", "account_B", "25.50").await;
        page.see("no section", "return !shown('#without-section')").await;
    })
    .await;
}

//! The page's stream: it is let go of while nobody looks, and a server that hangs is noticed.

use crate::{browser::Browser, lab::Lab, page::Page, visit_at, wire::Wire};

/// Hides the page, as another tab does, or shows it again.
async fn hide(page: &Page, hidden: bool) {
    page.js(&format!(
        "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }});
         document.dispatchEvent(new Event('visibilitychange'))"
    ))
    .await;
}

#[tokio::test]
async fn a_page_that_nobody_looks_at_lets_go_of_its_stream_and_has_it_back_at_once() {
    let Some(browser) = Browser::open().await else { return };
    let lab = Lab::start("jerry").await;
    let wire = Wire::to(&lab.url).await;
    visit_at(browser, lab, &wire.url, async |_, page| {
        wire.see_streams((1, 0)).await;
        hide(page, true).await;
        wire.see_streams((1, 1)).await;
        // What is ordered from there comes true all the same, and is seen when somebody looks.
        page.js("$('#batch').click()").await;
        page.see("the answer", "return text('#form-message') === '12 transfers started.'").await;
        assert_eq!(page.js("return $$('.transfer').length").await, 0);
        assert_eq!(wire.streams(), (1, 1));
        hide(page, false).await;
        page.see_text("#counts", "12 under way").await;
        wire.see_streams((2, 1)).await;
        assert_eq!(page.js("return $('#banner').childElementCount").await, 0, "nothing was lost");

        // Who only looks away for a moment keeps it: six seconds later it is the same one, and alive.
        hide(page, true).await;
        hide(page, false).await;
        page.js("setTimeout(() => { window.later = true }, 6000)").await;
        page.see("six seconds to go by", "return window.later").await;
        page.click("#batch").await;
        page.see_text("#counts", "24 under way").await;
        assert_eq!(wire.streams(), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_takes_what_is_asked_and_says_nothing_is_noticed() {
    let Some(browser) = Browser::open().await else { return };
    let lab = Lab::start("jerry").await;
    let wire = Wire::to(&lab.url).await;
    visit_at(browser, lab, &wire.url, async |_, page| {
        wire.hold(true);
        page.see_text("#banner [data-name=lost]", "The server of this page does not answer.").await;
        page.see_text("#banner [data-name=lost] code", "cargo xtask lab restart transfer-web").await;
        page.see_element("#services [data-service=worker][data-state=unknown]").await;
        wire.hold(false);
        page.see("no banner any more", "return $('#banner').childElementCount === 0").await;
        page.start_transfer("account_A", "account_B", "1").await;
    })
    .await;
}

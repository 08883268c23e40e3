//! The page's stream: it is closed while the page is hidden, and a hanging server is detected.

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
async fn a_hidden_page_closes_its_stream_and_reopens_it_when_shown() {
    let Some(browser) = Browser::open().await else { return };
    let lab = Lab::start("jerry").await;
    let wire = Wire::to(&lab.url).await;
    visit_at(browser, lab, &wire.url, async |_, page| {
        wire.see_streams((1, 0)).await;
        hide(page, true).await;
        wire.see_streams((1, 1)).await;
        // A request from the hidden page still works, and its effect is visible once the page is shown.
        page.js("$('#batch').click()").await;
        page.see("the answer", "return text('#form-message') === '12 transfers started.'").await;
        assert_eq!(page.js("return $$('.transfer').length").await, 0);
        assert_eq!(wire.streams(), (1, 1));
        hide(page, false).await;
        page.see_text("#counts", "12 in progress").await;
        wire.see_streams((2, 1)).await;
        assert_eq!(page.js("return $('#banner').childElementCount").await, 0, "nothing was lost");

        // A page that is hidden for a moment keeps its stream: six seconds later it is the same one, and alive.
        hide(page, true).await;
        hide(page, false).await;
        page.js("setTimeout(() => { window.later = true }, 6000)").await;
        page.see("six seconds to go by", "return window.later").await;
        page.click("#batch").await;
        page.see_text("#counts", "24 in progress").await;
        assert_eq!(wire.streams(), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_accepts_connections_and_sends_nothing_is_detected() {
    let Some(browser) = Browser::open().await else { return };
    let lab = Lab::start("jerry").await;
    let wire = Wire::to(&lab.url).await;
    visit_at(browser, lab, &wire.url, async |_, page| {
        wire.hold(true);
        page.see_text("#banner [data-name=lost]", "The page’s server is not responding.").await;
        page.see_text("#banner [data-name=lost] code", "cargo xtask lab restart transfer-web").await;
        page.see_element("#services [data-service=worker][data-state=unknown]").await;
        wire.hold(false);
        page.see("no banner any more", "return $('#banner').childElementCount === 0").await;
        page.start_transfer("account_A", "account_B", "1").await;
    })
    .await;
}

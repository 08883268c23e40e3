//! The page in a real browser, on a real server, a real bank and a real worker, as a learner has it before them.
//!
//! A test is a visit to a lab of its own; see [`visit`]. What a visit ends with is the same for all: the browser has nothing to
//! complain of, and asked nobody but the page's own service.

mod browser;
mod form;
mod lab;
mod page;
mod quiet;
mod story;
mod webdriver;
mod wire;
mod without;

/// What `cargo xtask test` leaves out: a lab and a browser for each. By `cargo xtask test --slow`.
mod slow {
    mod audit;
    mod history;
    mod keyboard;
    mod looks;
    mod many;
    mod outages;
    mod rows;
    mod screenshots;
    mod stages;
    mod stream;
    mod switches;
}

use std::env;

use webtest::skip;

use browser::Browser;
use lab::Lab;
use page::Page;

/// Starts a lab at this stage and opens its page in a browser; at the end the page must have been quiet. Where there is no browser,
/// says so and does nothing, unless in CI.
async fn visit(stage: &str, test: impl AsyncFnOnce(&mut Lab, &Page)) {
    let Some(browser) = Browser::open().await else { return };
    visit_with(browser, Lab::start(stage).await, test).await;
}

/// The same for a lab that is there already.
async fn visit_with(browser: Browser, lab: Lab, test: impl AsyncFnOnce(&mut Lab, &Page)) {
    let url = lab.url.clone();
    visit_at(browser, lab, &url, test).await;
}

/// The same by another address of its service.
async fn visit_at(browser: Browser, mut lab: Lab, url: &str, test: impl AsyncFnOnce(&mut Lab, &Page)) {
    let page = Page::open(browser, url).await;
    test(&mut lab, &page).await;
    page.was_quiet().await;
}

/// Whether these tests were told to do without a browser; then it is said why, in CI as well.
fn is_without_browser() -> bool {
    let Some(why) = env::var("BUGLAB_NO_BROWSER").ok().filter(|why| !why.is_empty()) else { return false };
    println!("skipped: {why}");
    true
}

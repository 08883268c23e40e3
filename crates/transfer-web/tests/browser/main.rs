//! The page in a real browser, with a real server, a real bank and a real worker, as a learner uses it.
//!
//! Each test has its own lab; see [`visit`]. At the end of every test, the browser must have logged no errors and sent requests
//! only to the page's service.

mod board;
mod browser;
mod build;
mod class;
mod drill;
mod form;
mod forwarded;
mod lab;
mod page;
mod quiet;
mod story;
mod tasks;
mod versions;
mod webdriver;
mod wire;
mod without;

/// Slow tests, each with a lab and a browser: `cargo xtask test --slow`.
mod slow {
    pub(crate) mod audit;
    mod history;
    mod keyboard;
    pub(crate) mod looks;
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

/// Starts a lab at this stage and opens its page in a browser; at the end the browser must have logged no errors. Without a
/// browser, prints why and skips the test, except in CI.
async fn visit(stage: &str, test: impl AsyncFnOnce(&mut Lab, &Page)) {
    let Some(browser) = Browser::open().await else { return };
    visit_with(browser, Lab::start(stage).await, test).await;
}

/// The same for an existing lab.
async fn visit_with(browser: Browser, lab: Lab, test: impl AsyncFnOnce(&mut Lab, &Page)) {
    let url = lab.url.clone();
    visit_at(browser, lab, &url, test).await;
}

/// The same with another address of its service.
async fn visit_at(browser: Browser, mut lab: Lab, url: &str, test: impl AsyncFnOnce(&mut Lab, &Page)) {
    let page = Page::open(browser, url).await;
    test(&mut lab, &page).await;
    page.was_quiet().await;
}

/// Whether BUGLAB_NO_BROWSER skips these tests; prints the reason, in CI too.
fn is_without_browser() -> bool {
    let Some(why) = env::var("BUGLAB_NO_BROWSER").ok().filter(|why| !why.is_empty()) else { return false };
    println!("skipped: {why}");
    true
}

//! The screenshots for docs/screenshots, taken only if BUGLAB_SCREENSHOTS is set, so that tests do not change a checkout.

use std::{env, fs, path::Path};

use super::looks::PHONE;
use crate::{
    browser::WINDOW,
    page::{Page, STILL, numbered, transfer},
    visit,
};

async fn take(page: &Page, name: &str) {
    // Without blinking, hover and focus marks.
    page.js(&format!("document.activeElement.blur(); {STILL}")).await;
    let picture = page.browser.client.screenshot().await.expect("the browser takes a picture");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots");
    fs::create_dir_all(&folder).expect("the folder can be made");
    fs::write(folder.join(name), picture).expect("the picture can be written");
}

#[tokio::test]
async fn screenshots_are_taken_if_requested() {
    if env::var_os("BUGLAB_SCREENSHOTS").is_none() {
        println!("skipped: BUGLAB_SCREENSHOTS is not set, so no pictures are taken");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let jerry = &lab::STAGES[0];
    for (live, shipped) in [(lab::LIVE_WORKFLOW, &jerry.workflow), (lab::LIVE_ACTIVITIES, &jerry.activities)]
    {
        let live = fs::read_to_string(root.join(live)).expect("it is there");
        assert!(
            live == shipped.source,
            "the pictures are of Jerry's modules: cargo xtask stage jerry --bare"
        );
    }
    visit("jerry", async |lab, page| {
        page.see_element("#welcome").await;
        take(page, "first.png").await;
        lab.work_live().await;
        let id = page.start_transfer("account_A", "account_B", "25.50").await;
        let row = transfer(&id);
        page.see("a few attempts", &format!("return Number(text('{row} .attempt').match(/\\d+/)) === 4"))
            .await;
        page.see_element(".goal[data-reached=true]").await;
        take(page, "stuck.png").await;

        page.browser.look_like(PHONE, 1.0).await;
        page.see("the phone's width", &format!("return innerWidth === {}", PHONE.0)).await;
        page.click("#tab-transfers-panel").await;
        take(page, "narrow.png").await;
        page.browser.look_like(WINDOW, 1.0).await;

        lab.work_live_with_fixed_workflow().await;
        lab.enter_with("fix-workflow", &[&id]);
        page.see_text("#stage-number", &numbered("fix-workflow")).await;
        page.see("backoff", &format!("return Number(text('{row} .attempt').match(/\\d+/)) === 5")).await;
        page.see_element(".goal[data-name=withdraw-fails][data-reached=true]").await;
        take(page, "failing.png").await;
        page.browser.dark(true).await;
        take(page, "dark.png").await;
        page.browser.dark(false).await;

        lab.work("reset-workflows").await;
        page.click(&format!("{row} .retry")).await;
        page.see_element(&format!("{row}[data-status=COMPLETED]")).await;
        page.see_text("#next-stage", "Stage complete").await;
        take(page, "reached.png").await;
        lab.rest().await;
    })
    .await;
}

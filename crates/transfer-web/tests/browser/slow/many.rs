//! A list of thousands.

use futures::{StreamExt, stream};
use serde_json::json;

use crate::visit;

const MANY: usize = 2_000;

#[tokio::test]
async fn of_two_thousand_transfers_the_page_shows_ten() {
    visit("jerry", async |lab, page| {
        let nodes = "return document.getElementsByTagName('*').length";
        let before = page.number(nodes).await;
        // Without a worker, which costs the least.
        let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
        stream::iter(0..MANY)
            .for_each_concurrent(32, async |number| {
                lab.testbed.start_transfer(&format!("one-of-many-{number}"), input.clone()).await;
            })
            .await;
        page.see_text("#range", "1–10 of 2,000").await;
        page.see_text("#counts", "2,000 in progress").await;

        page.click("#older").await;
        page.see_text("#range", "11–20 of 2,000").await;
        let mut seen: Vec<String> = Vec::new();
        for first in ["21–30", "31–40", "41–50"] {
            page.click("#older").await;
            page.see_text("#range", &format!("{first} of 2,000")).await;
            let ids = page.js("return $$('.transfer').map((row) => row.dataset.workflowId)").await;
            let ids: Vec<String> = serde_json::from_value(ids).expect("texts");
            assert_eq!(ids.len(), 10);
            assert!(
                ids.iter().all(|id| !seen.contains(id)),
                "no transfer is on two pages: {ids:?}, {seen:?}"
            );
            seen.extend(ids);
        }
        page.click("#newer").await;
        page.see_text("#range", "31–40 of 2,000").await;
        assert_eq!(page.js("return $$('.transfer').length").await, 10);
        let rows = page.number("return $$('#transfers, #transfers *').length").await;
        assert!(rows < 800.0, "ten rows have {rows} elements");
        let after = page.number(nodes).await;
        assert!(after < before + 800.0, "the page has grown from {before} to {after} elements");
    })
    .await;
}

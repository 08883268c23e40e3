//! The rows of stuck transfers: the timeline of their attempts, and retries.

use super::looks::PHONE;
use crate::{page::transfer, visit};

#[tokio::test]
async fn the_attempts_of_a_workflow_task_fill_the_line_without_overlap() {
    visit("jerry", async |lab, page| {
        lab.work("jerry").await;
        let row = transfer(&page.start_transfer("account_A", "account_B", "25.50").await);
        page.see_text(&format!("{row} .note"), "Temporal keeps retrying it.").await;
        page.browser.look_like(PHONE, 1.0).await;
        page.see("the phone's width", &format!("return innerWidth === {}", PHONE.0)).await;
        page.click("#tab-transfers-panel").await;
        page.see("three dots", &format!("return $$('{row} .attempts circle:is(.seen, .unseen)').length >= 3")).await;
        let picture = page
            .js(&format!(
                "const middle = (element) => {{ const box = element.getBoundingClientRect(); return box.left + box.width / 2; }};
                 const dots = $$('{row} .attempts circle:is(.seen, .unseen)').map(middle);
                 const box = $('{row} .attempts svg').getBoundingClientRect();
                 const gaps = dots.slice(1).map((dot, index) => dot - dots[index]);
                 return [Math.min(...gaps), (middle($('{row} .attempts .next') ?? $('{row} .attempts .cursor')) - box.left) / box.width]"
            ))
            .await;
        let (gap, end) = (picture[0].as_f64().expect("a number"), picture[1].as_f64().expect("a number"));
        assert!(gap > 9.0, "two dots are {gap} pixels apart");
        assert!(end > 0.9, "the line ends at {end} of its width");

        // A file path breaks only between folders, and a command never breaks.
        let lines = page
            .js(&format!(
                "const place = $('{row} .place');
                 const range = document.createRange();
                 const broken = [];
                 for (const part of place.childNodes) {{
                   if (part.nodeType !== Node.TEXT_NODE) continue;
                   range.selectNodeContents(part);
                   if (range.getClientRects().length > 1) broken.push(part.data);
                 }}
                 for (const code of $$('.command code')) {{
                   if (code.checkVisibility() && code.getClientRects()[0].height > 30) broken.push(code.textContent);
                 }}
                 return broken"
            ))
            .await;
        assert_eq!(lines, serde_json::json!([]));

        // Of many attempts the latest are drawn, and a nondeterminism error is said in plain words.
        let many = page
            .js("return import('/assets/row.js').then(({ transferRow }) => {
                   const attempts = Array.from({ length: 40 }, (_, index) => ({ number: index + 14, time: index, seen: true }));
                   const plain = 'the code no longer matches';
                   const stuck = { kind: 'workflow_task', attempt: 54, failure: '[TMPRL1100] odd', plain, trying: true, attempts };
                   const row = transferRow();
                   row.update({ workflow_id: 'many', status: 'RUNNING', input: {}, stuck });
                   const text = (what) => $(what, row.element).textContent;
                   return [text('.failure'), text('.earlier'), $$('.seen', row.element).length, text('.countdown')];
                 })")
            .await;
        let plain = "The code no longer matches.";
        assert_eq!(many, serde_json::json!([plain, "… 43 earlier attempts", 10, ""]));
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn a_retry_reports_whether_an_activity_was_waiting() {
    visit("fix-workflow", async |lab, page| {
        lab.work("fix-workflow").await;
        let row = transfer(&page.start_transfer("account_A", "account_B", "25.50").await);
        page.listen().await;
        page.js("const real = window.fetch;
             window.fetch = async (path, options) => {
               const answer = await real(path, options);
               return window.late && path.endsWith('/retry') ? Response.json({ retried: 0 }) : answer;
             }")
            .await;
        for (late, says) in [(false, "Retrying now."), (true, "The transfer continued in the meantime.")] {
            page.see(
                "a wait for the next attempt",
                &format!("return text('{row} .countdown').includes('next attempt in')"),
            )
            .await;
            page.js(&format!("window.late = {late}")).await;
            page.click(&format!("{row} .retry")).await;
            page.hear(says).await;
            assert_eq!(page.has_heard("The transfer continued in the meantime.").await, late);
        }

        let id = page.string(&format!("return $('{row}').dataset.workflowId")).await;
        lab.testbed.temporal(&["activity", "pause", "--workflow-id", &id, "--activity-id", "withdraw"]);
        page.see_text(&format!("{row} .status"), "Paused").await;
        page.see_text(&format!("{row} .step[data-step=withdraw][data-state=paused]"), "paused").await;
        page.see_text("#counts", "1 in progress, paused").await;
        lab.rest().await;
    })
    .await;
}

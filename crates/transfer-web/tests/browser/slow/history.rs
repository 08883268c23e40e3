//! The history of an account while transfers change.

use serde_json::json;

use crate::visit;

/// Counts the requests for histories, and holds their responses until a test releases them.
const HOLD: &str = "
    const real = window.fetch;
    window.asked = [];
    window.held = true;
    window.fetch = async (path, options) => {
      if (!String(path).startsWith('api/accounts/')) return real(path, options);
      window.asked.push(options.signal);
      const answer = await real(path, options);
      window.answered = true;
      while (window.held) await new Promise((resolve) => setTimeout(resolve, 20));
      return answer;
    }
";

#[tokio::test]
async fn a_slow_history_is_awaited_and_then_requested_once_more_for_all_changes() {
    visit("jerry", async |lab, page| {
        page.js(HOLD).await;
        page.click("[data-account=account_A]").await;
        page.see("the request and its answer", "return window.asked.length === 1 && window.answered").await;
        // Longer than the refresh interval, with changes all the time.
        page.js("setTimeout(() => { window.later = true }, 2500)").await;
        let mut number = 0;
        while page.js("return window.later === true").await == false {
            number += 1;
            let input = json!({ "from_account": "account_A", "to_account": "account_B", "amount": 1 });
            lab.testbed.start_transfer(&format!("news-{number}"), input).await;
            page.see_text("#counts", &format!("{number} in progress")).await;
        }
        assert_eq!(page.js("return window.asked.map((signal) => signal.aborted)").await, json!([false]));
        // The page counts by itself: a transfer that counts as stuck a moment later is a change, which is requested again.
        page.js(&format!(
            "new MutationObserver(() => {{
               if ($$('#history-rows .movement').length === {number}) window.counted ??= window.asked.map((signal) => signal.aborted);
             }}).observe($('#history-rows'), {{ childList: true }});
             window.held = false"
        ))
        .await;
        let counted = page.see("every transfer", "return window.counted").await;
        assert_eq!(counted, json!([false, false]), "one request covers all changes in the meantime");
    })
    .await;
}

#[tokio::test]
async fn attempts_of_another_accounts_transfer_request_no_history() {
    visit("jerry", async |lab, page| {
        lab.work("jerry").await;
        page.js(HOLD).await;
        page.js("window.held = false").await;
        page.start_transfer("account_C", "account_D", "1").await;
        page.see_element(".transfer[data-stuck=workflow_task]").await;
        page.click("[data-account=account_A]").await;
        page.see("the answer", "return text('#history-state').includes('no transfers yet')").await;
        let attempt = "return Number(text('.attempt').replace(/^Attempt /, ''))";
        let first = page.number(attempt).await;
        page.see("two more attempts", &format!("return (() => {{ {attempt} }})() >= {first} + 2")).await;
        assert_eq!(page.js("return window.asked.length").await, 1);

        // The account's own transfer does.
        let input = json!({ "from_account": "account_B", "to_account": "account_A", "amount": 1 });
        lab.testbed.start_transfer("its-own", input).await;
        page.see_element("#history-rows [data-workflow-id=its-own]").await;
        lab.rest().await;
    })
    .await;
}

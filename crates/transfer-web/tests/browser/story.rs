//! The first stages with the page only: stuck, fixed, failing in the next step, fixed, completed.

use crate::{page::transfer, visit};

/// How many Event Histories the page has requested.
const REQUESTS: &str =
    "return performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/history')).length";

#[tokio::test]
async fn one_transfer_is_stuck_then_fixed_then_failing_then_fixed_and_completes() {
    visit("jerry", async |lab, page| {
        lab.work("jerry").await;
        page.see_text("#empty-title", "No transfers yet").await;
        page.see_text("#guide-title", "A bug in the Workflow").await;
        page.see_text("[data-account=account_A] .balance", "$1,000.00").await;
        page.see_text(".task[data-state=now]", "Press Start transfer").await;
        // The welcome's button starts the first transfer.
        page.click("#welcome-begin").await;
        page.see("the form", "return document.activeElement === $('#submit') && $('#submit').matches('.revealed')").await;
        page.see_text("#form-message", "Started").await;
        let id = page.string("return text('#form-message code')").await;
        let row = transfer(&id);
        page.see_text(&format!("{row} .amount"), "$25.50").await;

        // Stuck on its Workflow Task: the failure, its file and line, and growing attempts.
        page.see_element(&format!("{row}[data-status=RUNNING][data-stuck=workflow_task]")).await;
        page.see_text(&format!("{row} .failure"), "attempt to divide by zero").await;
        page.see(
            "the file and the line",
            &format!("return /^crates\\/stages\\/src\\/workflow\\/jerry\\.rs:\\d+:\\d+$/.test(text('{row} .place'))"),
        )
        .await;
        let attempt = format!("return Number(text('{row} .attempt').replace(/^Attempt /, ''))");
        page.see("an attempt", &attempt).await;
        let before = page.number(&attempt).await;
        page.see("a later attempt", &format!("{attempt} > {before}")).await;
        assert_eq!(page.js(&format!("return shown('{row} .retry')")).await, false, "Temporal retries by itself");
        page.see_element(".goal[data-name=workflow-task-fails][data-reached=true]").await;
        page.see_text(".goal[data-name=workflow-task-fails] .evidence a", &id).await;
        assert_eq!(page.js(&format!("return text('{row} .need-hint')")).await, "Need a hint?");

        // Its Event History, which is requested only while it is open.
        assert_eq!(page.js(REQUESTS).await, 0);
        page.click(&format!("{row} .details > summary")).await;
        let failed = format!("{row} .event[data-type=WorkflowTaskFailed][data-mark=goal]");
        page.see_text(&format!("{failed} .line"), "attempt to divide by zero").await;
        page.see_text(&format!("{failed} .meaning"), "The transfer has not failed").await;
        page.see_text(&format!("{failed} .mark"), "Goal reached: ").await;
        page.see_text(&format!("{row} .pending"), "of the Workflow Task").await;
        page.see_text(&format!("{row} .countdown"), "next attempt").await;

        // The first fix: the transfer continues and fails in withdraw, with a growing backoff.
        lab.work("fix-workflow").await;
        page.see_element(&format!("{row}[data-stuck=activity] .step[data-step=withdraw][data-state=failing]")).await;
        page.see_text(&format!("{row} .what"), "The withdraw step keeps failing.").await;
        page.see_text(&format!("{row} .failure"), "http://127.0.0.1:5005/accounts/account_A/withdraw").await;
        page.see_text(&format!("{row} .place"), "crates/stages/src/activities/jerry.rs:").await;
        for goal in ["workflow-task-fails", "goes-on", "none-is-stuck"] {
            page.see_element(&format!(".goal[data-name={goal}][data-reached=true]")).await;
        }
        page.see_text("#next-stage .begin", "Start the next stage").await;
        page.see_text("#next-stage", "stuck on Jerry's second bug").await;
        page.click("#next-stage .terminal summary").await;
        page.see_text("#next-stage .command code", "cargo xtask stage fix-workflow").await;
        // On a slow machine, a later attempt may be shown first, and the next one at any time: everything is read at once.
        let picture = format!(
            "const attempt = Number(text('{row} .attempt').match(/\\d+/));
             const failed = $$('{row} .attempts circle:is(.seen, .unseen)').length;
             const dots = $$('{row} .attempts circle').map((dot) => parseFloat(dot.getAttribute('cx')));
             const label = $('{row} .attempts svg')?.getAttribute('aria-label') ?? '';
             return attempt >= 6 && label.includes('ends with the next attempt') && [attempt, failed, dots, label]"
        );
        let picture = page.see("the sixth attempt or a later one", &picture).await;
        let (attempt, drawn, dots, label): (usize, usize, Vec<f64>, String) =
            serde_json::from_value(picture).expect("numbers, dots and a label");
        let failed = attempt - 1;
        assert_eq!(drawn, failed.min(10), "the latest ten are drawn");
        let gaps: Vec<f64> = dots.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // One second and eight, by the retry policy, while the first attempt is drawn: far enough apart for a busy machine.
        assert!(failed > 10 || gaps[3] > gaps[0], "the gaps grow: {dots:?}");
        assert!(label.starts_with(&format!("Attempts over time: {failed} failed attempts, the ")), "{label}");
        assert!(label.contains("gaps are "), "{label}");
        // Each attempt has a countdown of its own.
        let lower = format!(
            "const attempt = text('{row} .attempt');
             const left = Number(text('{row} .countdown').match(/next attempt in (\\d+) s/)?.[1]);
             if (!left) return false;
             if (window.first?.attempt !== attempt) window.first = {{ attempt, left }};
             return left < window.first.left"
        );
        page.see("a lower number in the countdown", &lower).await;

        page.see_text(&format!("{row} .pending"), "of withdraw").await;
        page.see(
            "the Workflow Task that scheduled it",
            &format!("return $$('{row} .event .line').some((line) => line.textContent === 'Command: schedule withdraw')"),
        )
        .await;

        // The second fix. On a slow machine, its worker may start polling only when the next attempt is due; then there is nothing to retry.
        lab.enter_with("fix-activity", &[&id]);
        lab.work("reset-workflows").await;
        page.see_text("#guide-title", "Everything completes").await;
        let retry = format!("if (shown('{row} .retry')) $('{row} .retry').click(); return true");
        page.js(&retry).await;
        page.see_element(&format!("{row}[data-status=COMPLETED]")).await;
        page.see_text(&format!("{row} .ended"), "The money arrived").await;
        assert_eq!(page.js(&format!("return $$('{row} .step[data-state=done]').length")).await, 4);
        page.see_element(&format!("{row} .event[data-type=WorkflowExecutionCompleted]")).await;
        page.click(&format!("{row} .details > summary")).await;
        let requests = page.number(REQUESTS).await;
        page.see_text("[data-account=account_A] .balance", "$974.50").await;
        page.see_text("[data-account=account_B] .balance", "$525.50").await;
        page.see_element(".goal[data-name=stuck-ones-complete][data-reached=true]").await;

        // A transfer that can never succeed fails at once, which reaches the last goal.
        let refused = transfer(&page.start_transfer("account_A", "account_B", "5000").await);
        page.see_element(&format!("{refused}[data-status=FAILED] .step[data-step=withdraw][data-state=failed]")).await;
        page.see_text(&format!("{refused} .step[data-step=deposit][data-state=skipped]"), "not reached").await;
        page.see_text(&format!("{refused} .step[data-step=refund]"), "nothing to return").await;
        assert_eq!(page.number(REQUESTS).await, requests, "a closed history is not requested");
        // The request for its history fails once, as while the server restarts, and is sent again.
        let fails_once = "const real = window.fetch;
            window.fetch = (...all) => {
              if (!String(all[0]).includes('api/workflows/')) return real(...all);
              window.fetch = real;
              return Promise.reject(new TypeError('it is down'));
            };
            return true";
        page.js(fails_once).await;
        page.click(&format!("{refused} .details > summary")).await;
        page.see_text(&format!("{refused} .event[data-type=WorkflowTaskCompleted] .mark"), "A reset can start here").await;
        page.see_text(&format!("{refused} .ended"), "nsufficient").await;
        for goal in ["error-classified", "refusal-is-final"] {
            page.see_element(&format!(".goal[data-name={goal}][data-reached=true]")).await;
        }
        page.see_text("#next-stage", "Stage complete").await;
        page.see_text("#goals-title", "Goals: 3 of 3 reached").await;
        lab.rest().await;
    })
    .await;
}

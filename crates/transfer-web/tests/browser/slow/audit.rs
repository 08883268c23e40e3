//! The accessibility audit: axe-core finds no violation in any state of the page.

use std::{env, fs};

use serde_json::{Value, json};

use super::looks::PHONE;
use crate::{
    browser::WINDOW,
    build, is_without_browser,
    page::{Page, STILL, transfer},
    skip, visit,
};

/// The rules: WCAG up to 2.2, levels A and AA, and axe's best practices.
const RULES: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/// The text of axe.min.js; otherwise prints why it is missing.
pub(crate) fn axe() -> Option<String> {
    if is_without_browser() {
        return None;
    }
    let Some(file) = env::var_os("BUGLAB_AXE") else {
        skip("the accessibility audit needs axe-core: BUGLAB_AXE names its axe.min.js");
        return None;
    };
    Some(fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// The violations that axe finds in the page's current state.
async fn violations(page: &Page, axe: &str) -> Vec<Value> {
    // WebDriver's scripts bypass the page's Content Security Policy, which forbids a script element.
    if page.js("return typeof window.axe").await == "undefined" {
        page.js(axe).await;
    }
    let rules = json!(RULES);
    let script = format!(
        "const done = arguments[arguments.length - 1];
         {STILL}
         axe.run(document, {{ runOnly: {{ type: 'tag', values: {rules} }}, resultTypes: ['violations'], preload: false }})
           .then((found) => done(found.violations.flatMap((one) => one.nodes.map((node) => ({{ rule: one.id, what: node.html.slice(0, 200), why: node.failureSummary }})))))
           .catch((error) => done([{{ rule: 'axe itself', why: String(error) }}]))"
    );
    let found = page.browser.client.execute_async(&script).await.expect("axe comes to an end");
    found.as_array().expect("a list").clone()
}

/// Asserts that the page's current state has no violations, light and dark, wide and narrow.
pub(crate) async fn audit(page: &Page, axe: &str, state: &str) {
    let mut wrong = Vec::new();
    for (window, dark) in [(WINDOW, false), (WINDOW, true), (PHONE, false), (PHONE, true)] {
        page.browser.look_like(window, 1.0).await;
        page.browser.dark(dark).await;
        let looks = format!(
            "return innerWidth === {} && matchMedia('(prefers-color-scheme: dark)').matches === {dark}",
            window.0
        );
        page.see("the window", &looks).await;
        // Where there are tabs, each of them.
        let tabs = page.number("return shown('#tabs') ? $$('#tabs > *').length : 1").await;
        for tab in 0..tabs as usize {
            page.js(&format!("$$('#tabs > *')[{tab}]?.click()")).await;
            let found = violations(page, axe).await;
            wrong.extend(found.into_iter().map(
                |one| json!({ "state": state, "width": window.0, "tab": tab, "dark": dark, "found": one }),
            ));
        }
    }
    page.browser.look_like(WINDOW, 1.0).await;
    page.browser.dark(false).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_audit_detects_violations() {
    let Some(axe) = axe() else { return };
    visit("jerry", async |_, page| {
        page.js("$('#amount').labels[0].remove()").await;
        page.js("$('#summary').style.color = 'rgb(128, 128, 128)'; $('#summary').style.background = 'rgb(120, 120, 120)'").await;
        let found = violations(page, &axe).await;
        let rules: Vec<_> = found.iter().map(|one| one["rule"].as_str().unwrap_or_default()).collect();
        assert!(rules.contains(&"label") && rules.contains(&"color-contrast"), "{found:#?}");
    })
    .await;
}

#[tokio::test]
async fn no_violations_from_the_empty_page_to_the_last_goal() {
    let Some(axe) = axe() else { return };
    visit("jerry", async |lab, page| {
        audit(page, &axe, "empty").await;
        lab.work("jerry").await;
        let id = page.start_transfer("account_A", "account_B", "25.50").await;
        let row = transfer(&id);
        page.see_element(&format!("{row}[data-stuck=workflow_task]")).await;
        page.click(&format!("{row} .details summary")).await;
        page.click("#hint").await;
        page.see_element(".goal[data-reached=true] .evidence a").await;
        audit(page, &axe, "stuck on a Workflow Task").await;

        lab.work("fix-workflow").await;
        page.see_element(&format!("{row} .step[data-step=withdraw][data-state=failing]")).await;
        page.see("three attempts", &format!("return $$('{row} .attempts circle').length > 3")).await;
        page.click("#next-stage .terminal summary").await;
        audit(page, &axe, "failing in withdraw, with every goal reached").await;

        lab.enter_with("fix-activity", &[&id]);
        lab.work("reset-workflows").await;
        page.see_element(&format!("{row}[data-status=COMPLETED]")).await;
        let refused = transfer(&page.start_transfer("account_A", "account_B", "5000").await);
        page.see_element(&format!("{refused}[data-status=FAILED]")).await;
        page.click(&format!("{refused} .details summary")).await;
        page.see_element(&format!("{refused} .event[data-mark=reset]")).await;
        page.see_text("#next-stage", "Stage complete").await;
        audit(page, &axe, "completed and failed").await;
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn no_violations_in_dialogs_errors_banners_and_pages() {
    let Some(axe) = axe() else { return };
    visit("fix-activity", async |lab, page| {
        lab.work("reset-workflows").await;
        page.click("#batch").await;
        page.see_text("#counts", "12 completed").await;
        page.click("[data-account=account_A]").await;
        page.see("its transfers", "return $$('#history-rows .movement').length === 3").await;
        audit(page, &axe, "an account's history").await;
        page.click("#history-close").await;

        page.click("#reset").await;
        audit(page, &axe, "the reset's question").await;
        page.click("#reset-cancel").await;

        page.click("#rates summary").await;
        page.fill("#error-rate", "101").await;
        page.click("#apply-rates").await;
        page.fill("#amount", "nothing").await;
        page.choose("#to", "account_A").await;
        page.click("#submit").await;
        page.see_element("#amount-error").await;
        audit(page, &axe, "errors in both forms").await;

        page.click("#older").await;
        page.see_text("#range", "11–12 of 12").await;
        lab.say("worker", "stopped");
        lab.say_build("failed");
        page.see_element("#banner [data-name=worker]").await;
        page.see_element("#banner [data-name=build]").await;
        audit(page, &axe, "a banner").await;

        lab.say_field("checkout", json!({ "root": "/lab" }));
        lab.say_field("build_errors", build::compile_errors());
        page.click(".build-error a.place-link").await;
        audit(page, &axe, "compile errors, and the choice of an editor").await;
        page.click("#editor-close").await;
        lab.say_question(build::question());
        page.click("#stages-section summary").await;
        page.click("#stages [data-stage=fix-workflow] .begin").await;
        page.see_element("#consent-diff").await;
        audit(page, &axe, "the question before a stage starts").await;
        page.click("#consent-cancel").await;

        lab.end_service().await;
        page.expects("/api/events");
        page.see_element("#banner [data-name=lost]").await;
        audit(page, &axe, "lost").await;
        lab.rest().await;
    })
    .await;
}

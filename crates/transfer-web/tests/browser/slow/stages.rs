//! Entering a stage from the page, and starting one again after a broken rule.

use serde_json::{Value, json};

use crate::{
    page::{Page, numbered, transfer},
    visit,
    webdriver::Key,
};

/// The selector of the button of a stage on the list.
fn begin(stage: &str) -> String {
    format!("#stages [data-stage={stage}] .begin")
}

async fn focus(page: &Page, selector: &str) {
    page.see_element(selector).await;
    page.js(&format!("$('{selector}').focus()")).await;
}

async fn has_focus(page: &Page, selector: &str) {
    page.see(
        &format!("the focus on {selector}"),
        &format!("return document.activeElement.matches('{selector}')"),
    )
    .await;
}

#[tokio::test]
async fn a_stage_is_entered_by_keyboard_one_at_a_time_and_the_focus_stays() {
    visit("jerry", async |lab, page| {
        page.click("#stages-section summary").await;
        let button = begin("fix-workflow");
        focus(page, &button).await;
        page.press(&[Key::Enter]).await;
        page.see_text("#stage-message", "Starting stage 2: building the worker").await;
        let busy = "return $$('.begin[aria-disabled]').map((button) => button.dataset.stage)";
        assert_eq!(page.js(busy).await, json!(["fix-workflow"]));

        // A second stage must wait, and says so.
        focus(page, &begin("fix-activity")).await;
        page.press(&[Key::Enter]).await;
        page.see_text(
            "#stage-message[data-tone=bad]",
            "Stage 2 is still starting. Wait until it is ready, then try again.",
        )
        .await;
        assert_eq!(page.js(busy).await, json!(["fix-workflow"]), "it was not asked for");

        focus(page, &button).await;
        // The guide changes in the meantime, which must not affect the list.
        page.js("window.button = document.activeElement").await;
        lab.enter("fix-activity");
        page.see_text("#guide-title", "Everything completes").await;
        page.see_element("#stages [data-stage=fix-activity][aria-current=step]").await;
        assert_eq!(page.js(busy).await, json!(["fix-workflow"]), "the button is busy as long as its order");
        assert_eq!(page.js("return document.activeElement === window.button").await, true);

        lab.let_enter();
        page.see_text("#stage-message[data-tone=ok]", "Stage 2 is ready.").await;
        page.see_text("#stage-message", "Your version is saved.").await;
        page.see_element("#stage-message .restore-edit[data-edit=\"2026-11-22-1\"]").await;
        page.see_element("#stages [data-stage=fix-workflow][aria-current=step]").await;
        page.see("nothing to be busy", &format!("return (() => {{ {busy} }})().length === 0")).await;
        assert_eq!(page.js("return document.activeElement === window.button").await, true);
        assert_eq!(page.string(&format!("return text('{button}')")).await, "Start again");
    })
    .await;
}

#[tokio::test]
async fn the_button_of_the_next_stage_passes_the_focus_to_the_message() {
    visit("jerry", async |lab, page| {
        lab.work("jerry").await;
        page.start_transfer("account_A", "account_B", "25.50").await;
        page.see_element(".goal[data-name=workflow-task-fails][data-reached=true]").await;
        lab.work("fix-workflow").await;
        focus(page, "#next-stage .begin").await;
        page.press(&[Key::Space]).await;
        page.see_text("#stage-message", "Starting stage 2").await;
        has_focus(page, "#next-stage .begin").await;
        lab.let_enter();
        page.see_text("#stage-message[data-tone=ok]", "Stage 2 is ready.").await;
        page.see_text("#stage-number", &numbered("fix-workflow")).await;
        has_focus(page, "#stage-message").await;
        page.see(
            "it on the screen",
            "const box = $('#stage-message').getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight",
        )
        .await;
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn the_list_of_stages_is_requested_again_after_a_failure() {
    visit("jerry", async |lab, page| {
        page.js("const real = window.fetch;
             window.refused = 0;
             window.fetch = (path, ...more) => {
               if (path !== 'api/stage' || window.refused > 0) return real(path, ...more);
               window.refused += 1;
               return Promise.reject(new TypeError('a server that does not answer'));
             }")
            .await;
        page.click("#stages-section summary").await;
        page.see("the request to fail", "return window.refused === 1").await;
        assert_eq!(page.js("return $$('#stages li').length").await, 0);
        lab.enter("fix-workflow");
        page.see("all stages", &format!("return $$('#stages li').length === {}", lab::STAGES.len())).await;
    })
    .await;
}

#[tokio::test]
async fn a_broken_rule_is_shown_with_its_remedy_and_the_number_of_checked_transfers() {
    visit("jerry", async |lab, page| {
        let row = transfer(&page.start_transfer("account_A", "account_B", "25.50").await);
        let id = page.string(&format!("return $('{row}').dataset.workflowId")).await;
        let one =
            json!([{ "workflow_id": id, "what": "withdraw was done twice", "meaning": "money is gone" }]);
        // Guides that the server sends later are told the same, or each would undo it.
        let tell = |wrong: &Value, transfers: usize| {
            "window.parse ??= JSON.parse;
             const told = { wrong: WRONG, transfers: TRANSFERS };
             JSON.parse = (text) => {
               const value = window.parse(text);
               return value?.goals && value.progress ? { ...value, ...told } : value;
             };
             return import('/assets/store.js').then(({ get, put }) => put('guide', { ...get('guide'), ...told }))"
            .replace("WRONG", &wrong.to_string())
            .replace("TRANSFERS", &transfers.to_string())
        };
        page.js(&tell(&one, 199)).await;
        page.see_text("#wrong .wrong-item", "withdraw was done twice").await;
        page.see_text(
            &format!("{row}[data-broken] .broken"),
            "Rule broken. Withdraw was done twice. Money is gone.",
        )
        .await;
        page.see_text("#counts", "1 rule broken").await;
        page.see_text("#remedy", "What these transfers did cannot be undone").await;
        page.see_text("#remedy .command code", "cargo xtask stage jerry").await;
        assert_eq!(page.js("return shown('#wrong-some')").await, false);
        page.js(&tell(&one, 200)).await;
        page.see_text("#wrong-some", "Only the latest 200 transfers were checked.").await;

        focus(page, "#remedy .begin").await;
        page.press(&[Key::Enter]).await;
        page.see_text("#stage-message", "Starting stage 1").await;
        lab.let_enter();
        page.see_text("#stage-message[data-tone=ok]", "Stage 1 is ready.").await;
        page.js(&tell(&json!([]), 0)).await;
        assert_eq!(page.js("return shown('#wrong')").await, false);
        assert_eq!(page.js("return $('.broken')").await, Value::Null);
        has_focus(page, "#stage-message").await;
    })
    .await;
}

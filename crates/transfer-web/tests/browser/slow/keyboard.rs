//! The page with the keyboard only: everything is reachable, and the focus is always visible and stable.

use serde_json::json;

use crate::{
    page::{Page, transfer},
    visit,
    webdriver::Key,
};

/// More tab stops than the page has.
const STOPS: usize = 150;

/// Presses Tab or Shift+Tab until this has the focus, which must be visible at every stop.
async fn go_to(page: &Page, selector: &str, keys: &[Key]) {
    let mut way = Vec::new();
    for _ in 0..STOPS {
        page.press(keys).await;
        let stop = page
            .js(&format!(
                "const at = document.activeElement;
                 const style = getComputedStyle(at);
                 const box = [...at.getClientRects()].find((box) => box.width > 0 && box.height > 0);
                 const within = box && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
                 const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
                 const name = at.tagName + '#' + at.id + '.' + at.className;
                 return [at.matches('{selector}'), at === document.body, ring && Boolean(within), name]"
            ))
            .await;
        let name = stop[3].as_str().unwrap_or_default().to_owned();
        // Between the last stop and the first, the browser itself has the focus.
        assert!(stop[1] == true || stop[2] == true, "the focus cannot be seen on {name}");
        way.push(name);
        if stop[0] == true {
            return;
        }
    }
    panic!("{selector} is not to be reached: {way:#?}");
}

async fn forward(page: &Page, selector: &str) {
    go_to(page, selector, &[Key::Tab]).await;
}

async fn back(page: &Page, selector: &str) {
    go_to(page, selector, &[Key::Shift, Key::Tab]).await;
}

/// Asserts that this has the focus.
async fn has_focus(page: &Page, selector: &str, why: &str) {
    let script = format!(
        "const at = document.activeElement; return at.matches('{selector}') || at.outerHTML.slice(0, 200)"
    );
    assert_eq!(page.js(&script).await, true, "{why}");
}

#[tokio::test]
async fn a_transfer_is_started_and_retried_without_a_pointer_and_the_focus_stays() {
    visit("fix-workflow", async |lab, page| {
        lab.work("fix-workflow").await;
        forward(page, "#from").await;
        page.type_text("account_C").await;
        forward(page, "#to").await;
        page.press(&[Key::Down]).await;
        page.press(&[Key::Down]).await;
        assert_eq!(
            page.js("return [$('#from').value, $('#to').value]").await,
            json!(["account_C", "account_D"])
        );
        forward(page, "#amount").await;
        page.select_all().await;
        page.type_text("no amount").await;
        page.press(&[Key::Enter]).await;
        page.see_text("#amount-error", "Enter an amount").await;
        has_focus(page, "#amount", "the focus is on the field with the error").await;
        page.select_all().await;
        page.type_text("12.5").await;
        page.press(&[Key::Enter]).await;
        page.see_text("#form-message", "Started").await;
        let row = transfer(&page.string("return text('#form-message code')").await);
        page.see_text(&format!("{row} .amount"), "$12.50").await;
        has_focus(page, "#amount", "an event takes no focus").await;

        // The button keeps the focus across attempts; when it is removed, the row's link gets it.
        page.see_element(&format!("{row}[data-stuck=activity] .retry")).await;
        forward(page, &format!("{row} .retry")).await;
        let number = format!("return Number(text('{row} .attempt').match(/\\d+/))");
        let before = page.number(&number).await;
        page.press(&[Key::Space]).await;
        page.see("another attempt", &format!("return (() => {{ {number} }})() > {before}")).await;
        has_focus(page, &format!("{row} .retry"), "an attempt takes no focus from the button").await;
        forward(page, &format!("{row} .details summary")).await;
        page.press(&[Key::Enter]).await;
        page.see_text(&format!("{row} .details"), "Run Id").await;
        let before = page.number(&number).await;
        page.see("one more attempt", &format!("return (() => {{ {number} }})() > {before}")).await;
        has_focus(page, &format!("{row} .details summary"), "open details stay open and looked at").await;
        back(page, &format!("{row} .retry")).await;
        lab.work("reset-workflows").await;
        page.press(&[Key::Space]).await;
        page.see_element(&format!("{row}[data-status=COMPLETED]")).await;
        page.see(
            "the focus on the row's link",
            &format!("return document.activeElement.matches('{row} .ui-link')"),
        )
        .await;
        assert_eq!(page.js(&format!("return $('{row} .details').open")).await, true);
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn dialogs_pages_and_hints_are_used_without_a_pointer() {
    visit("jerry", async |_, page| {
        forward(page, "#batch").await;
        page.press(&[Key::Enter]).await;
        page.see_text("#range", "1–10 of 12").await;
        has_focus(page, "#batch", "the pressed button keeps the focus").await;

        // An account's history keeps the focus inside and gives it back.
        forward(page, "[data-account=account_A]").await;
        page.press(&[Key::Enter]).await;
        page.see("its transfers", "return $$('#history-rows .movement').length === 3").await;
        for _ in 0..12 {
            page.press(&[Key::Tab]).await;
            let within = "const at = document.activeElement; return at === document.body || $('#history-dialog').contains(at)";
            assert_eq!(page.js(within).await, true, "nothing behind a dialog is to be reached");
        }
        page.press(&[Key::Escape]).await;
        assert_eq!(page.js("return $('#history-dialog').open").await, false);
        has_focus(page, "[data-account=account_A]", "a closed dialog gives the focus back").await;

        // The same key cancels the reset, because Cancel has the focus.
        forward(page, "#reset").await;
        page.press(&[Key::Enter]).await;
        page.see_element("#reset-dialog").await;
        page.press(&[Key::Enter]).await;
        assert_eq!(page.js("return $('#reset-dialog').open").await, false);
        has_focus(page, "#reset", "a closed dialog gives the focus back").await;

        forward(page, "#older").await;
        page.press(&[Key::Enter]).await;
        page.see_text("#range", "11–12 of 12").await;
        has_focus(page, "#older", "a button without a further page keeps the focus").await;
        back(page, "#newer").await;
        page.press(&[Key::Space]).await;
        page.see_text("#range", "1–10 of 12").await;
        has_focus(page, "#newer", "the pressed button keeps the focus").await;

        forward(page, "#hint").await;
        let hints = lab::stage("jerry").expect("a stage of the table").text.hints().len();
        for shown in 1..=hints {
            page.press(&[Key::Enter]).await;
            page.see("one more hint", &format!("return $$('.hint').length === {shown}")).await;
        }
        has_focus(page, "#hints-done", "the focus moves to the end of the hints").await;
        page.see_text("#hints-done", "cargo xtask stage fix-workflow --diff").await;

        // Both skip links.
        page.js("document.activeElement.blur(); scrollTo(0, 0)").await;
        forward(page, ".skip[href=\"#guide\"]").await;
        page.press(&[Key::Enter]).await;
        page.press(&[Key::Tab]).await;
        assert_eq!(page.js("return $('#guide').contains(document.activeElement)").await, true);
    })
    .await;
}

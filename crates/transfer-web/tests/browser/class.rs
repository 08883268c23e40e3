//! In a class: the announcement, asking for help, and a stage that is not open yet.

use serde_json::{Value, json};

use crate::visit;

/// The `class` of a lab's status, with this question.
fn class(help: &Value) -> Value {
    json!({
        "learner": "ada",
        "announcement": { "text": "A break until <b>11:00</b>", "since": "2026-11-22T12:00:00Z" },
        "open": { "stage": "fix-workflow", "number": 2, "title": "A bug in an Activity" },
        "closed": ["fix-activity", "jerry-adds-step"],
        "drill": { "seed": 7, "since": "2026-11-22T12:00:00Z", "started": !help.is_null() },
        "help": help,
    })
}

#[tokio::test]
async fn a_learner_asks_for_help_and_sees_that_the_instructor_is_coming() {
    visit("fix-workflow", async |lab, page| {
        page.see("nothing of a class", "return $('#guide-title') && !shown('#class')").await;
        lab.say_class(class(&Value::Null));
        page.see_text("#class-name", "ada’s lab").await;
        page.see_text("#announcement", "From your instructor: A break until <b>11:00</b>").await;
        page.see_text("#announcer", "From your instructor: A break").await;
        page.see_text(
            "#class-drill",
            "Your instructor started a drill. To begin it: cargo xtask drill --seed 7",
        )
        .await;

        page.click("#help-ask").await;
        page.press(&[crate::webdriver::Key::Enter]).await;
        page.see_text("#help-message", "Write your question in a sentence.").await;
        page.fill("#help-text", "Which file?").await;
        page.press(&[crate::webdriver::Key::Enter]).await;
        page.see_text("#help-says", "You asked for help: “Which file?”").await;
        lab.say_class(class(
            &json!({ "text": "Which file?", "since": "2026-11-22T12:00:00Z", "coming": true }),
        ));
        page.see_text("#help-says", "Your instructor is coming. “Which file?”").await;
        page.see("no drill to begin", "return !shown('#class-drill')").await;
        page.see_text("#announcer", "Your instructor is coming.").await;
        page.click("#help-done").await;
        page.see("the help button", "return shown('#help-ask') && !shown('#help-says')").await;

        // A stage that is not open yet is started only by somebody who wants to.
        page.js("$('#stages-section').open = true").await;
        let closed = "#stages .begin[data-stage=fix-activity]";
        page.see_text(&format!("{closed} + .closed-note"), "Not open yet").await;
        page.see("no note", "return !$('#stages .begin[data-stage=jerry] + .closed-note')").await;
        page.click(closed).await;
        page.see_text(
            "#closed-dialog",
            "Your instructor has opened the stages up to 2, A bug in an Activity.",
        )
        .await;
        page.press(&[crate::webdriver::Key::Escape]).await;
        page.see("no dialog", "return !$('#closed-dialog').open && $('#stage-message').textContent === ''")
            .await;
        page.click(closed).await;
        page.click("#closed-ahead").await;
        page.see_text("#stage-message", "Starting stage 3").await;
        lab.let_enter();
        page.see_text("#stage-message", "Stage 3 is ready").await;

        lab.say_class(class(&Value::Null));
        lab.let_enter();
        page.click("#class-drill-start").await;
        page.see_text("#stage-message", "The drill is ready.").await;
        page.see_text("#stage-number", "On call, seed 7").await;
    })
    .await;
}

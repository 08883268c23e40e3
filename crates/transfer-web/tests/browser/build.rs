//! What a save and a start of a stage do to the learner's code: the compiler's errors, links to the editor, and consent.

use serde_json::{Value, json};

use crate::visit;

/// How the tests' supervisor reports one compile error.
pub(crate) fn compile_errors() -> Value {
    json!([{
        "message": "cannot find value `y` in this scope",
        "place": "crates/worker/src/workflow.rs:57:9",
        "excerpt": "error[E0425]: cannot find value `y` in this scope\n  --> crates/worker/src/workflow.rs:57:9\n   |\n57 |         <b>y</b>;\n   |         ^ not found in this scope",
    }])
}

/// How the tests' supervisor reports an edit that a stage would replace, and a transfer that it would leave over.
pub(crate) fn question() -> Value {
    json!({
        "stage": "fix-workflow",
        "number": 2,
        "title": "A bug in an Activity",
        "edit": ["--- shipped", "+++ mine", "-old", "+<b>mine</b>"],
        "keeps_by_default": true,
        "is_fix": true,
        "leftovers": [{ "workflow_id": "transfer-1", "says": "transfer-1: Workflow Task, attempt 7" }],
    })
}

#[tokio::test]
async fn the_compilers_errors_are_shown_with_links_to_the_editor_until_the_change_is_live() {
    visit("jerry", async |lab, page| {
        let checkout = |editor_url: Value, wsl: Value| json!({ "root": "/home/ada/bug lab", "editor_url": editor_url, "wsl": wsl });
        lab.say_field("checkout", checkout(Value::Null, Value::Null));
        lab.say_field("build_errors", compile_errors());
        lab.say_build("failed");
        page.see_text("#build-now", "The previous version is still running. Fix it and save.").await;
        page.see_text(".build-error p", "cannot find value `y` in this scope crates/worker/src/workflow.rs:57:9").await;
        let excerpt = page.string("return text('.build-error pre')").await;
        assert_eq!(Value::from(excerpt), compile_errors()[0]["excerpt"], "as rustc prints it, and as text");
        assert_eq!(page.js("return $('#banner').childElementCount").await, 0, "the errors say it all");

        // The first click asks for the editor; the choice holds for all links, and after a reload.
        let link = ".build-error a.place-link";
        let href = async || page.string(&format!("return $('{link}').getAttribute('href')")).await;
        page.click(link).await;
        page.see_text("#editor-place", "crates/worker/src/workflow.rs:57:9").await;
        assert_eq!(page.js("return shown('#editor-own')").await, false, "there is no EDITOR_URL");
        page.click("#editor-dialog [data-editor=copy]").await;
        page.see("the dialog to close", "return !$('#editor-dialog').open").await;
        // A headless browser has no editor to open: the choice is made without the place to open.
        for (editor, wanted) in [
            ("vscode", "vscode://file/home/ada/bug%20lab/crates/worker/src/workflow.rs:57:9"),
            ("zed", "zed://file/home/ada/bug%20lab/crates/worker/src/workflow.rs:57:9"),
            (
                "jetbrains",
                "jetbrains://rustrover/navigate/reference?project=bug%20lab&path=/home/ada/bug%20lab/crates/worker/src/workflow.rs:56:8",
            ),
        ] {
            page.click("#editor-choice").await;
            page.click(&format!("#editor-dialog [data-editor={editor}]")).await;
            assert_eq!(href().await, wanted);
        }
        page.click("#editor-choice").await;
        page.click("#editor-dialog [data-editor=vscode]").await;
        lab.say_field("checkout", checkout(Value::Null, json!("Ubuntu-24.04")));
        let wsl = "vscode://vscode-remote/wsl+Ubuntu-24.04/home/ada/bug%20lab/crates/worker/src/workflow.rs:57:9";
        page.see("a link into WSL", &format!("return $('{link}').getAttribute('href') === '{wsl}'")).await;
        lab.say_field("checkout", checkout(json!("subl://open?url={path}&line={line}&column={column}"), Value::Null));
        page.click("#editor-choice").await;
        page.click("#editor-own").await;
        assert_eq!(href().await, "subl://open?url=/home/ada/bug%20lab/crates/worker/src/workflow.rs&line=57&column=9");
        // What would run as a script is no editor.
        lab.say_field("checkout", checkout(json!("javascript:alert('{path}')"), Value::Null));
        page.see("no such link", &format!("return !$('{link}').hasAttribute('href')")).await;

        // The next build: its progress, and then the change is live.
        let now = page.number("return Date.now() / 1000").await;
        lab.say_field("build_began", json!(now - 3.0));
        lab.say_build("building");
        page.see_text("#build[data-build=building]", "building the worker… ").await;
        page.see_text("#build-now", "Building your change.").await;
        let live = |since: f64| json!({ "noticed": since - 3.0, "built": since - 1.0, "stopped": since, "polls": since });
        lab.say_field("edited", json!(true));
        lab.say_field("build_errors", json!([]));
        lab.say_field("deployment", live(now));
        lab.say_build("ok");
        page.see_text("#build[data-build=live]", "Built. Your change went live").await;
        assert_eq!(page.js("return shown('#build-panel')").await, false);
        page.see_text("#announcer", "Built. Your change is live.").await;
        // It steps back.
        lab.say_field("deployment", live(now - 60.0));
        page.see("nothing about an old build", "return !shown('#build')").await;
    })
    .await;
}

#[tokio::test]
async fn a_stage_starts_only_with_the_learners_consent() {
    visit("jerry", async |lab, page| {
        lab.say_question(question());
        page.click("#stages-section summary").await;
        let begin = "#stages [data-stage=fix-workflow] .begin";
        page.click(begin).await;
        page.see_text("#consent-title", "Start stage 2: A bug in an Activity").await;
        page.see_text("#consent-diff", "+<b>mine</b>").await;
        page.see_text("#consent-list", "transfer-1: Workflow Task, attempt 7").await;
        assert_eq!(page.js("return $('#consent-keep').checked").await, true, "a fix may be there already");
        page.click("#consent-cancel").await;
        page.see_text("#stage-message", "Nothing was changed.").await;
        assert_eq!(lab.requests(), [json!(null); 0]);

        // Mine, and away with what is left over.
        page.click(begin).await;
        page.click("#consent-clean").await;
        page.click("#consent-start").await;
        lab.let_enter();
        page.see_text("#stage-message", "Stage 2 is ready. Your code is in place. 1 transfer was terminated.").await;
        page.see_text("#stage-message", "Your earlier version is saved. Compare Restore").await;

        // The shipped fix; then the learner compares, and wants their own back.
        page.click(begin).await;
        page.click("#consent-shipped").await;
        page.click("#consent-start").await;
        lab.let_enter();
        page.see_text("#stage-message", "Stage 2 is ready. Your version is saved.").await;
        page.click("#stage-message .compare-edit").await;
        page.see_text("#compare-diff", "+mine").await;
        page.click("#compare-restore").await;
        page.see_text("#stage-message[data-tone=ok]", "Your version is restored. The replaced code is saved too.").await;
        let enter = |keep: bool| json!({ "request": "enter", "stage": "fix-workflow", "keep": keep, "clean": keep, "token": null });
        let saved = |request: &str| json!({ "request": request, "id": "2026-11-22-1", "token": null });
        assert_eq!(lab.requests(), [enter(true), enter(false), saved("compare"), saved("restore")]);
    })
    .await;
}

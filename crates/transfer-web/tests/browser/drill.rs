//! A drill: started from the page, resolved and finished, or given up.

use serde_json::{Value, json};

use crate::{
    build,
    lab::Lab,
    page::{Page, transfer},
    slow::audit::{audit, axe},
    visit,
};

const INCIDENT: &str = "some-never-arrive";

/// Starts a drill of the incident from the list.
async fn start(lab: &Lab, page: &Page) {
    lab.let_enter();
    page.click("#on-call-section > summary").await;
    page.click(&format!("#incidents [data-incident={INCIDENT}] .begin")).await;
    page.see_text("#stage-message", "The drill is ready.").await;
    page.see_text("#drill-ticket", "customers report transfers that do not arrive").await;
}

async fn audit_if_possible(page: &Page, state: &str) {
    if let Some(axe) = axe() {
        audit(page, &axe, state).await;
    }
}

#[tokio::test]
async fn a_drill_is_started_resolved_and_finished_on_the_page() {
    visit("jerry", async |lab, page| {
        start(lab, page).await;
        let incident = lab::incident(INCIDENT).expect("an incident of the table");
        page.see_text("#guide-title", incident.stage.title()).await;
        page.see_text("#stage-number", &format!("On call, seed {}", incident.seed())).await;
        // The clock ticks, and nothing beside it moves.
        let numbers = "return JSON.stringify($('.drill-numbers dl').getBoundingClientRect())";
        let before = page.js(numbers).await;
        page.see("the clock", "return text('#drill-clock') >= '0:02'").await;
        assert_eq!(page.js(numbers).await, before);
        // Nothing on the page says what is wrong.
        let told = page.string("return document.documentElement.outerHTML").await;
        for secret in ["reference_code", "--diff", "first four digits", "What happened"] {
            assert!(!told.contains(secret), "{secret}");
        }

        lab.work(INCIDENT).await;
        let hit = transfer(&page.start_transfer("account_A", "account_B", "5").await);
        page.see_text("#drill-hit", "1").await;
        page.see_text("#drill-in_progress", "1").await;
        page.see_element(&format!("{hit}[data-stuck=workflow_task]")).await;
        page.see_text("#hint", "Show a hint (costs 10 points)").await;
        page.listen().await;
        page.click("#hint").await;
        page.see_text("#hints-title", "Hints: 1 of 4").await;
        page.hear("Hint 1: ").await;
        page.click(".goal[data-name=new-ones-are-safe] .goal-next > summary").await;
        page.see_element(".goal[data-name=new-ones-are-safe] .command .copy").await;
        page.expects("api/drill");
        page.click("#drill-finish").await;
        page.see_text("#drill-message", "still open: new transfers get through by themselves").await;
        audit_if_possible(page, "a drill").await;

        lab.work("reset-workflows").await;
        page.see_element(&format!("{hit}[data-status=COMPLETED]")).await;
        for _ in 0..lab::SAFE {
            page.start_transfer("account_A", "account_B", "5").await;
        }
        page.see_text("#goals-title", "Goals: 5 of 5 reached").await;
        page.click("#drill-finish.primary").await;
        page.see_text("#drill-report-title", "Recovered after ").await;
        page.hear("Recovered after ").await;
        page.see_text("#drill-explanation", "What happened").await;
        page.see_text("#drill-facts", "1 of 6").await;
        page.see_text("#hints-done", "cargo xtask stage reset-workflows --diff").await;
        page.see("the end", "return !shown('#drill-actions') && !shown('#hint')").await;
        page.see_text(&format!("#incidents [data-incident={INCIDENT}]"), "done").await;
        page.click("#drill-report details > summary").await;
        page.see("the timeline", "return $$('#drill-timeline li').length > 2").await;
        audit_if_possible(page, "a drill that was finished").await;
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn a_drill_is_given_up_only_after_a_question_and_another_one_starts_by_its_seed() {
    visit("jerry", async |lab, page| {
        start(lab, page).await;
        page.click("#drill-give-up").await;
        page.click("#give-up-cancel").await;
        assert_eq!(page.js("return shown('#drill-report')").await, false);
        page.click("#drill-give-up").await;
        page.click("#give-up-confirm").await;
        page.see_text("#drill-report-title", "Gave up after ").await;
        page.see("the focus", "return document.activeElement === $('#drill-report-title')").await;
        page.see_text("#drill-explanation", "What happened").await;

        // A wrong seed, and one that would replace an edit.
        page.fill("#drill-seed", "one").await;
        page.click("#drill-seed-start").await;
        page.see_text("#drill-seed-error", "A seed is a whole number").await;
        lab.say_question(build::question());
        page.fill("#drill-seed", "42").await;
        page.click("#drill-seed-start").await;
        page.see_text("#consent-title", "Start the drill: ").await;
        page.see_element("#consent-diff").await;
        assert_eq!(page.js("return shown('#consent-choice')").await, false);
        audit_if_possible(page, "the question before a drill").await;
        lab.let_enter();
        page.click("#consent-start").await;
        page.see_text("#stage-number", "On call, seed 42").await;
        page.see("a drill without an end", "return !shown('#drill-report') && shown('#drill-finish')").await;
        lab.let_enter();
        page.click("#drill-random").await;
        page.click("#consent-start").await;
        page.see("another seed", "return /^On call, seed \\d+$/.test(text('#stage-number')) && !text('#stage-number').endsWith(' 42')").await;
        let entered: Vec<Value> = lab.requests();
        let seeds: Vec<&Value> = entered.iter().map(|request| &request["seed"]).collect();
        assert_eq!((seeds.len(), seeds[1]), (3, &json!(42)), "{entered:?}");

        // Back to the course.
        lab.say_question(json!({ "edit": [], "leftovers": [] }));
        lab.let_enter();
        page.click("#stages-section > summary").await;
        page.click("#stages [data-stage=jerry] .begin").await;
        page.see_text("#stage-number", "Stage 1 of").await;
        assert_eq!(page.js("return ['#drill', '#drill-actions', '#drill-report'].some(shown)").await, false);
    })
    .await;
}

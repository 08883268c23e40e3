//! The tasks of the stages, and the commands that the page offers.

use serde_json::Value;

use crate::{
    page::{Page, numbered, transfer},
    visit,
};

/// Asserts that these commands can be typed as they stand: they parse, have nothing left to fill in, and name only this transfer.
fn check_commands(stage: &str, commands: &Value, id: &str, pids: [&str; 3]) {
    let commands: Vec<&str> = commands.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(!commands.is_empty(), "{stage} offers commands");
    let line = xtask::commands::command_line();
    for command in commands {
        assert!(!command.contains(['…', '{', '}', '<', '>']), "{stage}: {command}");
        let words = shlex::split(command).unwrap_or_else(|| panic!("{stage}: an open quote in {command}"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["cargo", "xtask", ref words @ ..] => {
                let parsed = line.clone().try_get_matches_from(["cargo xtask"].iter().chain(words));
                parsed.unwrap_or_else(|error| panic!("{stage}: {command}: {error}"));
                // What follows `temporal` is the Temporal CLI's own, which parses it before it shows its help.
                if let ["temporal", arguments @ ..] = words {
                    let parsed = testbed::temporal_cli().command().args(arguments).arg("--help").output();
                    let parsed = parsed.expect("the Temporal CLI can be run");
                    let said = String::from_utf8_lossy(&parsed.stderr).into_owned();
                    assert!(parsed.status.success(), "{stage}: {command}: {said}");
                }
            }
            ["kill", "-9", pid] => assert!(pids.contains(&pid), "{stage}: {command}"),
            _ => panic!("{stage} offers something else to copy: {command}"),
        }
        for (at, _) in command.match_indices("transfer-") {
            assert!(command[at..].starts_with(id), "{stage}: another transfer in {command}");
        }
    }
}

/// What the copy buttons of the page copy, after all hints were shown.
async fn commands(page: &Page) -> Value {
    let hint = "if (shown('#hint')) { $('#hint').click(); return false } return true";
    page.see("all hints", hint).await;
    page.js("return $$('[data-copy]').map((button) => button.dataset.copy)").await
}

#[tokio::test]
async fn every_command_that_the_page_offers_works_as_it_stands() {
    visit("jerry-limits-retries", async |lab, page| {
        lab.work("jerry-limits-retries").await;
        let id = page.start_transfer("account_A", "account_B", "25.50").await;
        page.see_element(&format!("{}[data-status=FAILED]", transfer(&id))).await;
        let pids = ["101", "102", "103"];
        for (service, pid) in ["worker", "temporal", "account-api"].into_iter().zip(pids) {
            lab.say_pid(service, pid.parse().expect("a number"));
        }
        lab.say("worker", "stopped");
        for stage in lab::STAGES {
            lab.enter_with(stage.name, &[&id]);
            page.see_text("#stage-number", &numbered(stage.name)).await;
            let tasks = stage.text.tasks().len();
            page.see("its tasks", &format!("return $$('.task').length === {tasks}")).await;
            if stage.name == "reset-workflows" {
                // The reset of this very transfer, by the page and by the command beside it.
                let reset = format!("cargo xtask temporal workflow reset --workflow-id {id} --event-id ");
                page.see("the reset", &format!("return $$('.task [data-copy^=\"{reset}\"]').length === 1"))
                    .await;
                page.see(
                    "its run",
                    &format!("return $('.task[data-state=now] a[href*=\"/workflows/{id}/\"]')"),
                )
                .await;
            }
            if stage.name == "pull-the-plug" {
                page.see("a kill", "return $('.task[data-state=now] .prose [data-copy=\"kill -9 101\"]')")
                    .await;
            }
            check_commands(stage.name, &commands(page).await, &id, pids);
        }
        lab.rest().await;
    })
    .await;
}

#[tokio::test]
async fn one_task_is_explained_and_its_links_lead_to_the_controls() {
    visit("jerry", async |lab, page| {
        page.see_text(".task[data-state=now]", "Start a transfer").await;
        assert_eq!(page.js("return $$('.task[data-state=todo]').every((task) => !task.querySelector('.task-body'))").await, true);
        page.click(".task[data-state=now] a[href=\"#submit\"]").await;
        page.see("the focus on the button", "return document.activeElement === $('#submit')").await;

        // The next stage does not begin with an amount that was meant for this one.
        page.fill("#amount", "5000").await;
        lab.enter("fix-workflow");
        page.see_text("#stage-number", &numbered("fix-workflow")).await;
        page.see("the first amount", "return $('#amount').value === '25.50'").await;
        // Without a transfer there is nothing to retry, and the page says so.
        page.see_text(".task[data-state=done]", "Start the stage").await;
        page.see_text(".task[data-state=now]", "See withdraw fail").await;
        page.click(".task[data-state=now] .task-done").await;
        page.see_text(".task[data-state=now]", "Fix the address").await;
        page.click(".task[data-state=now] a[href=\"#retry\"]").await;
        page.see_text(".task[data-state=now] .message", "No transfer is waiting").await;
        page.click(".task[data-state=now] a[href=\"#hint\"]").await;
        page.see("the focus on the hint", "return document.activeElement === $('#hint')").await;
        page.click("#hint").await;
        page.see_element(".hint").await;

        // Tasks that are done and hints that are shown are remembered until the stage is entered again.
        page.js("window.isOld = true; location.reload()").await;
        page.see("the page again", "return !window.isOld && $('.goal')").await;
        page.see_text(".task[data-state=now]", "Fix the address").await;
        page.see_element(".hint").await;
        lab.enter("fix-workflow");
        page.see_text(".task[data-state=now]", "See withdraw fail").await;
        page.see("no hint", "return !$('.hint')").await;

        // Stages that were passed over are not painted as done.
        lab.enter("reset-workflows");
        page.see_text("#stage-number", &numbered("reset-workflows")).await;
        let stages = lab::STAGES.len();
        page.see("no progress", &format!("return $$('#pips [data-stage]').length === {stages} && $$('#pips [data-reached]:not([data-reached=\"0\"])').length === 0")).await;
    })
    .await;
}

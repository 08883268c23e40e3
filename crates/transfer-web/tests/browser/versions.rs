//! Several versions of the worker: their panel, and the version on each transfer.

use serde_json::json;

use crate::{
    browser::WINDOW,
    lab::Lab,
    page::{Page, transfer},
    slow::{
        audit::{audit, axe},
        looks::PHONE,
    },
    visit,
};

/// What of the panel and of the transfers is wider than the window.
const TOO_WIDE: &str = "
    const wrong = $$('#versions, #versions *, .transfer-version').filter((one) => {
      const box = one.getBoundingClientRect();
      return box.width > 0 && (box.left < -0.5 || box.right > innerWidth + 0.5) && !one.matches('.visually-hidden');
    });
    return [document.documentElement.scrollWidth <= innerWidth, wrong.map((one) => one.outerHTML.slice(0, 120))];
";

/// Types a command of `temporal worker deployment` for the lab's deployment.
fn route(lab: &Lab, command: &str, arguments: &[&str]) {
    let begin = ["worker", "deployment", command, "--deployment-name", contract::DEPLOYMENT, "--yes"];
    lab.testbed.temporal(&[&begin, arguments].concat());
}

/// Pins a transfer to version 1.
fn move_to_version_1(lab: &Lab, workflow_id: &str) {
    let begin = ["workflow", "update-options", "--workflow-id", workflow_id];
    let pinned = ["--versioning-override-behavior", "pinned", "--versioning-override-build-id", "1"];
    let deployment = ["--versioning-override-deployment-name", contract::DEPLOYMENT];
    lab.testbed.temporal(&[&begin[..], &pinned, &deployment].concat());
}

/// Waits until the version's line in the panel reads like this, in full sentences for a screen reader.
async fn see_version(page: &Page, build_id: &str, words: &str) {
    let (selector, words) = (json!(format!(".version[data-version=\"{build_id}\"]")), json!(words));
    let said = format!("return text({selector}) === {words}");
    page.see(&format!("{words} in {selector}"), &said).await;
}

/// Two versions, of which the second takes one transfer in five; two transfers on it are stuck. Returns the transfer that the first
/// version completed, and one that is stuck.
async fn ramp(lab: &mut Lab, page: &Page) -> (String, String) {
    lab.deploy("1", "fixed").await;
    route(lab, "set-current-version", &["--build-id", "1"]);
    let fine = page.start_transfer("account_A", "account_B", "150").await;
    page.see_element(&format!("{}[data-status=COMPLETED][data-version=\"1\"]", transfer(&fine))).await;
    lab.deploy("2", "retries_by_amount").await;
    see_version(page, "2", "Version 2: inactive. none in progress. worker@2 running.").await;
    route(lab, "set-ramping-version", &["--build-id", "2", "--percentage", "100"]);
    see_version(page, "2", "Version 2: ramping 100% of new transfers. none in progress. worker@2 running.")
        .await;
    let mut stuck = String::new();
    for from in ["account_C", "account_D"] {
        stuck = page.start_transfer(from, "account_B", "150").await;
        page.see_element(&format!("{}[data-stuck=workflow_task][data-version=\"2\"]", transfer(&stuck)))
            .await;
    }
    route(lab, "set-ramping-version", &["--build-id", "2", "--percentage", "20"]);
    (fine, stuck)
}

#[tokio::test]
async fn the_panel_shows_each_version_with_its_share_its_transfers_and_its_worker() {
    visit("roll-out", async |lab, page| {
        lab.work("reset-workflows").await;
        let plain = transfer(&page.start_transfer("account_A", "account_B", "1").await);
        page.see_element(&format!("{plain}[data-status=COMPLETED]")).await;
        let shown = format!("return [shown('#versions'), shown('{plain} .transfer-version')]");
        assert_eq!(page.js(&shown).await, json!([false, false]), "the lab runs no versions");
        lab.rest().await;
        page.listen().await;
        let (fine, stuck) = ramp(lab, page).await;
        see_version(
            page,
            "1",
            "Version 1: current 80% of new transfers. none in progress. worker@1 running.",
        )
        .await;
        see_version(
            page,
            "2",
            "Version 2: ramping 20% of new transfers. 2 in progress, 2 failing. worker@2 running.",
        )
        .await;
        page.hear("Version 2: ramping 20% of new transfers.").await;
        page.see_text("#versions-deployment", contract::DEPLOYMENT).await;
        let services = "return $$('#services [data-service]').map((one) => one.dataset.service)";
        assert_eq!(
            page.js(services).await,
            json!(["temporal", "account-api", "worker@1", "worker@2", "transfer-web"])
        );

        // Rolled back, and moved.
        route(lab, "set-ramping-version", &["--build-id", "2", "--percentage", "0"]);
        see_version(page, "1", "Version 1: current. none in progress. worker@1 running.").await;
        move_to_version_1(lab, &stuck);
        let moved = transfer(&stuck);
        page.see_element(&format!("{moved}[data-status=COMPLETED][data-version=\"1\"]")).await;
        page.see_text(&format!("{moved} .transfer-version"), "version 1").await;
        see_version(page, "2", "Version 2: inactive. 1 in progress, 1 failing. worker@2 running.").await;
        page.click(&format!("{moved} .details summary")).await;
        let event = format!("{moved} .event[data-type=WorkflowExecutionOptionsUpdated]");
        page.see_text(&format!("{event} .line"), "pinned to version 1").await;
        page.see_text(&format!("{moved} .event[data-type=WorkflowTaskCompleted] .line"), "Version 2, pinned")
            .await;
        assert_eq!(page.js(&format!("return $('{}').dataset.version", transfer(&fine))).await, "1");

        // A version that takes none any more is drained once none is in progress on it.
        lab.deploy("3", "retries_any_amount").await;
        route(lab, "set-current-version", &["--build-id", "3"]);
        see_version(page, "3", "Version 3: current. none in progress. worker@3 running.").await;
        see_version(page, "1", "Version 1: drained. none in progress. worker@1 running.").await;

        // What the supervisor reports.
        lab.say("worker@2", "stopped");
        page.see_text(
            "#banner [data-name=\"worker@2\"]",
            "No worker of version 2 is running; its transfers wait.",
        )
        .await;
        page.see_text("#banner [data-name=\"worker@2\"]", "cargo xtask lab logs worker@2").await;
        page.see_text(".version[data-version=\"2\"][data-state=stopped]", "worker@2 stopped").await;
        lab.say("worker@2", "running");
        // Nobody knows the routing while the server does not answer.
        lab.say("temporal", "stopped");
        page.see_text("#versions[data-old] #versions-old", "As of the server's last answer").await;
        lab.say("temporal", "running");
        page.see_element("#versions:not([data-old])").await;
        lab.say_field("undeployed", json!(true));
        page.see_text("#banner [data-name=undeployed]", "Your edit is built.").await;
        page.see_text("#banner [data-name=undeployed]", "cargo xtask lab deploy").await;
        lab.say_build("failed");
        page.see_text("#banner [data-name=build]", "The deployed versions are still running.").await;
        lab.say_build("ok");
        lab.say_field("undeployed", json!(false));
        lab.retire_all().await;
        page.see("no panel", "return !shown('#versions')").await;
        assert_eq!(page.js("return $('#banner').childElementCount").await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_panel_fits_a_phone_and_200_percent_zoom_and_the_audit_finds_nothing_in_it() {
    visit("roll-out", async |lab, page| {
        ramp(lab, page).await;
        see_version(
            page,
            "2",
            "Version 2: ramping 20% of new transfers. 2 in progress, 2 failing. worker@2 running.",
        )
        .await;
        if let Some(axe) = axe() {
            audit(page, &axe, "two versions, one ramping, and stuck transfers").await;
        }
        let half = (WINDOW.0 / 2, WINDOW.1 / 2);
        for (window, ratio) in [(WINDOW, 1.0), (PHONE, 1.0), (half, 2.0)] {
            page.browser.look_like(window, ratio).await;
            page.see("the window", &format!("return innerWidth === {}", window.0)).await;
            page.js("if (shown('#tab-transfers-panel')) $('#tab-transfers-panel').click()").await;
            page.see_element("#versions .version").await;
            assert_eq!(page.js(TOO_WIDE).await, json!([true, []]), "{window:?}");
        }
        // A laptop shows each version on one line.
        page.browser.look_like(WINDOW, 1.0).await;
        page.see("the window", &format!("return innerWidth === {}", WINDOW.0)).await;
        let heights = "return $$('.version').every((one) => one.getBoundingClientRect().height < 36)";
        page.see("one line each", heights).await;
        lab.retire_all().await;
    })
    .await;
}

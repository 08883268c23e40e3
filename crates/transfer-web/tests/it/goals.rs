//! The guide: the stage's text, and its goals as they are reached.

use lab_client::progress::{FILE, Progress};
use serde_json::{Value, json};
use transfer_web::markdown::to_html;

use crate::{
    stream::Stream,
    support::{Folder, Lab, Service, endpoints},
};

/// Whether each goal is reached, by name.
fn reached(guide: &Value) -> Vec<(&str, bool)> {
    let goals = guide["goals"].as_array().expect("goals");
    goals.iter().map(|goal| (goal["name"].as_str().expect("a name"), goal["reached"] == true)).collect()
}

#[tokio::test]
async fn the_goals_of_a_stage_are_ticked_one_after_the_other() {
    let lab = Lab::start().await;
    let service = Service::start(endpoints(&lab.testbed), Some(Folder::at("jerry"))).await;
    let web = &service.web;
    let mut stream = Stream::of(web, "").await;
    let guide = stream.until("guide", |_| true).await;
    assert_eq!(
        (&guide["stage"], &guide["number"], &guide["of"]),
        (&json!("jerry"), &json!(1), &json!(::lab::STAGES.len()))
    );
    assert_eq!(
        reached(&guide),
        [("workflow-task-fails", false), ("goes-on", false), ("none-is-stuck", false)]
    );
    assert!(guide["goals"][0]["next"].is_string(), "{guide}");
    assert_eq!(
        (&guide["reached"], &guide["error"], &guide["wrong"]),
        (&json!(false), &Value::Null, &json!([]))
    );
    assert!(guide["html"].as_str().is_some_and(|html| html.starts_with('<') && !html.contains("<script")));
    assert_eq!(guide["hints_shown"], 0);
    assert!(guide["hints"].as_array().is_some_and(|hints| !hints.is_empty()));

    let jerry = lab.worker("jerry").await;
    let id = web.start("account_A", "account_B", 25.5).await;
    let guide = stream.until("guide", |guide| guide["goals"][0]["reached"] == true).await;
    let evidence = &guide["goals"][0]["evidence"][0];
    assert_eq!(evidence["workflow_id"], *id);
    assert!(
        evidence["what"].as_str().is_some_and(|what| what.contains("attempt to divide by zero")),
        "{guide}"
    );
    let run = evidence["run_id"].as_str().expect("a run");
    assert_eq!(
        evidence["ui_url"],
        format!("http://127.0.0.1:8233/namespaces/default/workflows/{id}/{run}/history")
    );
    assert_eq!(guide["reached"], false);
    jerry.stop().await;

    let fixed = lab.worker("fix-workflow").await;
    let guide = stream.until("guide", |guide| guide["reached"] == true).await;
    assert!(reached(&guide).iter().all(|(_, reached)| *reached), "{guide}");
    assert_eq!(
        guide["next_stage"],
        json!({
            "name": "fix-workflow",
            "title": to_html(::lab::STAGES[1].text.source).title,
            "command": "cargo xtask stage fix-workflow",
        })
    );
    fixed.stop().await;
}

#[tokio::test]
async fn a_new_stage_and_a_shown_hint_are_sent() {
    let lab = Lab::start().await;
    let service = Service::start(endpoints(&lab.testbed), None).await;
    let mut without = Stream::of(&service.web, "").await;

    let folder = Folder::at("jerry");
    let path = folder.path();
    let guided = Service::start(endpoints(&lab.testbed), Some(folder)).await;
    let mut stream = Stream::of(&guided.web, "").await;
    stream.until("guide", |guide| guide["stage"] == "jerry" && guide["hints_shown"] == 0).await;
    let jerry = ::lab::stage("jerry").expect("a stage of the table");
    let write = |progress: Progress| {
        std::fs::write(path.join(FILE), progress.to_json().to_string()).expect("a folder of the test's own");
    };
    write(Progress { hints: 1, ..Progress::begin(jerry) });
    stream.until("guide", |guide| guide["hints_shown"] == 1).await;
    for (at, stage) in ::lab::STAGES.iter().enumerate() {
        write(Progress::begin(stage));
        let guide =
            stream.until("guide", |guide| guide["stage"] == stage.name && guide["hints_shown"] == 0).await;
        assert_eq!(guide["number"], at + 1, "{}", stage.name);
        assert_eq!(guide["error"], Value::Null);
        assert!(guide["goals"].as_array().is_some_and(|goals| !goals.is_empty()), "{}", stage.name);
        assert_eq!(guide["fixed_by"], json!(stage.fixed_by));
    }

    // A service without a lab's folder has sent everything else by now, and no guide.
    let events = without.each_of(&["lab", "bank", "transfers"]).await;
    assert!(events.iter().all(|event| event.name != "guide"), "{events:?}");
}

#[tokio::test]
async fn without_temporal_the_guide_reports_an_error_and_recovers() {
    let mut lab = Lab::keeping().await;
    let service = Service::start(endpoints(&lab.testbed), Some(Folder::at("jerry"))).await;
    let mut stream = Stream::of(&service.web, "").await;
    stream.until("guide", |guide| guide["error"].is_null()).await;
    lab.testbed.server.stop();
    let guide = stream.until("guide", |guide| guide["error"].is_string()).await;
    assert!(
        guide["error"].as_str().is_some_and(|error| error.starts_with("cannot evaluate the goals right now"))
    );
    assert_eq!(reached(&guide).len(), 3);
    lab.testbed.server.start_again().await;
    stream.until("guide", |guide| guide["error"].is_null()).await;
}

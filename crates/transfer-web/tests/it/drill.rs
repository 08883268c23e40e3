//! A drill: what the page shows of it, and what a learner does in it.

use lab_client::{
    Endpoints,
    bank::Bank,
    progress::{self, Drill, Progress},
};
use serde_json::{Value, json};
use testbed::until;
use tokio::task::spawn_blocking;

use crate::{
    stream::Stream,
    supervisor::Supervisor,
    support::{Client, Folder, Lab, Service, endpoints, nowhere},
};

const INCIDENT: &str = "some-never-arrive";

/// The page's service in a lab with a supervisor, at this incident with a drill of seed 7.
async fn on_call(endpoints: Endpoints, last_entry: u64) -> (Supervisor, Service) {
    let supervisor = Supervisor::start().await;
    let folder = Folder::at(INCIDENT);
    let drill = Some(Drill { seed: 7, last_entry, ended: None });
    folder.write(progress::FILE, &Progress { drill, ..Progress::read(&folder.path()) }.to_json());
    folder.write("lab.json", &json!({ "control_port": supervisor.port, "token": "secret" }));
    supervisor.shows(&json!({ "folder": folder.path() }));
    (supervisor, Service::start(endpoints, Some(folder)).await)
}

/// The drill, once it matches.
async fn drill(web: &Client, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(what, || async {
        let drill = web.good("/api/drill").await["drill"].take();
        if is_so(&drill) { Ok(drill) } else { Err(drill) }
    })
    .await
}

#[tokio::test]
async fn a_drill_is_judged_by_its_transfers_and_says_what_was_wrong_only_once_it_has_ended() {
    let lab = Lab::start().await;
    let bank = Bank::new(&endpoints(&lab.testbed));
    let last_entry = spawn_blocking(move || bank.last_entry()).await.expect("it does not panic");
    let (supervisor, service) = on_call(endpoints(&lab.testbed), last_entry.expect("the bank answers")).await;
    let web = &service.web;
    let incidents = web.good("/api/drill").await["incidents"].take();
    let names = incidents.as_array().expect("a list").iter().map(|incident| &incident["name"]);
    assert!(names.eq(::lab::INCIDENTS.iter().map(|incident| incident.stage.name)), "{incidents}");
    let incident = ::lab::incident(INCIDENT).expect("an incident of the table");
    let hints = incident.stage.text.hints();
    let broken = lab.worker(INCIDENT).await;
    let hit = web.start("account_A", "account_B", 5.0).await;
    let found = drill(web, "the transfer to be hit", |drill| drill["numbers"]["hit"] == 1).await;
    assert_eq!(
        (&found["incident"], &found["seed"], &found["hints"], &found["hints_of"]),
        (&json!(INCIDENT), &json!(7), &json!([]), &json!(hints.len()))
    );
    assert_eq!(
        found["numbers"],
        json!({ "in_progress": 1, "hit": 1, "safe": 0, "safe_of": ::lab::SAFE, "closed": 0 })
    );
    assert!(found["goals"][0]["next_step"]["command"].is_string(), "{found}");
    let (_, sections) = ::lab::sections(incident.stage.text.source);
    let (_, explanation) = sections.iter().find(|(title, _)| *title == "Explanation").expect("a section");
    let secrets = explanation.lines().map(str::to_owned).filter(|line| line.len() > 20).chain(hints);
    let secrets: Vec<String> = secrets.collect();
    let is_told = |told: &Value| secrets.iter().any(|secret| told.to_string().contains(&**secret));
    let mut stream = Stream::of(web, "").await;
    let guide = stream.until("guide", |guide| guide["drill"]["numbers"]["hit"] == 1).await;
    for told in [&found, &guide] {
        assert!(!is_told(told), "{told}");
        assert_eq!((&told["fixed_by"], &told["number"]), (&Value::Null, &Value::Null));
    }

    let act = async |what: &str| web.post("/api/drill", json!({ what: true })).await;
    let answer = act("hint").await;
    assert_eq!(answer.json["drill"]["hints"].as_array().map(Vec::len), Some(1), "{}", answer.text);
    // Nobody can change the bank, or reset it.
    let nobody = "in a drill nobody can change how the bank behaves";
    for (path, change, why) in [
        ("/api/outage", json!({ "deposits": true }), nobody),
        ("/api/real-world-mode", json!({ "enabled": true }), nobody),
        ("/api/reset", json!({}), "the drill and its report need the transfers"),
    ] {
        let answer = web.post(path, change).await;
        let (status, error) = answer.error();
        assert_eq!(status, 409, "{path}: {error}");
        assert!(error.contains(why), "{path}: {error}");
    }
    supervisor.shows(&json!({
        "folder": service.folder().path(),
        "report": { "goals": [{ "goal": "none is lost", "reached": false }, { "goal": "all is well", "reached": true }], "wrong": [] },
    }));
    let answer = act("finish").await;
    assert_eq!(answer.error(), (409, "the incident is not resolved yet; still open: none is lost"));

    broken.stop().await;
    let fixed = lab.worker("reset-workflows").await;
    web.completed(&hit).await;
    drill(web, "it to close", |drill| drill["numbers"]["closed"] == 1).await;
    fixed.stop().await;
    supervisor.shows(&json!({ "folder": service.folder().path() }));
    let answer = act("finish").await;
    let ended = &answer.json["drill"];
    assert_eq!(
        (&ended["ended"]["gave_up"], &ended["fixed_by"]),
        (&json!(false), &json!(incident.stage.fixed_by))
    );
    assert!(ended["explanation"].as_str().is_some_and(|html| html.starts_with('<')), "{}", answer.text);
    assert_eq!(
        (&ended["report"]["outcome"], &ended["report"]["transfers_hit"]),
        (&json!("recovered"), &json!(1))
    );
    let report = web.request("GET", "/api/drill/report.html").send().await.expect("it answers");
    // Its style is in it.
    let policy = report.headers()["content-security-policy"].to_str().expect("a text").to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"), "{policy}");
    assert_eq!(report.headers()["x-frame-options"], "DENY");
    assert!(report.text().await.is_ok_and(|html| html.contains(incident.stage.title())));
    for what in ["hint", "finish", "give_up"] {
        assert_eq!(act(what).await.error(), (409, "no drill is in progress; start one first"));
    }
}

#[tokio::test]
async fn a_drill_is_started_by_name_or_by_seed() {
    let (supervisor, service) = on_call(nowhere(), 0).await;
    let web = &service.web;
    let post = async |body: Value| web.post("/api/drill", body).await;
    let seed = ::lab::incident(INCIDENT).expect("an incident").seed();
    for (body, seed) in [
        (json!({ "start": INCIDENT }), seed),
        (json!({ "start": INCIDENT, "seed": 42 }), 42),
        (json!({ "seed": seed, "clean": true }), seed),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.json["entered"]["stage"], INCIDENT, "{}", answer.text);
        assert_eq!(answer.json["entered"]["saved"], seed);
    }
    for which in [INCIDENT, &*seed.to_string()] {
        let question = web.good(&format!("/api/drill/{which}")).await;
        assert_eq!(question["stage"], INCIDENT);
    }
    for body in [
        json!({ "start": "jerry" }),
        json!({}),
        json!({ "hint": true, "seed": 1 }),
        json!({ "hint": "yes" }),
        json!({ "seed": -1 }),
        json!({ "start": 7 }),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    let answer = web.get("/api/drill").await;
    let (status, error) = answer.error();
    assert!(status == 503 && error.starts_with("the drill cannot be evaluated right now"), "{error}");
    supervisor.answers.abort();
    for path in ["/api/drill/report.html", "/api/drill/7", "/api/drill/some-never-arrive"] {
        assert_eq!(web.get(path).await.status, 503, "{path}");
    }
    let answer = post(json!({ "give_up": true })).await;
    let (status, error) = answer.error();
    assert!(status == 503 && error.starts_with("could not end the drill"), "{error}");
}

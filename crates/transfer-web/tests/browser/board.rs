//! The class board with forty learners, on the screen of an instructor, and its wall view.

use std::{env, fs, sync::Arc, time::Duration};

use anyhow::Result;
use contract::PublicHosts;
use gateway::{Gateway, Guard, Link, Service};
use lab_client::{
    Endpoints,
    class::{self, Report},
    temporal::Server,
    time,
};
use serde_json::json;
use testbed::{Testbed, simulated_learner, until};
use tokio::{
    net::TcpListener,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    browser::Browser,
    page::Page,
    slow::audit::{audit, axe},
};

/// The screen of an instructor.
const SCREEN: (u32, u32) = (1920, 1080);
/// A small projector.
const SMALL: (u32, u32) = (1280, 720);
const LEARNERS: u64 = 40;
/// How long the class has been on.
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// How often everybody reports, so that nobody falls silent while a slow machine runs the test.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// What overflows the window or is cut.
const CUT: &str = "
    const wrong = [];
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight)
      wrong.push(`the page is ${root.scrollWidth} by ${root.scrollHeight}`);
    for (const one of $$('aside, .cell button, .cell span, #needs li')) {
      if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 || one.scrollHeight > one.clientHeight + 1 && one.clientHeight > 0)
        wrong.push(one.outerHTML.slice(0, 200));
    }
    return wrong;
";

/// Serves the board of this server for as long as the set lives; returns its URL.
async fn serve_board(testbed: &Testbed, tasks: &mut JoinSet<()>) -> String {
    let service = Service::at(testbed.server_address(), "default").expect("it is an address");
    let link = Link::new(service);
    let findings = Arc::new(gateway::preflight(&link).await.expect("the server is new enough"));
    let guard = Arc::new(Guard::new(None, "default"));
    let gateway = Gateway { link, guard, findings, board: true, public: PublicHosts::default() };
    let [grpc, http] = [listen().await, listen().await];
    let url = format!("http://{}", http.local_addr().expect("it is bound"));
    tasks.spawn(gateway::serve(gateway, grpc, http, std::future::pending()));
    url
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("there is a free port")
}

/// Writes the reports of forty learners, ten minutes into the class, with the questions of a class that began at this time.
fn fill(server: &Server, begin: Duration) -> Result<()> {
    for number in 0..LEARNERS {
        let report = |begin: Duration| {
            // Who is silent was there first.
            let report = [600, 199].iter().find_map(|&at| simulated_learner(number, begin, at));
            report.expect("everybody was there")
        };
        // A question with another time would be another question.
        let help = report(begin).help;
        class::send(server, &Report { help, ..report(time::now() - TEN_MINUTES) })?;
    }
    Ok(())
}

/// Has everybody report now, and again and again for as long as the set lives.
async fn keep_filled(testbed: &Testbed, tasks: &mut JoinSet<()>) {
    let server = Server::new(&Endpoints::own(&testbed.server.http_url, "", ""));
    let begin = time::now() - TEN_MINUTES;
    let send = move || {
        let server = server.clone();
        spawn_blocking(move || fill(&server, begin))
    };
    send().await.expect("it does not panic").expect("they are taken");
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(REPORT_INTERVAL).await;
            // At the end of the test, the server may be gone.
            let _ = send().await;
        }
    });
}

/// Keeps a picture, if BUGLAB_BOARD_PICTURES names a folder for them.
async fn picture(page: &Page, name: &str) {
    if let Some(folder) = env::var_os("BUGLAB_BOARD_PICTURES") {
        let picture = page.browser.client.screenshot().await.expect("the browser takes a picture");
        fs::write(std::path::Path::new(&folder).join(name), picture).expect("it can be written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_learners_fit_on_one_screen_and_the_wall_names_nobody() {
    let Some(browser) = Browser::open().await else { return };
    let testbed = Testbed::start().await;
    let mut tasks = JoinSet::new();
    keep_filled(&testbed, &mut tasks).await;
    let url = serve_board(&testbed, &mut tasks).await;
    browser.look_like(SCREEN, 1.0).await;
    let page = Page::at(browser, &url).await;
    page.see("everybody", &format!("return $$('.cell').length === {LEARNERS}")).await;
    assert_eq!(page.js(CUT).await, json!([]));
    picture(&page, "board-light.png").await;

    // Everybody asks in the order of the list; a stage lists its own in the same order. The order may change while everybody reports.
    let rows = until("the list in the order of the board", || async {
        let listed =
            page.js("return $$('#needs li:not([hidden]) .name').map((name) => name.textContent)").await;
        let rows: serde_json::Value =
            reqwest::get(format!("{url}/board.json")).await.expect("it answers").json().await.expect("JSON");
        let rows = rows["learners"].as_array().expect("a list").clone();
        let listed = listed.as_array().expect("a list").clone();
        let expected = rows.iter().map(|row| &row["learner"]).take(listed.len());
        let is_same = listed.len() > 5 && listed.iter().eq(expected);
        if is_same { Ok(rows) } else { Err(listed) }
    })
    .await;
    assert_eq!(rows[0]["need"], "help");
    let first = rows[0]["learner"].as_str().expect("a name").to_owned();

    page.click("#needs li:first-child .coming").await;
    page.see("coming", &format!("return $('#needs li[data-learner=\"{first}\"]').textContent.includes('✓')"))
        .await;
    let server = Server::new(&Endpoints::own(&testbed.server.http_url, "", ""));
    let coming = spawn_blocking(move || class::notices::read(&server)).await;
    assert!(coming.expect("no panic").expect("it answers").coming.contains_key(&first));

    page.click(&format!(".cell [data-learner={first}]")).await;
    page.see_text("#learner h2", &first).await;
    assert_eq!(page.js(CUT).await, json!([]));
    page.browser.dark(true).await;
    picture(&page, "board-dark.png").await;
    page.browser.look_like(SMALL, 1.0).await;
    page.see(
        "the small projector",
        "return innerWidth === 1280 && document.documentElement.scrollWidth <= 1280",
    )
    .await;
    picture(&page, "board-small.png").await;

    let axe = axe();
    if let Some(axe) = &axe {
        audit(&page, axe, "the board").await;
    }

    page.browser.look_like(SCREEN, 1.0).await;
    let incident = &lab::incident_of(7).stage;
    page.click("#tell summary").await;
    page.fill("#seed", "seven").await;
    page.press(&[crate::webdriver::Key::Enter]).await;
    page.see_text("#failure", "Not changed: a seed is a whole number").await;
    page.fill("#seed", "7").await;
    page.press(&[crate::webdriver::Key::Enter]).await;
    page.see_text("#drill", &format!("Drill 7, {}: 32 not started, ", incident.title())).await;
    page.see(
        "who has not begun",
        "return $$('.cell').filter((one) => one.textContent.includes('drill: not started')).length === 32",
    )
    .await;
    page.see("no failure", "return $('#failure').hidden").await;
    page.click("#tell summary").await;
    assert_eq!(page.js(CUT).await, json!([]));
    picture(&page, "board-drill.png").await;

    page.browser.client.goto(&format!("{url}/wall")).await.expect("it opens");
    page.see_text("#summary", "40 learners").await;
    page.see_text("#drill", "Drill 7: 32 not started, ").await;
    assert!(!page.string("return document.body.textContent").await.contains(incident.title()));
    assert_eq!(page.js(CUT).await, json!([]));
    page.browser.dark(true).await;
    picture(&page, "wall-dark.png").await;
    page.browser.dark(false).await;
    picture(&page, "wall-light.png").await;
    let wall = page.string("return document.documentElement.outerHTML").await;
    let data =
        reqwest::get(format!("{url}/wall.json")).await.expect("it answers").text().await.expect("text");
    for row in &rows {
        let name = row["learner"].as_str().expect("a name");
        assert!(!wall.contains(&format!(">{name}<")) && !data.contains(&format!("\"{name}\"")), "{name}");
    }
    assert!(!data.contains("connection refused") && !wall.contains("rule broken"), "{data}");
    if let Some(axe) = &axe {
        audit(&page, axe, "the wall").await;
    }
    page.was_quiet().await;
}

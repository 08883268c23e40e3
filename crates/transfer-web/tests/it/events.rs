//! The event streams: what they send, when, and how many requests that costs Temporal and the bank.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testbed::until;

use crate::{
    proxy::Proxy,
    stream::{Event, Stream},
    support::{Folder, Lab, Service, endpoints, ids, nowhere},
};

/// A separate service for this lab, with proxies that count its requests to Temporal and the bank.
async fn counted(lab: &Lab, folder: Option<Folder>) -> (Service, Proxy, Proxy) {
    let temporal = Proxy::before(&lab.testbed.server.http_url).await;
    let bank = Proxy::before(&lab.testbed.bank_url).await;
    let endpoints = lab_client::Endpoints {
        temporal_http: temporal.url.clone(),
        bank: bank.url.clone(),
        ..endpoints(&lab.testbed)
    };
    (Service::start(endpoints, folder).await, temporal, bank)
}

/// 25.50 from account_A to account_B.
fn order() -> Value {
    json!({ "from_account": "account_A", "to_account": "account_B", "amount": 25.5 })
}

fn count_by_name(events: &[Event]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    events.iter().for_each(|event| *counts.entry(&*event.name).or_default() += 1);
    counts
}

/// The request that the service sends once per poll of the transfers, and of the bank.
const LOOKS: (&str, &str) = ("workflow-count", "GET /accounts ");

/// A count, once it is unchanged across five polls of the reference service.
async fn settled(clock: &Proxy, count: impl Fn() -> usize) -> usize {
    for _ in 0..20 {
        let before = count();
        clock.more(LOOKS.0, 5).await;
        if count() == before {
            return before;
        }
    }
    panic!("it is still requested, {} times by now", count())
}

#[tokio::test]
async fn each_subject_is_sent_once_and_then_only_when_it_changes() {
    let lab = Lab::start().await;
    let (service, temporal, bank) = counted(&lab, Some(Folder::at("jerry"))).await;
    let mut stream = Stream::of(&service.web, "").await;
    let first = stream.each_of(&["lab", "bank", "guide", "transfers"]).await;
    // It polls again and again, and nothing has changed.
    temporal.more(LOOKS.0, 8).await;
    bank.more(LOOKS.1, 5).await;
    let events: Vec<Event> = first.into_iter().chain(stream.arrived()).collect();
    let once = BTreeMap::from([("bank", 1), ("guide", 1), ("lab", 1), ("transfers", 1)]);
    assert_eq!(count_by_name(&events), once, "{events:?}");

    // A later stream gets each subject once too, at once.
    let mut second = Stream::of(&service.web, "").await;
    let first = second.each_of(&["lab", "bank", "guide", "transfers"]).await;
    assert_eq!(count_by_name(&first), once);

    // One client starts a transfer, and another sets the bank's mode.
    lab.testbed.start_transfer("elsewhere", order()).await;
    for stream in [&mut stream, &mut second] {
        let event = stream.until("transfers", |event| event["total"] == 1).await;
        assert_eq!(event["running"], 1);
        assert_eq!(ids(&event["rows"]), ["elsewhere"]);
    }
    lab.testbed.give("account_J", 5).await;
    lab.testbed.put("/real-world-mode", json!({ "enabled": true })).await;
    for stream in [&mut stream, &mut second] {
        // The balances are read before the mode: an event may have the new mode and the old balances.
        let is_both = |event: &Value| event["real_world_mode"]["enabled"] == true && event["total"] == 7955;
        let event = stream.until("bank", is_both).await;
        assert_eq!(event["in_transit"], -5);
        assert_eq!(event["accounts"].as_array().map(Vec::len), Some(10));
    }
}

#[tokio::test]
async fn a_transfer_is_reported_from_start_to_completion() {
    let lab = Lab::start().await;
    let mut stream = Stream::of(lab.web(), "limit=5").await;
    stream.until("transfers", |event| event["total"] == 0 && event["limit"] == 5).await;
    lab.testbed.start_transfer("seen", order()).await;
    stream.until("transfers", |event| event["running"] == 1).await;
    let jerry = lab.worker("jerry").await;
    stream
        .until("transfers", |event| {
            event["stuck_in_window"] == 1 && event["rows"][0]["stuck"]["kind"] == "workflow_task"
        })
        .await;
    jerry.stop().await;
    let worker = lab.worker("reset-workflows").await;
    let event = stream.until("transfers", |event| event["completed"] == 1).await;
    assert_eq!(
        (&event["running"], &event["failed"], &event["stuck_in_window"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(event["rows"][0]["completed_steps"], event["rows"][0]["steps"]);
    stream.until("bank", |event| event["accounts"][1]["balance"] == 525.5).await;
    worker.stop().await;
}

#[tokio::test]
async fn each_stream_has_its_own_window_and_a_window_without_a_stream_is_not_polled() {
    let lab = Lab::start().await;
    let (service, temporal, _) = counted(&lab, None).await;
    let web = &service.web;
    // All in progress, since there is no worker; the oldest is only in the second window.
    let mut newest_first = Vec::new();
    for _ in 0..5 {
        newest_first.insert(0, web.start("account_A", "account_B", 1.0).await);
    }
    let mut first = Stream::of(web, "offset=0&limit=2").await;
    let mut second = Stream::of(web, "offset=3&limit=50").await;
    let event = first.until("transfers", |event| event["total"] == 5).await;
    assert_eq!(ids(&event["rows"]), newest_first[..2]);
    let event = second.until("transfers", |event| event["total"] == 5).await;
    assert_eq!(ids(&event["rows"]), newest_first[3..]);
    assert_eq!((&event["offset"], &event["limit"]), (&json!(3), &json!(50)));

    let oldest = format!("workflows/{}?", newest_first[4]);
    temporal.more(&oldest, 3).await;
    drop(second);
    // The closed stream is noticed within a poll or two; from then on its window is not polled.
    let before = settled(&temporal, || temporal.count(&oldest)).await;
    let seen = temporal.count(&format!("workflows/{}?", newest_first[0]));
    temporal.more(LOOKS.0, 5).await;
    assert_eq!(temporal.count(&oldest), before);
    assert!(
        temporal.count(&format!("workflows/{}?", newest_first[0])) > seen,
        "the other window is still polled"
    );

    // A window past the end is empty, and has the total.
    let mut behind = Stream::of(web, "offset=100&limit=1").await;
    let event = behind.until("transfers", |_| true).await;
    assert_eq!((&event["total"], &event["rows"]), (&json!(5), &json!([])));
}

#[tokio::test]
async fn a_window_is_limited_in_size_and_an_invalid_one_is_rejected() {
    let lab = Lab::start().await;
    let web = lab.web();
    for (query, offset, limit) in [
        ("", 0, 10),
        ("limit=1000000", 0, 50),
        ("limit=0", 0, 1),
        ("offset=99999999999", 1_000_000, 10),
        ("offset=99999999999999999999999", 1_000_000, 10),
        ("other=1", 0, 10),
    ] {
        let mut stream = Stream::of(web, query).await;
        let event = stream.until("transfers", |_| true).await;
        assert_eq!((&event["offset"], &event["limit"]), (&json!(offset), &json!(limit)), "{query}");
    }
    for query in ["offset=-1", "limit=ten", "limit=1.5", "offset=", "offset=+5"] {
        let answer = web.get(&format!("/api/events?{query}")).await;
        let (status, error) = answer.error();
        assert!(
            status == 400 && error.ends_with("must be a whole number of zero or more"),
            "{query}: {status} {error}"
        );
    }
}

#[tokio::test]
async fn without_a_stream_nothing_is_polled_and_twenty_streams_cost_no_more_than_one() {
    let lab = Lab::start().await;
    for at in 0..3 {
        lab.testbed.start_transfer(&format!("transfer-{at}"), order()).await;
    }
    // One service always has a stream: its polls measure time for the other one.
    let (one, one_temporal, _) = counted(&lab, None).await;
    let (many, many_temporal, many_bank) = counted(&lab, None).await;
    let mut stream = Stream::of(&one.web, "").await;
    stream.until("transfers", |event| event["total"] == 3).await;
    one_temporal.more(LOOKS.0, 8).await;
    assert_eq!((many_temporal.lines(), many_bank.lines()), (vec![], vec![]));

    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = Stream::of(&many.web, "").await;
        stream.until("transfers", |event| event["total"] == 3).await;
        streams.push(stream);
    }
    let count = |proxy: &Proxy| (proxy.count(LOOKS.0), proxy.count("GET /"));
    let (one_before, many_before) = (count(&one_temporal), count(&many_temporal));
    one_temporal.more(LOOKS.0, 15).await;
    many_temporal.more(LOOKS.0, 2).await;
    let (one_after, many_after) = (count(&one_temporal), count(&many_temporal));
    let (one_looks, one_asked) = (one_after.0 - one_before.0, one_after.1 - one_before.1);
    let (many_looks, many_asked) = (many_after.0 - many_before.0, many_after.1 - many_before.1);
    // A poll is one request for the list and one per transfer in progress; the first and the last poll may be incomplete.
    let is_three_a_look = |looks: usize, asked: usize| asked <= 4 * looks + 4;
    assert!(is_three_a_look(one_looks, one_asked), "{one_looks} looks, {one_asked} questions");
    assert!(is_three_a_look(many_looks, many_asked), "{many_looks} looks, {many_asked} questions");
    // Twenty times as many would be distinguishable from the jitter of two threads.
    assert!(many_looks < 4 * one_looks, "{many_looks} looks for twenty, {one_looks} for one");

    // The last stream closes, and soon nothing is polled any more.
    drop(streams);
    let before = settled(&one_temporal, || many_temporal.lines().len()).await;
    let bank_before = many_bank.lines().len();
    one_temporal.more(LOOKS.0, 8).await;
    assert_eq!((many_temporal.lines().len(), many_bank.lines().len()), (before, bank_before));
}

#[tokio::test]
async fn a_history_is_read_once_for_all_streams() {
    let lab = Lab::start().await;
    let worker = lab.worker("reset-workflows").await;
    let (service, temporal, _) = counted(&lab, None).await;
    let id = service.web.start("account_A", "account_B", 1.0).await;
    service.web.completed(&id).await;
    let history = format!("workflows/{id}/history?");
    let read = temporal.count(&history);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = Stream::of(&service.web, "").await;
        stream.until("transfers", |event| event["completed"] == 1).await;
        streams.push(stream);
    }
    service.web.good("/api/workflows").await;
    temporal.more(LOOKS.0, 3).await;
    assert_eq!(temporal.count(&history), read, "it is closed, and was read to its end");

    // After a reset, that is so for the earlier run in the transfer's details too.
    let reset =
        ["workflow", "reset", "--workflow-id", &id, "--type", "FirstWorkflowTask", "--reason", "a try"];
    lab.testbed.temporal(&reset);
    let details = format!("/api/workflows/{id}/history");
    let runs = until("both runs", || async {
        let runs = service.web.good(&details).await["runs"].clone();
        if runs[0]["status"] == "COMPLETED" && runs[1].is_object() { Ok(runs) } else { Err(runs) }
    })
    .await;
    let earlier = format!("{history}execution.runId={}", runs[1]["run_id"].as_str().expect("an id"));
    let read = temporal.count(&earlier);
    assert!(read > 0, "it is read");
    assert_eq!(service.web.good(&details).await["runs"], runs);
    assert_eq!(temporal.count(&earlier), read);
    worker.stop().await;
}

#[tokio::test]
async fn the_streams_end_cleanly_with_the_service() {
    let lab = Lab::start().await;
    let mut service = Service::start(endpoints(&lab.testbed), Some(Folder::at("jerry"))).await;
    let mut streams = Vec::new();
    for query in ["", "offset=5", "limit=50"] {
        let mut stream = Stream::of(&service.web, query).await;
        stream.until("guide", |_| true).await;
        streams.push(stream);
    }
    service.close();
    for stream in &mut streams {
        while stream.next().await.is_some() {}
    }
    service.ended().await;
}

#[tokio::test]
async fn a_stream_without_changes_sends_beats() {
    let service = Service::start(nowhere(), None).await;
    let mut stream = Stream::of(&service.web, "").await;
    let before = lab_client::time::now().as_secs_f64();
    // Several: a page watches the time between beats.
    for _ in 0..2 {
        let beat = stream.next_of("beat").await;
        assert!(beat["now"].as_f64().is_some_and(|now| now >= before), "{beat}");
    }
}

//! Queries of lists.

use serde_json::json;
use testbed::{DevServer, until};
use tokio::task::JoinSet;

use super::{
    Round, Rounds, count,
    messages::{Counts, LEARNER},
    stand_in::start_gateway,
};

#[tokio::test(flavor = "multi_thread")]
async fn no_query_lists_another_learners_workflows() {
    fuzz(Rounds::of(400)).await;
}

/// Lists with random queries, on a real server, which has the last word on what a query means.
pub(crate) async fn fuzz(mut rounds: Rounds) {
    let server = DevServer::start_with(&["frontend.namespaceRPS.visibility=100000"]).await;
    let mut tasks = JoinSet::new();
    let (_, address) = start_gateway(&server.address, &mut tasks).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for learner in [LEARNER, "bob"] {
        let url = format!("{}/api/v1/namespaces/default/workflows/{learner}.x", server.http_url);
        let queue = contract::task_queue(Some(learner));
        let start = json!({ "workflowType": { "name": "X" }, "taskQueue": { "name": queue } });
        let answer = client.post(url).json(&start).send().await.expect("it answers");
        assert!(answer.status().is_success(), "{answer:?}");
    }
    let list = async |address: &str, query: &str| -> Option<Vec<String>> {
        let query = lab_client::http::encode(query);
        let url = format!("http://{address}/api/v1/namespaces/default/workflows?query={query}");
        let answer = client.get(url).send().await.expect("it answers");
        let status = answer.status().as_u16();
        // The server itself fails at some.
        assert!(status == 200 || status >= 400, "{query}: {status}");
        let answer: serde_json::Value = answer.json().await.expect("JSON");
        let id =
            |execution: &serde_json::Value| execution["execution"]["workflowId"].as_str().map(str::to_owned);
        let ids = |list: &serde_json::Value| list.as_array().into_iter().flatten().filter_map(id).collect();
        (status == 200).then(|| ids(&answer["executions"]))
    };
    let of_server = server.http_url.trim_start_matches("http://").to_owned();
    until("both are listed", async || match list(&of_server, "").await {
        Some(ids) if ids.len() == 2 => Ok(()),
        other => Err(other),
    })
    .await;
    let mut counts = Counts::new();
    for seed in rounds.seeds.by_ref() {
        let round = Round(seed);
        let query = round.generator().query();
        count(&mut counts, "rounds");
        if query.len() > 10_000 {
            continue;
        }
        match list(&address.to_string(), &query).await {
            Some(ids) => {
                assert!(ids.iter().all(|id| id == "ada.x"), "{query} lists {ids:?}");
                count(&mut counts, format!("lists {}", ids.len()));
            }
            None => count(&mut counts, "refused"),
        }
    }
    rounds.report(&counts);
    assert!(!rounds.are_all || counts.contains_key("lists 1"), "no query lists anything: {counts:?}");
}

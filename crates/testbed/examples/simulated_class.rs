//! Fills the board of a class with simulated learners, until Ctrl-C; for trials of the board.
//!
//! `cargo run -p testbed --example simulated_class -- [LEARNERS] [LAB FOLDER or URL of the server's HTTP API]`, in the checkout that
//! serves the class.

use std::{collections::BTreeMap, env, fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use lab_client::{
    Endpoints,
    class::{self, Report},
    temporal::Server,
    time,
};
use serde_json::Value;
use testbed::simulated_learner;

/// How often the learners are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A report without news is sent this often, as a lab does.
const SIGN_OF_LIFE: Duration = Duration::from_secs(50);

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let learners: u64 =
        arguments.next().map_or(Ok(38), |number| number.parse()).context("a number of learners")?;
    let place = arguments.next().unwrap_or_else(|| ".lab".to_owned());
    let url = if place.starts_with("http") { place } else { served(Path::new(&place))? };
    let server = Server::new(&Endpoints::own(&url, "", ""));
    let begin = time::now();
    let mut sent: BTreeMap<u64, (Report, Duration)> = BTreeMap::new();
    println!("{learners} learners report to {url}; Ctrl-C ends them");
    loop {
        let now = time::now();
        for number in 0..learners {
            let Some(report) = simulated_learner(number, begin, (now - begin).as_secs()) else { continue };
            let is_due = sent.get(&number).is_none_or(|(last, at)| {
                report.is_news_after(last) || now.saturating_sub(*at) > SIGN_OF_LIFE
            });
            if is_due && class::send(&server, &report)?.is_some() {
                sent.insert(number, (report, now));
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The URL of the HTTP API of the class that is served from this lab folder.
fn served(lab: &Path) -> Result<String> {
    let file = lab.join("class/served.json");
    let text = fs::read(&file).with_context(|| {
        format!(
            "no class is served from here ({} is missing): cargo xtask class serve --bind ADDRESS",
            file.display()
        )
    })?;
    let served: Value = serde_json::from_slice(&text)?;
    Ok(format!("http://127.0.0.1:{}", served["http_port"]))
}

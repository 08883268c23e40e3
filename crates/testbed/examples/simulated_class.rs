//! Fills the board of a class with simulated learners, until Ctrl-C; for trials of the board.
//!
//! `cargo run -p testbed --example simulated_class -- [LEARNERS] [LAB FOLDER or URL of the server's HTTP API]`, in the checkout that
//! serves the class.

use std::{collections::BTreeMap, env, fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use lab_client::{
    Endpoints,
    class::{self, Report, notices},
    temporal::Server,
    time,
};
use serde_json::Value;
use testbed::simulated_learner;

/// How often the learners are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A report without news is sent this often, as by a lab without a worker.
const SIGN_OF_LIFE: Duration = Duration::from_secs(50);
/// So long after it was acknowledged, a question is answered.
const ANSWERED_AFTER: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let learners: u64 =
        arguments.next().map_or(Ok(38), |number| number.parse()).context("a number of learners")?;
    let place = arguments.next().unwrap_or_else(|| ".lab".to_owned());
    let url = if place.starts_with("http") { place } else { served(Path::new(&place))? };
    let server = Server::new(&Endpoints::own(&url, "", ""));
    let begin = time::now();
    let mut class = Class { server, begin, sent: BTreeMap::new(), coming: BTreeMap::new() };
    println!("{learners} learners report to {url}; Ctrl-C ends them");
    loop {
        if let Err(error) = class.report(learners) {
            eprintln!("{error:#}; retrying");
        }
        thread::sleep(POLL_INTERVAL);
    }
}

struct Class {
    server: Server,
    begin: Duration,
    /// The last report of each learner, and when it was sent.
    sent: BTreeMap<u64, (Report, Duration)>,
    /// When each learner first saw that somebody is coming.
    coming: BTreeMap<u64, Duration>,
}

impl Class {
    /// Sends the reports that are due.
    fn report(&mut self, learners: u64) -> Result<()> {
        let now = time::now();
        let notices = notices::read(&self.server)?;
        for number in 0..learners {
            let elapsed = now.saturating_sub(self.begin).as_secs();
            let Some(mut report) = simulated_learner(number, self.begin, elapsed) else { continue };
            // A question whose answer has come is taken back.
            if report.help.as_ref().is_some_and(|help| notices.is_coming_to(&report.learner, help)) {
                let since = *self.coming.entry(number).or_insert(now);
                report.help = report.help.filter(|_| now.saturating_sub(since) < ANSWERED_AFTER);
            }
            let is_due = self.sent.get(&number).is_none_or(|(last, at)| {
                report.is_news_after(last) || (!report.stopped && now.saturating_sub(*at) > SIGN_OF_LIFE)
            });
            if is_due && class::send(&self.server, &report)?.is_some() {
                self.sent.insert(number, (report, now));
            }
        }
        Ok(())
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

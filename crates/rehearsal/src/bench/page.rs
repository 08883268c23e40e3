//! What the page costs, and how soon it shows a change.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use lab_client::{http::get_news, temporal::Server};

use super::{Bench, TIMEOUT, median, timed};
use supervisor::{
    ports,
    services::{self, ACCOUNT_API, TEMPORAL, TRANSFER_WEB},
};

/// So many pages are open when there are many.
const PAGES: usize = 50;
/// So many changes are waited for.
const CHANGES: usize = 20;
/// How long the CPU time is counted.
const COUNTED: Duration = Duration::from_secs(10);

/// Measures; `add` is told each figure.
pub(super) fn measure(
    bench: &Bench,
    server: &Server,
    add: &mut impl FnMut(&'static str, f64, &'static str, &'static str),
) -> Result<()> {
    let ports = bench.ports()?;
    let port = ports.get(ports::TRANSFER_WEB);
    let all = format!("{}/api/workflows?limit=2000", ports.url(ports::TRANSFER_WEB));
    let [web, temporal, _] = percent_of_a_core(bench);
    add("CPU of transfer-web, no page open", web, "%", "0");
    add("CPU of temporal, no page open", temporal, "%", "");
    add("GET /api/workflows, all histories to be read", timed(|| get_news(&all))?, "s", "");
    add("GET /api/workflows again", timed(|| get_news(&all))?, "s", "");

    let page = Page::open(port)?;
    page.wait_for("\"rows\"")?;
    let mut seen = Vec::new();
    for _ in 0..CHANGES {
        seen.push(timed(|| {
            let run = bench.begin(server)?;
            page.wait_for(&run.workflow_id)
        })?);
    }
    add("a transfer is started to its event on the page", median(&mut seen), "s", "under 1");
    let [web, temporal, bank] = percent_of_a_core(bench);
    add("CPU of transfer-web, 1 page open", web, "%", "");
    add("CPU of temporal, 1 page open", temporal, "%", "");
    add("CPU of account-api, 1 page open", bank, "%", "");

    let pages = (1..PAGES).map(|_| Page::open(port)).collect::<Result<Vec<Page>>>()?;
    pages.iter().try_for_each(|page| page.wait_for("\"rows\""))?;
    let [web, temporal, bank] = percent_of_a_core(bench);
    add("CPU of transfer-web, 50 pages open", web, "%", "a few");
    add("CPU of temporal, 50 pages open", temporal, "%", "as with 1");
    add("CPU of account-api, 50 pages open", bank, "%", "as with 1");
    add("memory of transfer-web", bench.memory(TRANSFER_WEB), "MB", "");
    Ok(())
}

/// What transfer-web, Temporal and the bank use while nothing happens.
fn percent_of_a_core(bench: &Bench) -> [f64; 3] {
    let before = bench.cpu();
    thread::sleep(COUNTED);
    let after = bench.cpu();
    let used = |name: &str| {
        let at = services::names().position(|service| service == name).unwrap_or_default();
        (after[at] - before[at]) / COUNTED.as_secs_f64() * 100.0
    };
    [TRANSFER_WEB, TEMPORAL, ACCOUNT_API].map(used)
}

/// An open page, as far as the service can tell.
struct Page {
    lines: Receiver<String>,
    stream: TcpStream,
}

impl Page {
    fn open(port: u16) -> Result<Page> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", port)).context("the page's service does not listen")?;
        write!(stream, "GET /api/events?limit=10 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
        let reader = BufReader::new(stream.try_clone()?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Page { lines, stream })
    }

    /// Waits for an event with these words.
    fn wait_for(&self, words: &str) -> Result<()> {
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) if line.contains(words) => return Ok(()),
                Ok(_) => {}
                Err(_) => bail!("no event with {words} came to the page"),
            }
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Its thread ends with it.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

//! The CPU cost of open pages: the same for one as for many, and none without a page.

use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use supervisor::{
    ports,
    services::{ACCOUNT_API, TEMPORAL, TRANSFER_WEB},
};

use super::measured_lab::MeasuredLab;

/// The larger number of open pages.
const MANY: usize = 50;
/// How long a new page gets to read its first events.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);
/// How long CPU time is measured.
const COUNTED: Duration = Duration::from_secs(10);

/// Measures while no transfer changes; calls `add` with each figure's name, percent of a core, and goal.
pub(super) fn measure(lab: &MeasuredLab, mut add: impl FnMut(String, f64, &'static str)) -> Result<()> {
    let port = lab.ports()?.get(ports::TRANSFER_WEB);
    let mut open = Vec::new();
    for (pages, goals) in [(0, ["0", "", ""]), (1, [""; 3]), (MANY, ["a few", "as with 1", "as with 1"])] {
        while open.len() < pages {
            open.push(Page::open(port)?);
        }
        thread::sleep(SETTLED_WITHIN);
        let names = [TRANSFER_WEB, TEMPORAL, ACCOUNT_API];
        let before = names.map(|name| lab.cpu(name));
        thread::sleep(COUNTED);
        for ((name, before), goal) in names.into_iter().zip(before).zip(goals) {
            let percent = (lab.cpu(name) - before) / COUNTED.as_secs_f64() * 100.0;
            add(format!("CPU of {name}, pages open: {pages}"), percent, goal);
        }
    }
    Ok(())
}

/// An open page, from the service's point of view.
struct Page(TcpStream);

impl Page {
    fn open(port: u16) -> Result<Page> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", port)).context("could not connect to the page's service")?;
        write!(stream, "GET /api/events?limit=10 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
        let mut events = stream.try_clone()?;
        // The service disconnects a page that does not read.
        thread::spawn(move || io::copy(&mut events, &mut io::sink()));
        Ok(Page(stream))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // This ends its thread.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

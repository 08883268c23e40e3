//! What it costs to look at the page: with one open as with many, and with none nothing.

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

/// So many pages are open when there are many.
const MANY: usize = 50;
/// How long a page that was opened has to read what there is.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);
/// How long the CPU time is counted.
const COUNTED: Duration = Duration::from_secs(10);

/// Measures while no transfer moves; `add` is called with each figure's name, percent of a core, and goal.
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

/// An open page, as far as the service can tell.
struct Page(TcpStream);

impl Page {
    fn open(port: u16) -> Result<Page> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", port)).context("the page's service does not listen")?;
        write!(stream, "GET /api/events?limit=10 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
        let mut events = stream.try_clone()?;
        // The service lets go of a page that does not read.
        thread::spawn(move || io::copy(&mut events, &mut io::sink()));
        Ok(Page(stream))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Its thread ends with it.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

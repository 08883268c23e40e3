//! A browser of the test's own, driven by Debian's chromedriver.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{is_without_browser, skip, webdriver::Client};

/// A browser is work for a core, so there are no more of them at a time.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// The window, in CSS pixels: what the page is designed to fit on one screen.
pub(crate) const WINDOW: (u32, u32) = (1280, 800);

/// What keeps a browser to itself and to this machine.
const FLAGS: [&str; 14] = [
    "--headless=new",
    // Its sandbox refuses to be root's, as a container's user often is.
    "--no-sandbox",
    "--disable-gpu",
    // A container's /dev/shm may be too small.
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    // The same letters everywhere, and no name but loopback's can be asked for.
    "--lang=en-US",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// A browser with one window. Dropped, it and its driver are gone, with all that they wrote.
pub(crate) struct Browser {
    /// What the window is told.
    pub(crate) client: Client,
    _driver: Driver,
    _permit: SemaphorePermit<'static>,
}

impl Browser {
    /// Opens one, or says why there is none.
    pub(crate) async fn open() -> Option<Browser> {
        if is_without_browser() {
            return None;
        }
        let permit = AT_ONCE.acquire().await.expect("it is never closed");
        let (Some(chromium), Some(chromedriver)) = (program("chromium"), program("chromedriver")) else {
            skip(
                "the page's tests need chromium and chromedriver, Debian's packages chromium and chromium-driver",
            );
            return None;
        };
        let mut driver = Driver::start(&chromedriver);
        let mut arguments: Vec<String> = FLAGS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", driver.folder.path().join("profile").display()));
        let wishes = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": 60_000 },
        });
        let (client, session) =
            Client::open(driver.port, wishes).await.expect("chromedriver opens a browser");
        driver.session = session;
        let browser = Browser { client, _driver: driver, _permit: permit };
        browser.look_like(WINDOW, 1.0).await;
        browser.forget_its_start().await;
        Some(browser)
    }

    /// A browser begins with a page of its own, whose requests are no page's of ours.
    async fn forget_its_start(&self) {
        self.client.goto("about:blank").await.expect("the empty page opens");
        self.log("browser").await;
        self.log("performance").await;
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self.client.devtools(command, parameters).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error:#}"))
    }

    /// What is new in the log of this kind since it was read last.
    pub(crate) async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.client.log(kind).await;
        entries.unwrap_or_else(|error| panic!("no log of the {kind}: {error:#}"))
    }

    /// A window of this many CSS pixels, each of which is so many of the screen's.
    pub(crate) async fn look_like(&self, (width, height): (u32, u32), zoom: f64) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": zoom, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// As on a machine whose user wants things dark, or light.
    pub(crate) async fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }
}

/// Where a program is on PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A chromedriver, in a process group of its own.
struct Driver {
    child: Child,
    port: u16,
    session: String,
    folder: TempDir,
}

impl Driver {
    fn start(program: &PathBuf) -> Driver {
        let folder =
            tempfile::Builder::new().prefix("buglab-browser-").tempdir().expect("a temporary folder");
        let mut child = Command::new(program)
            .arg("--port=0")
            // Its own files, and the browser's, go with the folder.
            .env("TMPDIR", folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver can be run");
        let output = child.stdout.take().expect("it is piped");
        let mut driver = Driver { child, port: 0, session: String::new(), folder };
        let mut lines = BufReader::new(output).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("ChromeDriver was started successfully on port ")?
                .trim_end_matches('.')
                .parse()
                .ok()
        });
        driver.port = port.expect("chromedriver says which port it took");
        // Whatever else it says must not fill the pipe.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        driver
    }

    /// Asks the browser to leave, as a user who closes it does, and waits until it has.
    fn close_browser(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (session, port) = (&self.session, self.port);
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        )?;
        // It answers when the browser has left, and may then keep the connection.
        stream.read(&mut [0; 64]).map(drop)
    }

    /// Sends the driver and its browser a signal; returns whether there is somebody to get it.
    fn signal_group(&self, signal: &str) -> bool {
        let group = format!("-{}", self.child.id());
        let sent = Command::new("kill").args(["-s", signal, "--", &group]).stderr(Stdio::null()).status();
        sent.is_ok_and(|status| status.success())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // In a test that panics as well, so nothing here may wait for another task, and nothing may fail.
        if !self.session.is_empty() {
            let _ = self.close_browser();
        }
        self.signal_group("KILL");
        let _ = self.child.wait();
        // A browser that did not leave by itself writes to its folder until its last process is gone.
        let begin = Instant::now();
        while self.signal_group("0") && begin.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

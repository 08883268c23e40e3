//! A browser for one test, driven by Debian's chromedriver.

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

/// The number of browsers at a time. Each keeps a core busy.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// The window in CSS pixels, which the page is designed to fit.
pub(crate) const WINDOW: (u32, u32) = (1280, 800);

/// Arguments that isolate the browser and keep it on this machine.
const FLAGS: [&str; 13] = [
    "--headless=new",
    // The sandbox does not run as root, which a container's user often is.
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
    // The same language everywhere.
    "--lang=en-US",
];

/// No host but loopback resolves.
const RESOLVES: &str = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";

/// A browser with one window. Dropping it ends it and its driver, and deletes their files.
pub(crate) struct Browser {
    /// The WebDriver client of the window.
    pub(crate) client: Client,
    _driver: Driver,
    _permit: SemaphorePermit<'static>,
}

impl Browser {
    /// Opens a browser, or prints why there is none.
    pub(crate) async fn open() -> Option<Browser> {
        Browser::open_with(&[format!("--host-resolver-rules={RESOLVES}")]).await
    }

    /// The same, for which `https://HOST` is the server on this port, whatever its certificate.
    pub(crate) async fn open_for(host: &str, port: u16) -> Option<Browser> {
        let resolves = format!("--host-resolver-rules=MAP {host}:443 127.0.0.1:{port}, {RESOLVES}");
        Browser::open_with(&[resolves, "--ignore-certificate-errors".to_owned()]).await
    }

    async fn open_with(flags: &[String]) -> Option<Browser> {
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
        arguments.extend_from_slice(flags);
        arguments.push(format!("--user-data-dir={}", driver.folder.path().join("profile").display()));
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": 60_000 },
        });
        let (client, session) =
            Client::open(driver.port, capabilities).await.expect("chromedriver opens a browser");
        driver.session = session;
        let browser = Browser { client, _driver: driver, _permit: permit };
        browser.look_like(WINDOW, 1.0).await;
        browser.forget_its_start().await;
        Some(browser)
    }

    /// Clears the log of the browser's start page.
    async fn forget_its_start(&self) {
        self.client.goto("about:blank").await.expect("the empty page opens");
        self.log("browser").await;
        self.log("performance").await;
    }

    /// Sends a command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self.client.devtools(command, parameters).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error:#}"))
    }

    /// The new entries of this log since the last read.
    pub(crate) async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.client.log(kind).await;
        entries.unwrap_or_else(|error| panic!("no log of the {kind}: {error:#}"))
    }

    /// Sets the window's size in CSS pixels, and the device pixels per CSS pixel.
    pub(crate) async fn look_like(&self, (width, height): (u32, u32), zoom: f64) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": zoom, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Emulates a user's preference for dark or light.
    pub(crate) async fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }
}

/// Finds a program on PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A chromedriver in its own process group.
struct Driver {
    child: Child,
    port: u16,
    session: String,
    folder: TempDir,
}

impl Driver {
    fn start(program: &PathBuf) -> Driver {
        loop {
            match Driver::try_start(program) {
                Ok(driver) => return driver,
                // It picks a free port for IPv6 and takes the same one for IPv4, which somebody may have.
                Err(said) if said.contains("port not available") => {}
                Err(said) => panic!("chromedriver did not start: {said}"),
            }
        }
    }

    /// Starts one; an error is what it printed instead of its port.
    fn try_start(program: &PathBuf) -> Result<Driver, String> {
        let folder =
            tempfile::Builder::new().prefix("buglab-browser-").tempdir().expect("a temporary folder");
        let mut child = Command::new(program)
            .arg("--port=0")
            // Its files and the browser's are deleted with the folder.
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
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let mut said = String::new();
        let port = lines.by_ref().find_map(|line| {
            said.push_str(&format!("{line}\n"));
            line.strip_prefix("ChromeDriver was started successfully on port ")?
                .trim_end_matches('.')
                .parse()
                .ok()
        });
        driver.port = port.ok_or(said)?;
        // Its further output must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        Ok(driver)
    }

    /// Closes the browser as a user would, and waits until it has exited.
    fn close_browser(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (session, port) = (&self.session, self.port);
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        )?;
        // It responds once the browser has exited, and may then keep the connection open.
        stream.read(&mut [0; 64]).map(drop)
    }

    /// Sends the process group a signal; returns whether a process was there to receive it.
    fn signal_group(&self, signal: &str) -> bool {
        let group = format!("-{}", self.child.id());
        let sent = Command::new("kill").args(["-s", signal, "--", &group]).stderr(Stdio::null()).status();
        sent.is_ok_and(|status| status.success())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Also runs during a panic, so nothing here may wait for another task or fail.
        if !self.session.is_empty() {
            let _ = self.close_browser();
        }
        self.signal_group("KILL");
        let _ = self.child.wait();
        // A browser that did not exit by itself writes to its folder until its last process is gone.
        let begin = Instant::now();
        while self.signal_group("0") && begin.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

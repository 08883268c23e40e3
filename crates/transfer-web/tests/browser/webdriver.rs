//! The part of WebDriver that the tests need, <https://www.w3.org/TR/webdriver2/>: JSON over HTTP, and two commands specific to
//! chromedriver.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// The protocol's key for a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The timeout of a command, longer than that of a script.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(90);

/// A client of a browser.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// The session's URL, without a trailing slash.
    session: String,
}

/// An element of the page.
pub(crate) struct Element {
    client: Client,
    id: String,
}

/// The keys other than letters.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Null,
    Backspace,
    Tab,
    Enter,
    Shift,
    Control,
    Escape,
    Space,
    Down,
    Left,
    Right,
}

impl From<Key> for char {
    fn from(key: Key) -> char {
        match key {
            // Releases held keys.
            Key::Null => '\u{e000}',
            Key::Backspace => '\u{e003}',
            Key::Tab => '\u{e004}',
            Key::Enter => '\u{e007}',
            Key::Shift => '\u{e008}',
            Key::Control => '\u{e009}',
            Key::Escape => '\u{e00c}',
            Key::Space => '\u{e00d}',
            Key::Down => '\u{e015}',
            Key::Left => '\u{e012}',
            Key::Right => '\u{e014}',
        }
    }
}

impl Client {
    /// Opens a browser with the driver on this port; returns it and the session's id.
    pub(crate) async fn open(port: u16, capabilities: Value) -> Result<(Client, String)> {
        let http = reqwest::Client::builder().no_proxy().timeout(COMMAND_TIMEOUT).build()?;
        let sessions = format!("http://127.0.0.1:{port}/session");
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let opened = value_of(http.post(&sessions).json(&body)).await?;
        let id = opened["sessionId"].as_str().context("a session has an id")?.to_owned();
        Ok((Client { http, session: format!("{sessions}/{id}") }, id))
    }

    async fn post(&self, command: &str, body: Value) -> Result<Value> {
        value_of(self.http.post(format!("{}/{command}", self.session)).json(&body)).await
    }

    async fn get(&self, question: &str) -> Result<Value> {
        value_of(self.http.get(format!("{}/{question}", self.session))).await
    }

    /// Opens an address, and waits until it is loaded.
    pub(crate) async fn goto(&self, url: &str) -> Result<()> {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    /// Runs the body of a function and returns its result.
    pub(crate) async fn execute(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Runs the body of a function and returns what it passes to its last argument, the callback.
    pub(crate) async fn execute_async(&self, script: &str) -> Result<Value> {
        self.post("execute/async", json!({ "script": script, "args": [] })).await
    }

    /// The first element that matches a CSS selector.
    pub(crate) async fn find(&self, selector: &str) -> Result<Element> {
        let found = self.post("element", json!({ "using": "css selector", "value": selector })).await?;
        let id = found[ELEMENT].as_str().context("an element has an id")?.to_owned();
        Ok(Element { client: self.clone(), id })
    }

    /// Presses keys in order, then releases them in reverse.
    pub(crate) async fn chord(&self, keys: &[char]) -> Result<()> {
        let down = keys.iter().map(|key| json!({ "type": "keyDown", "value": key }));
        let up = keys.iter().rev().map(|key| json!({ "type": "keyUp", "value": key }));
        let actions: Vec<_> = down.chain(up).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", json!({ "actions": [keyboard] })).await.map(drop)
    }

    /// A screenshot of the window, as PNG.
    pub(crate) async fn screenshot(&self) -> Result<Vec<u8>> {
        let picture = self.get("screenshot").await?;
        Ok(BASE64_STANDARD.decode(picture.as_str().context("a picture is sent as text")?)?)
    }

    /// Sends a command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// The new entries of this log since the last call.
    pub(crate) async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        match self.post("se/log", json!({ "type": kind })).await? {
            Value::Array(entries) => Ok(entries),
            other => bail!("a log is a list, not {other}"),
        }
    }
}

impl Element {
    /// Clicks on its middle.
    pub(crate) async fn click(&self) -> Result<()> {
        self.client.post(&format!("element/{}/click", self.id), json!({})).await.map(drop)
    }

    /// Types into it.
    pub(crate) async fn send_keys(&self, text: &str) -> Result<()> {
        self.client.post(&format!("element/{}/value", self.id), json!({ "text": text })).await.map(drop)
    }

    /// Double-clicks its middle.
    pub(crate) async fn double_click(&self) -> Result<()> {
        let over =
            json!({ "type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": { ELEMENT: self.id } });
        let down = json!({ "type": "pointerDown", "button": 0 });
        let up = json!({ "type": "pointerUp", "button": 0 });
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": [over, down, up, down, up] });
        self.client.post("actions", json!({ "actions": [mouse] })).await.map(drop)
    }
}

/// The value of a response, or the driver's error.
async fn value_of(command: reqwest::RequestBuilder) -> Result<Value> {
    let response = command.send().await.context("the driver does not answer")?;
    let succeeded = response.status().is_success();
    let mut answer: Value = response.json().await.context("the driver answers in JSON")?;
    let value = answer["value"].take();
    if succeeded {
        return Ok(value);
    }
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    bail!("{}: {}", text("error"), text("message"))
}

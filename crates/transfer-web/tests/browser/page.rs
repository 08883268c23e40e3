//! The page as a test reads and uses it.

use std::sync::Mutex;

use serde_json::Value;
use testbed::until;

use crate::{
    browser::Browser,
    quiet,
    webdriver::{Element, Key},
};

/// Helpers for every script: the first element, all elements, an element's text, and whether it is visible.
const SHORT: &str = "
    const $ = (what, within = document) => within.querySelector(what);
    const $$ = (what, within = document) => [...within.querySelectorAll(what)];
    const text = (what) => $(what)?.textContent ?? '';
    const shown = (what) => $(what)?.checkVisibility({ checkVisibilityCSS: true }) ?? false;
";

/// Finishes all animations.
pub(crate) const STILL: &str = "
    for (const one of document.getAnimations()) {
      if (one.effect.getComputedTiming().endTime === Infinity) one.cancel();
      else one.finish();
    }
";

/// The page, open in a browser.
pub(crate) struct Page {
    /// The browser.
    pub(crate) browser: Browser,
    url: String,
    /// Parts of the messages that the browser must log in this test.
    expected: Mutex<Vec<String>>,
}

impl Page {
    /// Opens the page at this address and waits until it shows the server's data.
    pub(crate) async fn open(browser: Browser, url: &str) -> Page {
        let page = Page::at(browser, url).await;
        page.see("the services", "return $('#services [data-service]')").await;
        page.see(
            "the guide and the transfers",
            "return $('.goal') && text('#empty-title') !== 'Waiting for the lab'",
        )
        .await;
        page
    }

    /// Opens any page at this address.
    pub(crate) async fn at(browser: Browser, url: &str) -> Page {
        let page = Page { browser, url: url.to_owned(), expected: Mutex::default() };
        page.browser.client.goto(url).await.expect("the page opens");
        page
    }

    /// Runs a script, which can use [`SHORT`], and returns its result.
    pub(crate) async fn js(&self, script: &str) -> Value {
        let answer = self.browser.client.execute(&format!("{SHORT}{script}")).await;
        answer.unwrap_or_else(|error| panic!("{error:#} in {script}"))
    }

    /// The same for a script that returns a number.
    pub(crate) async fn number(&self, script: &str) -> f64 {
        let answer = self.js(script).await;
        answer.as_f64().unwrap_or_else(|| panic!("{answer} is no number: {script}"))
    }

    /// The same for a script that returns a text.
    pub(crate) async fn string(&self, script: &str) -> String {
        let answer = self.js(script).await;
        answer.as_str().unwrap_or_else(|| panic!("{answer} is no text: {script}")).to_owned()
    }

    /// Waits until a script returns something truthy, and returns that.
    pub(crate) async fn see(&self, what: &str, script: &str) -> Value {
        let script = format!(
            "const found = (() => {{ {script} }})();
             return found ? [found instanceof Element ? true : found] : [null, document.body.innerText];"
        );
        until(what, || async {
            let mut answer = self.js(&script).await;
            let found = answer[0].take();
            if found.is_null() { Err(answer[1].as_str().unwrap_or_default().to_owned()) } else { Ok(found) }
        })
        .await
    }

    /// Waits until an element's text contains this part, and returns the whole text.
    pub(crate) async fn see_text(&self, selector: &str, part: &str) -> String {
        let (selector, part) = (Value::from(selector), Value::from(part));
        let script =
            format!("return text({selector}).includes({part}) && shown({selector}) && text({selector})");
        let found = self.see(&format!("{part} in {selector}"), &script).await;
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Collects what the page announces from now on: the next announcement may replace one before a test has read it.
    pub(crate) async fn listen(&self) {
        self.js(
            "window.said = [];
             new MutationObserver(() => window.said.push(text('#announcer'))).observe($('#announcer'), { childList: true })",
        )
        .await;
    }

    /// Whether the page has announced this since [`listen`](Page::listen).
    pub(crate) async fn has_heard(&self, part: &str) -> bool {
        self.js(&heard(part)).await == true
    }

    /// Waits until the page has announced this since [`listen`](Page::listen).
    pub(crate) async fn hear(&self, part: &str) {
        self.see(&format!("{part} to be announced"), &heard(part)).await;
    }

    /// Waits until an element is visible.
    pub(crate) async fn see_element(&self, selector: &str) {
        let script = format!("return shown({})", Value::from(selector));
        self.see(selector, &script).await;
    }

    /// A visible element.
    pub(crate) async fn element(&self, selector: &str) -> Element {
        self.see_element(selector).await;
        let found = self.browser.client.find(selector).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error:#}"))
    }

    /// Clicks the middle of an element, which nothing may cover; on a button, once it accepts clicks.
    pub(crate) async fn click(&self, selector: &str) {
        let is_free = format!("return shown('{selector}') && !$('{selector}').hasAttribute('aria-disabled')");
        let clicked = until(&format!("a click on {selector}"), || async {
            self.see(&format!("{selector} to take clicks"), &is_free).await;
            match self.element(selector).await.click().await {
                // A refresh has replaced the element since it was found.
                Err(error) if is_gone(&error) => Err(error),
                clicked => Ok(clicked),
            }
        })
        .await;
        clicked.unwrap_or_else(|error| panic!("{selector} cannot be clicked: {error:#}"));
    }

    /// Replaces a field's text by typing, as a user does: WebDriver's own way to clear a field fires fewer events.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let field = self.element(selector).await;
        let keys = format!(
            "{}a{}{}{text}",
            char::from(Key::Control),
            char::from(Key::Null),
            char::from(Key::Backspace)
        );
        field.send_keys(&keys).await.unwrap_or_else(|error| panic!("{selector}: {error:#}"));
    }

    /// Chooses an option by typing its name: WebDriver's click on an option fires fewer events than a user's.
    pub(crate) async fn choose(&self, selector: &str, name: &str) {
        let list = self.element(selector).await;
        list.send_keys(name).await.unwrap_or_else(|error| panic!("{selector}: {error:#}"));
        let chosen = format!("return $('{selector}').selectedOptions[0].label === '{name}'");
        self.see(&format!("{name} to be chosen in {selector}"), &chosen).await;
    }

    /// Starts a transfer with the form and the mouse, and returns its Workflow Id once it is listed.
    pub(crate) async fn start_transfer(&self, from: &str, to: &str, amount: &str) -> String {
        self.choose("#from", from).await;
        self.choose("#to", to).await;
        self.fill("#amount", amount).await;
        self.click("#submit").await;
        self.see_text("#form-message", "Started").await;
        let id = self.string("return text('#form-message code')").await;
        self.see_element(&transfer(&id)).await;
        id
    }

    /// Presses and releases keys; the earlier ones are held while the last is pressed.
    pub(crate) async fn press(&self, keys: &[Key]) {
        let keys: Vec<char> = keys.iter().map(|&key| char::from(key)).collect();
        self.strike(&keys).await;
    }

    /// Selects all text in the focused field.
    pub(crate) async fn select_all(&self) {
        self.strike(&[char::from(Key::Control), 'a']).await;
    }

    /// Types a text into the focused element.
    pub(crate) async fn type_text(&self, text: &str) {
        for letter in text.chars() {
            self.strike(&[letter]).await;
        }
    }

    async fn strike(&self, keys: &[char]) {
        self.browser.client.chord(keys).await.expect("keys can be pressed");
    }

    /// From now on the browser may, and must, log a message with this part.
    pub(crate) fn expects(&self, part: &str) {
        self.expected.lock().expect("nobody panics with it").push(part.to_owned());
    }

    /// The errors that the browser has logged since the last call.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        quiet::complaints(
            &self.url,
            &self.browser.log("browser").await,
            &self.browser.log("performance").await,
        )
    }

    /// Asserts that the browser logged no errors except the expected ones.
    pub(crate) async fn was_quiet(&self) {
        let complaints = self.complaints().await;
        let expected = self.expected.lock().expect("nobody panics with it").clone();
        let wrong: Vec<_> =
            complaints.iter().filter(|said| !expected.iter().any(|part| said.contains(part))).collect();
        assert!(wrong.is_empty(), "the browser complains: {wrong:#?}");
        let unsaid: Vec<_> =
            expected.iter().filter(|part| !complaints.iter().any(|said| said.contains(*part))).collect();
        assert!(unsaid.is_empty(), "expected log messages with {unsaid:?}, and found only {complaints:#?}");
    }
}

/// The script that returns whether one of the collected announcements contains this part.
fn heard(part: &str) -> String {
    format!("return window.said.some((said) => said.includes({}))", Value::from(part))
}

/// Whether this error of the driver says that the element is no longer on the page; it has two ways to say so.
fn is_gone(error: &anyhow::Error) -> bool {
    let said = error.to_string();
    ["stale element reference", "does not belong to the document"].iter().any(|part| said.contains(part))
}

/// The stage's number as the page shows it.
pub(crate) fn numbered(stage: &str) -> String {
    let at = lab::STAGES.iter().position(|row| row.name == stage).expect("a stage of the table");
    format!("Stage {}", at + 1)
}

/// The selector of a transfer.
pub(crate) fn transfer(workflow_id: &str) -> String {
    format!(".transfer[data-workflow-id=\"{workflow_id}\"]")
}

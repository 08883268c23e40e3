//! The browser's log: errors, warnings, violations of the Content Security Policy, and requests to other origins.

use serde_json::{Value, json};

use crate::visit;

/// The complaints in the logs of a browser that showed the page of this origin.
pub(crate) fn complaints(origin: &str, console: &[Value], network: &[Value]) -> Vec<String> {
    let loud = console.iter().filter(|entry| !matches!(entry["level"].as_str(), Some("INFO" | "DEBUG")));
    let loud = loud.map(|entry| entry["message"].as_str().unwrap_or("a message that is no text").to_owned());
    let requests = network.iter().filter_map(request);
    let foreign = requests.filter(|url| !is_of(origin, url)).map(|url| format!("a request to {url}"));
    loud.chain(foreign).collect()
}

/// The URL of the request in an entry of the performance log.
fn request(entry: &Value) -> Option<String> {
    let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
    let (method, parameters) = (&message["message"]["method"], &message["message"]["params"]);
    let url = match method.as_str()? {
        "Network.requestWillBeSent" => &parameters["request"]["url"],
        "Network.webSocketCreated" | "Network.webTransportCreated" => &parameters["url"],
        _ => return None,
    };
    Some(url.as_str()?.to_owned())
}

/// Whether a URL belongs to this origin.
fn is_of(origin: &str, url: &str) -> bool {
    url.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[tokio::test]
async fn every_kind_of_error_is_reported() {
    visit("jerry", async |_, page| {
        assert_eq!(page.complaints().await, [""; 0], "so far it is quiet");
        for (wrong, heard) in [
            ("console.error('an error of the page')", "an error of the page"),
            ("console.warn('a warning of the page')", "a warning of the page"),
            ("setTimeout(() => { throw new Error('thrown and not caught') })", "thrown and not caught"),
            ("Promise.reject(new Error('rejected and not handled'))", "rejected and not handled"),
            (
                "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.a = 1' }))",
                "Executing inline script violates the following Content Security Policy",
            ),
            ("document.body.setAttribute('style', 'color: red')", "Applying inline style violates"),
            ("fetch('/nowhere')", "/nowhere - Failed to load resource"),
            ("new Image().src = 'http://127.0.0.1:9/pixel.png'", "violates the following Content Security Policy"),
            ("location = 'http://127.0.0.1:9/elsewhere'", "a request to http://127.0.0.1:9/elsewhere"),
        ] {
            page.js(wrong).await;
            testbed::until(wrong, || async {
                let complaints = page.complaints().await;
                if complaints.iter().any(|said| said.contains(heard)) { Ok(()) } else { Err(complaints) }
            })
            .await;
        }
    })
    .await;
}

#[test]
fn another_port_or_name_is_another_origin() {
    let own = "http://127.0.0.1:5051";
    let request = |url: &str| {
        let message = json!({ "message": { "method": "Network.requestWillBeSent", "params": { "request": { "url": url } } } });
        json!({ "message": message.to_string() })
    };
    let of = |url: &str| complaints(own, &[], &[request(url)]);
    for url in ["http://127.0.0.1:5051", "http://127.0.0.1:5051/api/events?offset=0"] {
        assert_eq!(of(url), [""; 0], "{url}");
    }
    for url in [
        "http://127.0.0.1:50510/",
        "http://localhost:5051/",
        "https://127.0.0.1:5051/",
        "https://example.org/",
    ] {
        assert_eq!(of(url), [format!("a request to {url}")]);
    }
}

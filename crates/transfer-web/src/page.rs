//! The page's files, and the checks and headers of all routes.

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use contract::PublicHosts;
use loopback::Failure;

use crate::request::Name;

/// The page itself.
const INDEX: &str = include_str!("../page/index.html");

/// A file of the page, by its name in `/assets/`.
macro_rules! assets {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../page/", $name)))),*]
    };
}

/// The files of the page. A test compares this list with the folder.
const ASSETS: &[(&str, &str)] = assets! {
    "icon.svg"
    "base.css" "controls.css" "layout.css" "bank.css" "transfers.css" "guide.css" "welcome.css" "tasks.css"
    "dialogs.css" "reveal.css" "build.css" "events.css" "class.css" "versions.css" "drill.css" "small.css"
    "accounts.js" "announce.js" "attempts.js" "build.js" "class.js" "consent.js" "copy.js" "dialog.js" "diff.js"
    "dom.js" "drill.js" "editor.js" "entry.js" "events.js" "folds.js" "form.js" "goals.js" "guide.js" "hints.js" "history.js"
    "main.js" "money.js" "orders.js" "outside.js" "pill.js" "prose.js" "reveal.js" "row.js" "rules.js" "stages.js"
    "status.js" "steps.js" "store.js" "stream.js" "switches.js" "tabs.js" "tasks.js" "time.js" "transfers.js"
    "versions.js" "welcome.js" "without.js"
};

/// The page may connect to this service only.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    // Another version of the lab may use this address later.
    (header::CACHE_CONTROL, "no-store"),
];

/// The place in [`INDEX`] for the public URL of the Temporal UI.
const PUBLIC_UI: &str = "<meta name=\"temporal-ui\" content=\"\">";

/// The page, with the public URL of the Temporal UI if a proxy forwards it.
pub(crate) fn text(public_ui: Option<String>) -> Bytes {
    match public_ui {
        // A scheme and a host: nothing that HTML would need escaped.
        Some(url) => INDEX.replace(PUBLIC_UI, &PUBLIC_UI.replace("\"\">", &format!("\"{url}\">"))).into(),
        None => INDEX.into(),
    }
}

/// `GET /`, with this text.
pub(crate) fn index(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

/// A report, which has its style in itself.
pub(crate) fn report(html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ];
    (headers, html).into_response()
}

/// `GET /assets/{name}`.
pub(crate) async fn asset(Name(name): Name) -> Response {
    let Some((name, text)) = ASSETS.iter().find(|(known, _)| *known == name) else {
        return Failure::new(StatusCode::NOT_FOUND, "the page has no file of this name").into_response();
    };
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    ([(header::CONTENT_TYPE, kind)], *text).into_response()
}

/// The routes, with the checks of Origin and Host and the headers of every response. The page may be opened at these public hosts too.
pub(crate) fn guarded(routes: Router, is_loopback: bool, public: &PublicHosts) -> Router {
    let check_host = middleware::from_fn_with_state(public.clone(), loopback::known_host);
    let routes = routes.layer(middleware::from_fn_with_state(public.clone(), loopback::same_origin));
    let routes = if is_loopback { routes.layer(check_host) } else { routes };
    routes.layer(middleware::from_fn(with_headers))
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let own_policy = headers.remove(header::CONTENT_SECURITY_POLICY);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(policy) = own_policy {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .expect("the page has a folder")
            .map(|file| file.expect("it can be listed").file_name().to_string_lossy().into_owned())
            .collect();
        let mut served: BTreeSet<String> = ASSETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        served.insert("index.html".to_owned());
        assert_eq!(files, served);
    }

    #[test]
    fn the_page_works_below_any_path() {
        let texts = ASSETS.iter().chain([&("index.html", INDEX)]);
        for (name, text) in texts.filter(|(name, _)| !name.ends_with(".svg")) {
            for absolute in ["=\"/", "'/api", "`/api", "'/assets", "url(/"] {
                assert!(!text.contains(absolute), "{name} has {absolute}");
            }
        }
    }

    #[test]
    fn the_page_contains_nothing_that_its_content_security_policy_forbids() {
        for part in [" style=", "<style", " onclick=", "javascript:", "http://", "https://"] {
            assert!(!INDEX.contains(part), "index.html has {part}");
        }
        assert_eq!(INDEX.matches(PUBLIC_UI).count(), 1, "a place for the public URL of the Temporal UI");
        let scripts = INDEX.matches("<script").count();
        let files = INDEX.matches("<script type=\"module\" src=\"assets/").count();
        assert_eq!(scripts, files, "every script is a file");
    }
}

//! The page at a public host: https in the browser, nginx between, HTTP to the service.

use serde_json::json;
use webtest::{Certificates, Front, has};

use crate::{browser::Browser, lab::Lab, page::transfer, visit_at};

const HOST: &str = "lab.example.test";

/// A proxy that keeps the Host, one that does so below a path, and a tunnel that replaces it, and the Origin too.
const PROXIES: [(&str, &str); 3] = [
    ("", "proxy_set_header Host $http_host;"),
    (
        "/lab",
        "absolute_redirect off; if ($uri = /lab) { return 301 /lab/; } rewrite ^/lab/(.*)$ /$1 break; \
         proxy_set_header Host $http_host;",
    ),
    (
        "",
        "set $origin $http_origin; if ($origin = https://lab.example.test) { set $origin http://localhost:5051; } \
     proxy_set_header Origin $origin; proxy_set_header Host localhost:5051; \
     proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto https;",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_form_the_events_and_the_links_work_through_a_proxy() {
    if !has(&["nginx"]) {
        return;
    }
    let certificates = Certificates::make();
    for (path, proxy) in PROXIES {
        let mut lab = Lab::start_at("jerry", "lab.example.test, 8233=ui.example.test").await;
        lab.work("jerry").await;
        lab.say_field("checkout", json!({ "root": "/lab" }));
        let front = Front::of_web(Some(&certificates), proxy, lab.url.trim_start_matches("http://"));
        let Some(browser) = Browser::open_for(HOST, front.port).await else { return };
        visit_at(browser, lab, &format!("https://{HOST}{path}"), async |_, page| {
            let id = page.start_transfer("account_A", "account_B", "25.50").await;
            for link in ["#temporal-ui".to_owned(), "#form-message a".to_owned(), format!("{} .ui-link", transfer(&id))] {
                let found = format!("const link = $('{link}'); return link?.href.startsWith('https://ui.example.test/') && link.href");
                page.see(&format!("{link} to lead to the public Temporal UI"), &found).await;
            }
            // The files are on another machine than the editor.
            page.see_element(&format!("{} a.place-link", transfer(&id))).await;
            assert_eq!(page.js("return $$('a.place-link[href]').length").await, 0);
            page.click("#batch").await;
            page.see_text("#counts", "13 in progress").await;
        })
        .await;
    }
}

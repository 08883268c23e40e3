//! Checks that the routes in texts, workflows and scripts exist in the `openapi.json` of the bank or of the Money Transfer API.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use regex_lite::Regex;
use serde_json::Value;

use crate::complaint::Complaint;

/// The services, each with its default port and its host name in containers.
const SERVICES: [(&str, &str, &str); 2] = [
    ("crates/account-api/openapi.json", "5050", "account-api"),
    ("crates/transfer-web/openapi.json", "5051", "transfer-web"),
];
/// The prefixes of Temporal's HTTP API and of the gateway's.
const OTHERS: [&str; 3] = ["/api/v1/", "/link", "/board"];

/// A route of a service.
struct Route {
    /// The index in `SERVICES`.
    service: usize,
    method: String,
    segments: Vec<String>,
}

/// The routes of the services.
pub(super) struct Routes {
    routes: Vec<Route>,
    named: Regex,
    method_of_curl: Regex,
}

impl Routes {
    /// Reads the services' documents.
    pub(super) fn read(root: &Path) -> Result<Routes> {
        let mut documents = Vec::new();
        for (file, ..) in SERVICES {
            let text = fs::read(root.join(file)).with_context(|| format!("could not read {file}"))?;
            documents.push(serde_json::from_slice(&text).with_context(|| format!("{file} is not JSON"))?);
        }
        Routes::new(&documents)
    }

    fn new(documents: &[Value]) -> Result<Routes> {
        let mut routes = Vec::new();
        for (service, document) in documents.iter().enumerate() {
            let Some(paths) = document["paths"].as_object() else { bail!("a service has no paths") };
            for (path, methods) in paths {
                for method in methods.as_object().into_iter().flatten().map(|(method, _)| method) {
                    let segments = segments(path);
                    routes.push(Route { service, method: method.to_uppercase(), segments });
                }
            }
        }
        // The text before a path tells its service; after a letter, a dot or another path it is a file.
        let named = Regex::new(
            r"(?:^|[^\w/.:}*~-])(?:(GET|POST|PUT|PATCH|DELETE) )?(?:(?:http://)?([\w.$-]+):(\d+))?(/[a-z][\w/{}$.…-]*)",
        )?;
        let method_of_curl = Regex::new(r"(?:-X|--request)[ =]?([A-Z]+)")?;
        Ok(Routes { routes, named, method_of_curl })
    }

    /// The unknown routes in a file.
    pub(super) fn check(&self, file: &str, text: &str) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for (line, text) in lines(text) {
            // The failure of a buggy Activity, which called an unknown route.
            if text.contains(" answered ") {
                continue;
            }
            for found in self.named.captures_iter(&text) {
                let group = |at| found.get(at).map(|it| it.as_str());
                let path = group(4).unwrap_or_default().trim_end_matches(['.', '…', '/']);
                let service = match (group(2), group(3)) {
                    (Some(host), Some(port)) => {
                        let is_it = |it: &(_, &str, &str)| it.1 == port || it.2 == host;
                        match SERVICES.iter().position(is_it) {
                            Some(service) => Some(service),
                            None => continue,
                        }
                    }
                    _ => None,
                };
                let curls = || service.and_then(|_| self.curls(&text));
                let method = group(1).map(str::to_owned).or_else(curls);
                let segments = segments(path);
                let is_theirs = service.is_some()
                    || group(1).is_some()
                    || self.routes.iter().any(|route| route.segments.first() == segments.first());
                if !is_theirs || OTHERS.iter().any(|other| path.starts_with(other)) {
                    continue;
                }
                let is_it = |route: &Route| {
                    service.is_none_or(|service| service == route.service)
                        && method.as_ref().is_none_or(|method| *method == route.method)
                        && fits(&route.segments, &segments)
                };
                if !self.routes.iter().any(is_it) {
                    let method = method.map(|method| format!("{method} ")).unwrap_or_default();
                    let what = format!("no service has the route {method}{path}");
                    complaints.push(Complaint::at(
                        file,
                        line,
                        what,
                        "see the openapi.json of the two services",
                    ));
                }
            }
        }
        complaints
    }

    /// The method of a `curl` on this line.
    fn curls(&self, text: &str) -> Option<String> {
        let (_, arguments) = text.split_once("curl ")?;
        if let Some(named) = self.method_of_curl.captures(arguments) {
            return Some(named[1].to_owned());
        }
        let has = |flag: &str| arguments.split(' ').any(|word| word == flag);
        let has_body = ["--json", "--data", "-d"].into_iter().any(has);
        Some(if has_body { "POST" } else { "GET" }.to_owned())
    }
}

fn segments(path: &str) -> Vec<String> {
    path.trim_start_matches('/').split('/').map(str::to_owned).collect()
}

/// Whether a path matches a route, in which `{…}` matches anything.
fn fits(route: &[String], path: &[String]) -> bool {
    route.len() == path.len()
        && route.iter().zip(path).all(|(known, segment)| known.starts_with('{') || known == segment)
}

/// The lines with their numbers; a backslash continues a line on the next one.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (at, line) in text.lines().enumerate() {
        let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, begun)) => begun.push_str(part.trim_start()),
            None => lines.push((at + 1, part.to_owned())),
        }
        goes_on = more;
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reported(text: &str) -> Vec<String> {
        let bank = json!({ "paths": { "/accounts": { "get": {} }, "/accounts/{id}/deposit": { "post": {} },
            "/outage": { "get": {}, "put": {} } } });
        let page = json!({ "paths": { "/api/transfer": { "post": {} }, "/api/workflows": { "get": {} } } });
        let routes = Routes::new(&[bank, page]).expect("two documents");
        let complaints = routes.check("x", text).into_iter();
        complaints.map(|it| format!("{}: {}", it.line.unwrap_or_default(), it.what)).collect()
    }

    #[test]
    fn an_unknown_route_is_reported_with_its_line() {
        let text = "curl http://127.0.0.1:5051/api/transfer \\\n  --json '{}'\n\
                    until curl http://127.0.0.1:5051/api/transfers | grep x\n\
                    curl localhost:5050/api/workflows; see `GET /api/transfer` and /accounts/a/deposits.\n";
        let expected = [
            "3: no service has the route GET /api/transfers",
            "4: no service has the route GET /api/workflows",
            "4: no service has the route GET /api/transfer",
            "4: no service has the route /accounts/a/deposits",
        ];
        assert_eq!(reported(text), expected);
    }

    #[test]
    fn known_routes_and_other_text_are_accepted() {
        let text = "`GET /accounts`, `/accounts/{id}/deposit`, `/accounts/…/deposit`. curl -X PUT localhost:5050/outage -d '{}'\n\
                    http://127.0.0.1:8233/namespaces/x http://127.0.0.1:7243/api/v1/namespaces src/accounts/mod.rs /tmp/x\n\
                    http://account-api:5050/accounts/a/deposits answered 404, [a](../accounts) crates/api/x `GET /link`\n";
        assert_eq!(reported(text), Vec::<String>::new());
    }
}

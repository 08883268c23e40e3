//! The names at which a proxy forwards the lab's pages, such as those of a Codespace.

use std::env;

use contract::{PUBLIC_HOSTS_VARIABLE, PublicHosts, PublicHostsError};
use lab_client::state::{Ports, State, TEMPORAL_UI, TRANSFER_WEB};
use supervisor::ports;

use super::finding::{Finding, good, missing, note};

/// What starts the lab again with another list.
const START_AGAIN: &str = "cargo xtask lab stop; cargo xtask lab start --detach";

pub(super) fn check(state: Option<&State>) -> Vec<Finding> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let codespace = set("CODESPACE_NAME").map(|name| {
        let domain = set("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN");
        (name, domain.unwrap_or_else(|| "app.github.dev".to_owned()))
    });
    let running = state.map(|state| (&state.public_hosts, &state.ports));
    finding(PublicHosts::from_env(), codespace, running).into_iter().collect()
}

/// The finding for this list, in a Codespace of this name and domain, with a lab that runs with another list on these ports.
fn finding(
    listed: Result<PublicHosts, PublicHostsError>,
    codespace: Option<(String, String)>,
    running: Option<(&PublicHosts, &Ports)>,
) -> Option<Finding> {
    let name = "public hosts";
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let remedy =
                format!("correct it, or type: unset {PUBLIC_HOSTS_VARIABLE}; the lab does not start with it");
            return Some(missing(name, error.to_string(), &remedy));
        }
    };
    let default = |name: &str| ports::default_of(name).unwrap_or_default();
    let port = |name: &str| running.map_or_else(|| default(name), |(_, ports)| ports.get(name));
    let (page, ui) = (port(TRANSFER_WEB), port(TEMPORAL_UI));
    if let Some((codespace, domain)) = codespace
        && !listed.of_page(page).has_name(&format!("{codespace}-{page}.{domain}"))
    {
        let names = format!("{codespace}-{page}.{domain},{codespace}-{ui}.{domain}");
        return Some(note(
            name,
            format!(
                "{PUBLIC_HOSTS_VARIABLE} does not list this Codespace's page, so a browser gets an error 421 there"
            ),
            &format!("export {PUBLIC_HOSTS_VARIABLE}={names}; {START_AGAIN}"),
        ));
    }
    if let Some((used, _)) = running.filter(|(used, _)| **used != listed) {
        let all =
            |hosts: &PublicHosts| if hosts.url().is_none() { "none".to_owned() } else { hosts.to_string() };
        let says =
            format!("the lab runs with {}, and {PUBLIC_HOSTS_VARIABLE} has {} here", all(used), all(&listed));
        return Some(note(name, says, START_AGAIN));
    }
    if let Some(other) = listed.url().filter(|_| listed.of_page(page).url().is_none()) {
        return Some(note(
            name,
            format!("no name in {PUBLIC_HOSTS_VARIABLE} forwards the page's port, {page}"),
            &format!("put the port before the name of the page, such as: {page}={other}"),
        ));
    }
    let urls: Vec<&str> = listed.iter().map(|host| host.origin.as_str()).collect();
    (!urls.is_empty()).then(|| good(name, urls.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What is said, and to type.
    fn said(
        listed: &str,
        codespace: Option<&str>,
        running: Option<(&str, u16)>,
    ) -> Option<(&'static str, String)> {
        let running = running.map(|(used, page)| {
            let ports = BTreeMap::from([(TRANSFER_WEB.to_owned(), page), (TEMPORAL_UI.to_owned(), 8233)]);
            (used.parse().expect("names"), Ports(ports))
        });
        let codespace = codespace.map(|name| (name.to_owned(), "app.example".to_owned()));
        let running = running.as_ref().map(|(used, ports)| (used, ports));
        let finding = finding(listed.parse(), codespace, running)?;
        Some((finding.grade.name(), format!("{} -> {}", finding.says, finding.remedy.unwrap_or_default())))
    }

    #[test]
    fn a_list_is_needed_only_where_the_page_is_forwarded() {
        assert_eq!(said("", None, None), None);
        assert_eq!(said("", None, Some(("", 5051))), None);
        let right = "x-5051.app.example,x-8233.app.example";
        for (listed, running) in [("", None), ("other-5051.app.example", None), (right, Some((right, 5052)))]
        {
            let (grade, says) = said(listed, Some("x"), running).expect("something is wrong");
            let page = running.map_or(5051, |(_, page)| page);
            let export =
                format!("export BUGLAB_PUBLIC_HOSTS=x-{page}.app.example,x-8233.app.example; cargo xtask");
            assert!(
                grade == "note" && says.contains("error 421") && says.contains(&export),
                "{listed}: {says}"
            );
        }
        for running in [None, Some((right, 5051))] {
            let fine = ("ok", "https://x-5051.app.example, https://x-8233.app.example -> ".to_owned());
            assert_eq!(said(right, Some("x"), running), Some(fine));
        }
    }

    #[test]
    fn a_list_that_does_not_take_effect_is_named_with_what_to_type() {
        for (listed, running, grade, part) in [
            ("*.app.example", None, "missing", "no wildcards"),
            ("*.app.example", None, "missing", "unset BUGLAB_PUBLIC_HOSTS"),
            (
                "lab.example",
                Some(("", 5051)),
                "note",
                "the lab runs with none, and BUGLAB_PUBLIC_HOSTS has https://lab.example here",
            ),
            (
                "",
                Some(("lab.example", 5051)),
                "note",
                "the lab runs with https://lab.example, and BUGLAB_PUBLIC_HOSTS has none here",
            ),
            (
                "x-5052.app.example",
                None,
                "note",
                "the page's port, 5051 -> put the port before the name of the page",
            ),
            ("8233=ui.example", None, "note", "such as: 5051=https://ui.example"),
        ] {
            let (got, says) = said(listed, None, running).expect("something is wrong");
            assert!(got == grade && says.contains(part), "{listed}: {got} {says}");
        }
    }
}

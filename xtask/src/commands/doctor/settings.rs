//! The user's own settings of other tools: which ones the lab ignores, and which ones change what else is typed in this terminal.

use std::{env, fs, path::PathBuf};

use super::finding::{Finding, good, note};
use checkout::project::with_tilde;
use lab_client::state::State;
use supervisor::{pip, ports};

/// What makes plain `temporal` use the lab's server.
const LAB_ENV: &str = r#"for plain `temporal`, type: eval "$(cargo xtask lab env)""#;

/// The variables that name a proxy. Programs differ in which of them they read.
const PROXIES: &[&str] =
    &["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// The variables that make git use another repository than the one of the current folder.
const GIT: &[&str] = &["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"];

pub(super) fn check(state: Option<&State>) -> Vec<Finding> {
    let rows = [temporal(state), other_server(state), proxy(), python(), git()];
    rows.into_iter().flatten().collect()
}

/// Temporal's own settings. Their values may be secret.
fn temporal(state: Option<&State>) -> Option<Finding> {
    let name = "settings";
    let of_lab_env = is_set("TEMPORAL_ADDRESS")
        && env::var_os(dev_server::CONFIG_FILE.0).is_some_and(|file| file == dev_server::CONFIG_FILE.1);
    if of_lab_env {
        let address = env::var("TEMPORAL_ADDRESS").unwrap_or_default();
        let labs = state.map(|state| state.ports.address(ports::TEMPORAL));
        return Some(match labs {
            Some(labs) if labs != address => note(
                name,
                format!("plain `temporal` in this terminal uses {address}, and the lab is at {labs}"),
                r#"eval "$(cargo xtask lab env)""#,
            ),
            _ => good(name, format!("plain `temporal` in this terminal uses {address}, by `lab env`")),
        });
    }
    let mut found: Vec<String> = dev_server::forgotten_settings()
        .into_iter()
        .filter(|(name, value)| value.is_none() || is_set(name))
        .map(|(name, _)| name)
        .collect();
    found.extend(files_of_temporal().into_iter().filter(|file| file.is_file()).map(|file| with_tilde(&file)));
    let says = format!("{}: only plain `temporal` and `lab start --profile` use them", found.join(", "));
    (!found.is_empty()).then(|| note(name, says, LAB_ENV))
}

/// Where Temporal's tools look for settings.
fn files_of_temporal() -> Vec<PathBuf> {
    let Some(home) = env::var_os("HOME").map(PathBuf::from) else { return Vec::new() };
    let config = env::var_os("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    vec![
        // By `temporal env`, which goes by no other variable than HOME.
        home.join(".config/temporalio/temporal.yaml"),
        config.join("temporalio/temporal.toml"),
        home.join("Library/Application Support/temporalio/temporal.toml"),
    ]
}

/// A server other than the lab's, where plain `temporal` looks for one.
fn other_server(state: Option<&State>) -> Option<Finding> {
    let port = ports::default_of(ports::TEMPORAL)?;
    let is_other = state?.ports.get(ports::TEMPORAL) != port && !ports::is_free(port);
    is_other.then(|| {
        let holder = ports::holder_or_unknown(port);
        note(
            "other server",
            format!("plain `temporal` uses port {port}, where {holder} listens, and not the lab's server"),
            LAB_ENV,
        )
    })
}

/// A proxy for requests to this machine. The lab's own programs use none for those.
fn proxy() -> Option<Finding> {
    let exempt = ["NO_PROXY", "no_proxy"].iter().filter_map(|name| env::var(name).ok()).collect::<String>();
    if exempt.contains('*') || (exempt.contains("127.0.0.1") && exempt.contains("localhost")) {
        return None;
    }
    let mut found: Vec<String> = set_among(PROXIES);
    let curlrc = PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".curlrc");
    if fs::read_to_string(&curlrc).is_ok_and(|text| text.lines().any(names_proxy)) {
        found.push(with_tilde(&curlrc));
    }
    let says = format!(
        "{}: the lab's programs ignore it on this machine, but curl would ask the proxy for localhost",
        found.join(", ")
    );
    (!found.is_empty()).then(|| note("proxy", says, "export NO_PROXY=127.0.0.1,localhost"))
}

/// Whether a line of a configuration file of curl names a proxy.
fn names_proxy(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches('-');
    line.starts_with("proxy") || line.starts_with("x ")
}

/// Settings that do not count where the Temporal CLI is downloaded.
fn python() -> Option<Finding> {
    let mut found = set_among(&["PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP"]);
    found.extend(pip::ignored_variables());
    let says = format!("{}: not used to download the Temporal CLI", found.join(", "));
    (!found.is_empty()).then(|| note("pip", says, "nothing to do: of pip's settings, only the index counts"))
}

fn git() -> Option<Finding> {
    let found = set_among(GIT);
    let says =
        format!("{}: git in this terminal uses another repository than this checkout", found.join(", "));
    (!found.is_empty()).then(|| note("git", says, &format!("unset {}", found.join(" "))))
}

fn set_among(names: &[&str]) -> Vec<String> {
    names.iter().filter(|name| is_set(name)).map(|&name| name.to_owned()).collect()
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_found_in_a_file_of_curl() {
        for line in ["proxy = \"http://p:1\"", "  --proxy http://p:1", "-x http://p:1", "proxy:http://p"] {
            assert!(names_proxy(line), "{line}");
        }
        for line in ["# proxy", "silent", "user-agent = \"x\"", ""] {
            assert!(!names_proxy(line), "{line}");
        }
    }
}

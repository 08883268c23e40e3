//! The names at which a proxy forwards the lab's pages, such as those of a Codespace.

use std::{env, fmt, str::FromStr, sync::Arc};

/// The environment variable with the [`PublicHosts`] of a lab.
pub const PUBLIC_HOSTS_VARIABLE: &str = "BUGLAB_PUBLIC_HOSTS";

/// The lowest port that the end of a name can mean: `lab-2` is only a name.
const LOWEST_PORT: u16 = 1024;

/// Origins at which a proxy forwards ports of this machine, as a browser's address bar shows them.
///
/// As a text they are separated by commas: `name-5051.app.github.dev,name-8233.app.github.dev`. The port on this machine is the number
/// after the last dash of the first label. For another name, the port may precede it, as in `8233=ui.example.com`; without a port,
/// it is a name of the page. `https://` may be left out, `http://` not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicHosts(Arc<[PublicHost]>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost {
    /// The port on this machine that it forwards; `None` for the page's, whichever that is.
    pub port: Option<u16>,
    /// Its origin in lower case, such as `https://name-5051.app.github.dev`.
    pub origin: String,
}

/// A text that is no list of public hosts. The message says what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHostsError {
    entry: String,
    why: &'static str,
}

impl PublicHosts {
    /// Those in the environment variable; none without it.
    pub fn from_env() -> Result<PublicHosts, PublicHostsError> {
        env::var_os(PUBLIC_HOSTS_VARIABLE).unwrap_or_default().to_string_lossy().parse()
    }

    /// The names of the page, which listens on this port.
    pub fn of_page(&self, port: u16) -> PublicHosts {
        self.only(|host| host.port.is_none_or(|forwarded| forwarded == port))
    }

    /// The names of this port.
    pub fn of_port(&self, port: u16) -> PublicHosts {
        self.only(|host| host.port == Some(port))
    }

    fn only(&self, wanted: impl Fn(&PublicHost) -> bool) -> PublicHosts {
        PublicHosts(self.0.iter().filter(|host| wanted(host)).cloned().collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &PublicHost> {
        self.0.iter()
    }

    /// What to open in a browser: the first one's origin.
    pub fn url(&self) -> Option<String> {
        self.0.first().map(|host| host.origin.clone())
    }

    /// Whether it is the name of one, without a port.
    pub fn has_name(&self, name: &str) -> bool {
        self.0.iter().any(|host| host.name().eq_ignore_ascii_case(name))
    }

    /// The one with this origin, as a browser sends it.
    pub fn with_origin(&self, origin: &str) -> Option<&PublicHost> {
        self.0.iter().find(|host| host.origin.eq_ignore_ascii_case(origin))
    }
}

impl PublicHost {
    /// Its name, without scheme and port.
    pub fn name(&self) -> &str {
        let authority = self.origin.split_once("://").map_or(&*self.origin, |(_, authority)| authority);
        authority.split_once(':').map_or(authority, |(name, _)| name)
    }
}

impl FromStr for PublicHosts {
    type Err = PublicHostsError;

    fn from_str(text: &str) -> Result<PublicHosts, PublicHostsError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let host =
            |entry: &str| parse(entry).map_err(|why| PublicHostsError { entry: entry.to_owned(), why });
        entries.map(host).collect::<Result<_, _>>().map(PublicHosts)
    }
}

fn parse(entry: &str) -> Result<PublicHost, &'static str> {
    let (port, origin) = match entry.split_once('=') {
        Some((port, origin)) => {
            let port = port.trim().parse().ok().filter(|&port| port > 0);
            (Some(port.ok_or("before the = must be a port of this machine")?), origin.trim())
        }
        None => (None, entry),
    };
    let (scheme, authority) = origin.split_once("://").unwrap_or(("https", origin));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default_port = match &*scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Err("only https:// and http:// can be forwarded"),
    };
    let authority = authority.strip_suffix('/').unwrap_or(&authority);
    if authority.contains('/') {
        return Err("list the name alone, without a path");
    }
    if authority.contains('*') {
        return Err("each name must be listed; there are no wildcards");
    }
    // A browser leaves it out.
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    let (name, public_port) = match authority.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (authority, None),
    };
    if public_port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|number| port == number.to_string())) {
        return Err("after the name and a colon must be a port");
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("it is not the name of a host");
    }
    Ok(PublicHost { port: port.or_else(|| port_in(name)), origin: format!("{scheme}://{authority}") })
}

fn is_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len())
        && label.bytes().all(is_allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The port in a name such as `name-5051.app.github.dev`.
fn port_in(name: &str) -> Option<u16> {
    let (label, _) = name.split_once('.')?;
    let (_, port) = label.rsplit_once('-')?;
    port.parse().ok().filter(|&number: &u16| number >= LOWEST_PORT && port == number.to_string())
}

/// As a text that can be parsed again.
impl fmt::Display for PublicHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, PublicHost { port, origin }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let port = port.map_or_else(String::new, |port| format!("{port}="));
            write!(f, "{comma}{port}{origin}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PublicHostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PUBLIC_HOSTS_VARIABLE} has {:?}: {}; it lists names, separated by commas, such as \
             name-5051.app.github.dev,name-8233.app.github.dev",
            self.entry, self.why
        )
    }
}

impl std::error::Error for PublicHostsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PublicHosts {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_list_is_read_as_it_is_written() {
        for (text, port, origin, name) in [
            (
                "name-5051.app.github.dev",
                Some(5051),
                "https://name-5051.app.github.dev",
                "name-5051.app.github.dev",
            ),
            (
                "https://Name-5051.App.github.dev/",
                Some(5051),
                "https://name-5051.app.github.dev",
                "name-5051.app.github.dev",
            ),
            ("lab.example.com:443", None, "https://lab.example.com", "lab.example.com"),
            ("lab.example.com:8443", None, "https://lab.example.com:8443", "lab.example.com"),
            ("http://lab.example.com:80", None, "http://lab.example.com", "lab.example.com"),
            ("http://192.168.1.20:8080", None, "http://192.168.1.20:8080", "192.168.1.20"),
            (" 8233 = ui.example.com ", Some(8233), "https://ui.example.com", "ui.example.com"),
            ("5051=lab-2026.example.com", Some(5051), "https://lab-2026.example.com", "lab-2026.example.com"),
            ("lab-2.example.com", None, "https://lab-2.example.com", "lab-2.example.com"),
            ("lab-70000.example.com", None, "https://lab-70000.example.com", "lab-70000.example.com"),
            ("box", None, "https://box", "box"),
        ] {
            let hosts = parsed(text);
            let host = hosts.iter().next().expect("one");
            assert_eq!((host.port, &*host.origin, host.name()), (port, origin, name), "{text}");
            assert_eq!(parsed(&hosts.to_string()), hosts, "{text}");
        }
        assert_eq!(parsed(" , ,"), PublicHosts::default());
        assert_eq!(
            parsed("a.example, 8233=b.example").to_string(),
            "https://a.example,8233=https://b.example"
        );
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        for (text, why) in [
            ("*.app.github.dev", "no wildcards"),
            ("https://lab.example.com/lab/", "without a path"),
            ("ftp://lab.example.com", "only https:// and http://"),
            ("-5051.", "not the name of a host"),
            ("-5051.app.github.dev", "not the name of a host"),
            ("name-5051.app.github.dev name-8233.app.github.dev", "not the name of a host"),
            ("bücher.example", "not the name of a host"),
            ("https://", "not the name of a host"),
            ("user@lab.example.com", "not the name of a host"),
            ("[::1]", "must be a port"),
            ("lab.example.com:", "must be a port"),
            ("lab.example.com:+80", "must be a port"),
            ("lab.example.com:65536", "must be a port"),
            ("ui=lab.example.com", "must be a port of this machine"),
            ("0=lab.example.com", "must be a port of this machine"),
        ] {
            let error = text.parse::<PublicHosts>().expect_err(text).to_string();
            assert!(error.contains(why) && error.contains("BUGLAB_PUBLIC_HOSTS has "), "{text}: {error}");
            assert!(format!("ok.example,{text}").parse::<PublicHosts>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_service_has_its_own_names() {
        let hosts = parsed(
            "name-5051.app.github.dev,name-8233.app.github.dev,lab.example.com,7243=http://board.test",
        );
        let urls = |hosts: PublicHosts| hosts.iter().map(|host| host.origin.clone()).collect::<Vec<_>>();
        assert_eq!(
            urls(hosts.of_page(5051)),
            ["https://name-5051.app.github.dev", "https://lab.example.com"]
        );
        assert_eq!(urls(hosts.of_page(5052)), ["https://lab.example.com"]);
        assert_eq!(hosts.of_port(8233).url().as_deref(), Some("https://name-8233.app.github.dev"));
        assert_eq!(hosts.of_port(7243).url().as_deref(), Some("http://board.test"));
        assert_eq!(hosts.of_port(1).url(), None);
        assert!(hosts.has_name("LAB.example.com") && !hosts.has_name("example.com"));
        assert!(hosts.with_origin("https://lab.example.com").is_some());
        for other in
            ["http://lab.example.com", "https://lab.example.com:8443", "https://x.lab.example.com", "null"]
        {
            assert!(hosts.with_origin(other).is_none(), "{other}");
        }
    }
}

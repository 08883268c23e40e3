//! The names that a request was sent to: its Host, and those that a proxy says it forwards.

use axum::http::HeaderMap;
use axum::http::uri::Authority;

/// All of these names, without ports and in lower case; or the first part that is no name.
pub(crate) fn names(headers: &HeaderMap) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for (header, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match header.as_str() {
            "host" => found.push(value.trim().to_owned()),
            // Each proxy appends a name.
            "x-forwarded-host" => found.extend(value.split(',').map(|name| name.trim().to_owned())),
            "forwarded" => {
                let parameters = value.split([',', ';']).filter_map(|parameter| parameter.split_once('='));
                let hosts = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("host"));
                found.extend(hosts.map(|(_, host)| host.trim().trim_matches('"').to_owned()));
            }
            _ => {}
        }
    }
    found.into_iter().map(|host| name_of(&host).ok_or(host)).collect()
}

/// The name in `name:port`, in lower case.
fn name_of(host: &str) -> Option<String> {
    // An authority may also have a user, a Host may not.
    let host = host.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'))?;
    Some(host.host().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn names_of(headers: &[(&'static str, &'static str)]) -> Result<Vec<String>, String> {
        let header = |(name, value): (&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
        };
        names(&headers.iter().copied().map(header).collect())
    }

    #[test]
    fn every_proxy_on_the_way_is_named() {
        let host = ("host", "localhost:5051");
        assert_eq!(names_of(&[host]), Ok(vec!["localhost".to_owned()]));
        for (name, value) in [
            ("x-forwarded-host", "Lab.example.com:443, inner"),
            (
                "forwarded",
                "for=192.0.2.1;host=lab.example.com;proto=https, for=\"[2001:db8::1]:80\"; Host=\"inner:80\"",
            ),
        ] {
            let all = names_of(&[host, (name, value)]);
            assert_eq!(
                all,
                Ok(["localhost", "lab.example.com", "inner"].map(str::to_owned).into()),
                "{value}"
            );
        }
    }

    #[test]
    fn a_part_that_is_no_name_is_named_itself() {
        for value in ["", "a b", "user@localhost", "lab.example.com,,", "http://lab.example.com", "\u{e9}"] {
            assert!(names_of(&[("x-forwarded-host", value)]).is_err(), "{value}");
        }
        assert!(names_of(&[("forwarded", "for=x;host=\"a b\"")]).is_err());
        assert_eq!(names_of(&[("forwarded", "for=x;proto=https")]), Ok(Vec::new()));
    }
}

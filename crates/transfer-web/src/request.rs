//! Reads a request: the name in its path, and the numbers in its query.

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
};
use loopback::Failure;

/// The last segment of a path, such as a Workflow Id, which may be any text in UTF-8.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Name, Failure> {
        let name = Path::from_request_parts(parts, state).await;
        name.map(|Path(name)| Name(name))
            .map_err(|_| Failure::new(StatusCode::NOT_FOUND, "not found: the name is not valid UTF-8"))
    }
}

/// A number in the query. A larger one than `usize` counts as its maximum.
pub(crate) fn number(query: Option<&str>, name: &str, usual: usize) -> Result<usize, Failure> {
    match form_urlencoded::parse(query.unwrap_or_default().as_bytes()).find(|(known, _)| known == name) {
        None => Ok(usual),
        // Digits only: `parse` would accept `+5`, which means ` 5` in a query.
        Some((_, text)) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(text.parse().unwrap_or(usize::MAX))
        }
        Some(_) => Err(Failure::bad_request(format!("{name} must be a whole number of zero or more"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_the_query_may_be_of_any_size() {
        let limit = |query: &str| number(Some(query), "limit", 7).ok();
        assert_eq!(limit("offset=1"), Some(7));
        assert_eq!(limit("limit=003"), Some(3));
        assert_eq!(limit("limit=2955195128609275641856"), Some(usize::MAX));
        for query in ["limit=", "limit=-1", "limit=+5", "limit=%2B5", "limit=1.0", "limit=ten"] {
            assert_eq!(limit(query), None, "{query}");
        }
    }
}

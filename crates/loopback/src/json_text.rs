//! JSON bodies of requests.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::Failure;

/// The largest body.
const BODY_LIMIT: usize = 16 * 1024;

/// How much of a body beyond the limit is read and dropped: a client that is disconnected while sending may not see the response.
const DRAIN_LIMIT: usize = 1024 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of at most 16 KiB, of any content type: `curl -d` sends everything as a form.
///
/// As an extractor it fails with a 413 if the body is larger, a 408 if it takes longer than ten seconds, and a 400 if it is
/// incomplete.
#[derive(Debug)]
pub struct JsonText(Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let late = || {
            let error = format!("the body took longer than {} seconds", BODY_TIMEOUT.as_secs());
            Failure::new(StatusCode::REQUEST_TIMEOUT, error)
        };
        let text = tokio::time::timeout(BODY_TIMEOUT, read(request.into_body()));
        Ok(JsonText(text.await.map_err(|_| late())??))
    }
}

/// Reads a body up to the limit.
async fn read(mut body: Body) -> Result<Bytes, Failure> {
    let mut text = Vec::new();
    let mut length = 0;
    while length <= DRAIN_LIMIT
        && let Some(frame) = body.frame().await
    {
        let frame =
            frame.map_err(|error| Failure::bad_request(format!("the body is incomplete: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= BODY_LIMIT {
            text.extend_from_slice(&data);
        }
    }
    if length > BODY_LIMIT {
        let error = format!("the body is larger than {BODY_LIMIT} bytes");
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, error));
    }
    Ok(text.into())
}

impl JsonText {
    /// Parses the JSON object. Unknown fields are ignored.
    ///
    /// # Errors
    /// A 400: the body is not UTF-8 or not a JSON object, has a field twice, or does not have these fields.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        // Serde does not look for invalid UTF-8 in fields that it ignores.
        let text = str::from_utf8(&self.0).map_err(|error| {
            let at = error.valid_up_to();
            Failure::bad_request(format!("the body must be UTF-8, and is not from byte {at} on"))
        })?;
        // Some editors and shells begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Serde would accept an array with the fields in order.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Failure::bad_request("the body must be a JSON object"));
        }
        let invalid = |error| Failure::bad_request(format!("the body is invalid: {error}"));
        // A map would take the last of two fields with one name.
        serde_json::from_str::<DistinctFields>(text).map_err(invalid)?;
        serde_json::from_str(text).map_err(invalid)
    }
}

/// An object in which no field is repeated.
struct DistinctFields;

impl<'de> Deserialize<'de> for DistinctFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DistinctFields, D::Error> {
        deserializer.deserialize_map(DistinctFields)
    }
}

impl<'de> Visitor<'de> for DistinctFields {
    type Value = DistinctFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DistinctFields, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            names.insert(name);
        }
        Ok(self)
    }
}

//! Parses a request: its account, headers and body. Every invalid part gets an error.

use std::ops::RangeInclusive;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use contract::{Amount, RefusalKind, bank};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ledger::{Page, Provenance, Refused};
use crate::problem::Failure;

/// The longest key, in characters.
const KEY_LIMIT: usize = 255;

/// The longest transfer or run, in bytes: what Temporal allows a Workflow Id.
const TRANSFER_LIMIT: usize = 1000;

/// The most entries in one answer.
const PAGE_LIMIT: i64 = 1000;

/// The account in the path.
pub(crate) struct AccountNumber(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for AccountNumber {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        // Invalid UTF-8, so no account has this number.
        let Path(number) = path.map_err(|_| Refused::UnknownAccount)?;
        Ok(AccountNumber(number))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Provenance {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let key = only(&parts.headers, bank::IDEMPOTENCY_KEY)?;
        Ok(Provenance {
            idempotency_key: key.map(idempotency_key).transpose().map_err(Failure::bad_request)?,
            transfer: identifier(&parts.headers, bank::TRANSFER_ID)?,
            run: identifier(&parts.headers, bank::TRANSFER_RUN)?,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        page(parts.uri.query().unwrap_or_default()).map_err(Failure::bad_request)
    }
}

/// Which entries a query asks for. What it says besides is ignored, as in a body.
fn page(query: &str) -> Result<Page, String> {
    // The form's own decoder replaces invalid UTF-8.
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err("the query must be UTF-8".to_owned());
    }
    let value = |name: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(format!("{name} must not be repeated")),
            (value, None) => Ok(value.map(|(_, value)| value.into_owned())),
        }
    };
    // Digits only: `parse` would accept `+5`, which means ` 5` in a query.
    let number = |name: &str, range: RangeInclusive<i64>| match value(name)? {
        None => Ok(None),
        Some(text) => {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|number| digits && range.contains(number));
            let (least, most) = (range.start(), range.end());
            number.map(Some).ok_or_else(|| format!("{name} must be a whole number from {least} to {most}"))
        }
    };
    let transfer = value("transfer")?;
    if transfer.as_ref().is_some_and(|name| name.is_empty() || name.len() > TRANSFER_LIMIT) {
        return Err(format!("transfer must be 1 to {TRANSFER_LIMIT} bytes of UTF-8"));
    }
    Ok(Page {
        transfer,
        after: number("after", 0..=i64::MAX)?.unwrap_or(0),
        limit: number("limit", 1..=PAGE_LIMIT)?.unwrap_or(PAGE_LIMIT),
    })
}

/// The value of a header that may be there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Failure> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Failure::bad_request(format!("{name} must not be repeated"))),
        (value, None) => Ok(value.map(|value| value.as_bytes())),
    }
}

/// The name of a transfer or run, in a header that may be there once.
fn identifier(headers: &HeaderMap, name: &str) -> Result<Option<String>, Failure> {
    let Some(value) = only(headers, name)? else { return Ok(None) };
    match str::from_utf8(value) {
        Ok(text) if !text.is_empty() && text.len() <= TRANSFER_LIMIT => Ok(Some(text.to_owned())),
        _ => {
            let error = format!("{name} must be 1 to {TRANSFER_LIMIT} bytes of UTF-8");
            Err(Failure::bad_request(error))
        }
    }
}

/// The key itself: a Structured Header string, so in quotes and with backslashes before `"` and `\`.
/// Bare it is taken as well, since that is what most clients send.
fn idempotency_key(value: &[u8]) -> Result<String, String> {
    let form = || {
        format!(
            "Idempotency-Key must be 1 to {KEY_LIMIT} visible ASCII characters, such as abc; or a string of 1 to \
             {KEY_LIMIT} ASCII characters in double quotes, such as \"a b\", with a backslash before each \" and \\ in it"
        )
    };
    let mut key = String::new();
    match value.strip_prefix(b"\"") {
        Some(quoted) => {
            let inner = quoted.strip_suffix(b"\"").ok_or_else(form)?;
            let mut bytes = inner.iter().copied();
            while let Some(byte) = bytes.next() {
                let byte = match byte {
                    b'\\' => bytes.next().filter(|byte| matches!(byte, b'"' | b'\\')).ok_or_else(form)?,
                    b' ' | b'!' | b'#'..=b'~' => byte,
                    _ => return Err(form()),
                };
                key.push(char::from(byte));
            }
        }
        None if value.iter().all(u8::is_ascii_graphic) => {
            key.extend(value.iter().map(|&byte| char::from(byte)));
        }
        None => return Err(form()),
    }
    match key.len() {
        0 => Err(format!("Idempotency-Key is empty: leave it out, or set 1 to {KEY_LIMIT} characters")),
        1..=KEY_LIMIT => Ok(key),
        long => Err(format!("Idempotency-Key has {long} characters: 1 to {KEY_LIMIT} are accepted")),
    }
}

/// A body, as [`loopback::JsonText`] reads it.
pub(crate) struct JsonText(loopback::JsonText);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Ok(JsonText(loopback::JsonText::from_request(request, state).await?))
    }
}

impl JsonText {
    /// Parses the JSON object. Unknown fields are ignored.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        Ok(self.0.parse()?)
    }

    /// The amount of `{"amount": …}`, to the cent.
    pub(crate) fn amount(&self) -> Result<Amount, Failure> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            amount: Option<&'a RawValue>,
        }
        let bad = |error: String| Failure::refusal(StatusCode::BAD_REQUEST, RefusalKind::BadAmount, error);
        let fields: Fields<'_> = self.parse()?;
        let amount = fields
            .amount
            .ok_or_else(|| bad("amount is missing: send a body such as {\"amount\": 25.5}".into()))?;
        Amount::from_json(amount.get()).map_err(|error| bad(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_quotes_and_bare() {
        for value in ["abc", "\"abc\""] {
            assert_eq!(idempotency_key(value.as_bytes()), Ok("abc".to_owned()), "{value}");
        }
        assert_eq!(idempotency_key(br#""a\"b\\c d""#), Ok(r#"a"b\c d"#.to_owned()));
        assert_eq!(idempotency_key(&[b'k'; 255]), Ok("k".repeat(255)));
    }

    #[test]
    fn an_invalid_key_is_rejected_with_an_error() {
        for value in [
            "",
            "\"\"",
            "\"",
            "\"abc",
            "\"a\"b\"",
            "\"a\\",
            "\"a\\\"",
            "\"a\\b\"",
            "a b",
            "a\tb",
            "é",
            "\"é\"",
            "\"a\";b=1",
        ] {
            let error = idempotency_key(value.as_bytes()).expect_err(value);
            assert!(error.contains("Idempotency-Key") && error.contains("1 to 255"), "{value}: {error}");
        }
        let error = idempotency_key(&[b'k'; 256]).expect_err("one too many");
        assert!(error.contains("256 characters: 1 to 255 are accepted"), "{error}");
    }
}

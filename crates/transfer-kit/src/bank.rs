//! One call to the bank: where it goes, what it carries, and whether its failure is final.

use std::{env, panic::Location, time::Duration};

use contract::{
    Amount, BANK_URL_VARIABLE, DEFAULT_BANK_URL, Refusal, RefusalKind, bank,
    transient::{ANSWERED, TIMED_OUT, UNREACHABLE},
};
use reqwest::{Method, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    failure::{BankFailure, refusal_kind, refused},
    idempotency::{Origin, header_safe},
};

/// How long one call may take: less than an attempt's Start-To-Close Timeout, so that the attempt says
/// itself what it waited for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// The bank at an address.
#[derive(Clone, Debug)]
pub struct Bank {
    address: String,
    http: reqwest::Client,
}

impl Bank {
    /// The bank at this address, a URL without a path such as `http://127.0.0.1:5050`.
    pub fn at(address: impl Into<String>) -> Bank {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            // The bank is on this machine; a company's proxy would look for it on its own.
            .no_proxy()
            .build()
            .expect("a client without TLS needs nothing of the system");
        Bank { address: address.into(), http }
    }

    /// The bank at the address that `ACCOUNT_API_URL` names, else at its default address.
    pub fn from_env() -> Bank {
        Bank::at(env::var(BANK_URL_VARIABLE).unwrap_or_else(|_| DEFAULT_BANK_URL.to_owned()))
    }

    /// Reads an account: `GET /accounts/{account}`.
    ///
    /// # Errors
    /// A [`Refusal`] where the bank has no such account; else a failure that is tried again.
    // Not an `async fn`, so that a failure names the line of the caller.
    #[track_caller]
    pub fn read<'a, T: DeserializeOwned>(
        &'a self,
        account: &'a str,
    ) -> impl Future<Output = Result<T, ActivityError>> + Send + 'a {
        let called_at = Location::caller();
        async move {
            let call = Call { url: self.url(account, None)?, called_at };
            let request = self.http.request(Method::GET, call.url.clone());
            Ok(call.answer(request).await?)
        }
    }

    /// Moves money: `POST /accounts/{account}/{movement}`, once, however often it is tried.
    ///
    /// # Errors
    /// A [`Refusal`] where the bank says a final no; else a failure that is tried again.
    #[track_caller]
    pub fn post<'a, T: DeserializeOwned>(
        &'a self,
        ctx: &'a ActivityContext,
        account: &'a str,
        movement: &'a str,
        amount: Amount,
    ) -> impl Future<Output = Result<T, ActivityError>> + Send + 'a {
        self.post_with(None, ctx, account, movement, amount)
    }

    /// The same under this idempotency key: the bank moves the money once for each key.
    ///
    /// # Errors
    /// As [`post`](Bank::post).
    #[track_caller]
    pub fn post_with_key<'a, T: DeserializeOwned>(
        &'a self,
        key: &'a str,
        ctx: &'a ActivityContext,
        account: &'a str,
        movement: &'a str,
        amount: Amount,
    ) -> impl Future<Output = Result<T, ActivityError>> + Send + 'a {
        self.post_with(Some(key), ctx, account, movement, amount)
    }

    /// Without a key, under the Activity's own.
    #[track_caller]
    fn post_with<'a, T: DeserializeOwned>(
        &'a self,
        key: Option<&'a str>,
        ctx: &'a ActivityContext,
        account: &'a str,
        movement: &'a str,
        amount: Amount,
    ) -> impl Future<Output = Result<T, ActivityError>> + Send + 'a {
        #[derive(Serialize)]
        struct Body {
            amount: Amount,
        }
        let called_at = Location::caller();
        async move {
            let origin = Origin::of(ctx).await?;
            let key = key.map_or(origin.key, header_safe);
            let call = Call { url: self.url(account, Some(movement))?, called_at };
            let request = self
                .http
                .request(Method::POST, call.url.clone())
                .header(bank::IDEMPOTENCY_KEY, format!("\"{key}\""))
                .header(bank::TRANSFER_ID, origin.transfer)
                .header(bank::TRANSFER_RUN, origin.run)
                .json(&Body { amount });
            Ok(call.answer(request).await?)
        }
    }

    /// The account's URL. An id with other characters than an account's is refused here, so that it cannot
    /// become another path.
    #[expect(clippy::result_large_err, reason = "the SDK's own type, and made where a call fails")]
    fn url(&self, account: &str, movement: Option<&str>) -> Result<Url, ApplicationFailure> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if account.is_empty() || !account.bytes().all(plain) {
            let message = format!("Account not found: {account:?} is no account number");
            return Err(refused(Refusal::new(RefusalKind::UnknownAccount, message)));
        }
        let address = self.address.trim_end_matches('/');
        let tail = movement.map(|movement| format!("/{movement}")).unwrap_or_default();
        Url::parse(&format!("{address}/accounts/{account}{tail}")).map_err(|error| {
            ApplicationFailure::new(format!("the bank's address {address:?} is no URL: {error}"))
        })
    }
}

struct Call {
    url: Url,
    called_at: &'static Location<'static>,
}

impl Call {
    async fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ApplicationFailure> {
        let sent = async {
            let response = request.send().await?;
            let status = response.status();
            Ok((status, response.bytes().await?))
        };
        let (status, body) = sent.await.map_err(|error: reqwest::Error| {
            let what = match error.is_timeout() {
                true => format!("{TIMED_OUT} {} within {REQUEST_TIMEOUT:?}", self.url),
                false => format!("{UNREACHABLE} {}", self.url),
            };
            // Its message would name the URL once more.
            self.failed(what, Some(error.without_url())).retryable("BankUnreachable")
        })?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                let what =
                    format!("{} {ANSWERED} {status} with something else than asked for: {error}", self.url);
                self.failed(what, None).retryable("BankError")
            });
        }
        let problem = serde_json::from_slice::<bank::Problem>(&body).ok();
        Err(match problem.as_ref().and_then(|problem| final_refusal(status, problem)) {
            Some(refusal) => refused(refusal),
            None => {
                let said = problem.map(|problem| format!(": {}", problem.error)).unwrap_or_default();
                self.failed(format!("{} {ANSWERED} {status}{said}", self.url), None).retryable("BankError")
            }
        })
    }

    fn failed(&self, what: String, source: Option<reqwest::Error>) -> BankFailure {
        BankFailure { what, called_at: self.called_at, source }
    }
}

/// The refusal in an answer, if it is a final one. A bank that sends no `code` is judged by the contract's
/// statuses and sentences; whatever neither tells is tried again.
fn final_refusal(status: StatusCode, problem: &bank::Problem) -> Option<Refusal> {
    if !status.is_client_error() {
        return None;
    }
    let kind = match problem.code.as_deref() {
        Some(code) => refusal_kind(code)?,
        None => match (status, problem.error.as_str()) {
            (StatusCode::NOT_FOUND, "Account not found") => RefusalKind::UnknownAccount,
            (StatusCode::BAD_REQUEST, "Insufficient funds") => RefusalKind::InsufficientFunds,
            (StatusCode::BAD_REQUEST, _) => RefusalKind::BadAmount,
            (StatusCode::UNPROCESSABLE_ENTITY, _) => RefusalKind::KeyReused,
            _ => return None,
        },
    };
    let message = match (problem.current_balance, problem.requested_amount) {
        (Some(balance), Some(requested)) => {
            format!("{}: the account holds {balance}, less than {requested}", problem.error)
        }
        _ => problem.error.clone(),
    };
    Some(Refusal::new(kind, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> Option<RefusalKind> {
        let problem: bank::Problem = serde_json::from_str(body).expect("a problem");
        final_refusal(StatusCode::from_u16(status).expect("a status"), &problem).map(|refusal| refusal.kind)
    }

    #[test]
    fn business_errors_are_final_and_everything_else_is_tried_again() {
        use RefusalKind::*;
        assert_eq!(kind(404, r#"{"error": "Account not found"}"#), Some(UnknownAccount));
        assert_eq!(
            kind(400, r#"{"error": "Insufficient funds", "current_balance": 1, "requested_amount": 2}"#),
            Some(InsufficientFunds)
        );
        assert_eq!(kind(400, r#"{"error": "bad", "code": "BadAmount"}"#), Some(BadAmount));
        assert_eq!(kind(422, r#"{"error": "key"}"#), Some(KeyReused));
        assert_eq!(kind(409, r#"{"error": "given back", "code": "TransferClosed"}"#), Some(TransferClosed));

        assert_eq!(kind(404, r#"{"error": "no such route"}"#), None);
        assert_eq!(kind(409, r#"{"error": "a request with this key is under way"}"#), None);
        assert_eq!(kind(429, r#"{"error": "slow down"}"#), None);
        assert_eq!(kind(500, r#"{"error": "boom"}"#), None);
        assert_eq!(kind(503, r#"{"error": "down", "code": "Outage"}"#), None);
    }

    #[test]
    fn an_account_id_cannot_become_another_path() {
        let bank = Bank::at("http://127.0.0.1:5050/");
        let url = bank.url("account_A", Some("withdraw")).expect("a good id");
        assert_eq!(url.as_str(), "http://127.0.0.1:5050/accounts/account_A/withdraw");
        for id in ["", "..", "a/b", "a?b", "a#b", "%2e", "a b", "ä"] {
            let failure = bank.url(id, None).expect_err(id);
            assert!(failure.is_non_retryable(), "{id:?}");
            assert_eq!(failure.type_name(), Some("UnknownAccount"), "{id:?}");
        }
    }
}

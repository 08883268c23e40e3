//! How the bank's client words a transient failure. `check` knows such a failure by these words, since the code of a learner
//! may have kept nothing else of it.

/// Before the address that could not be reached.
pub const UNREACHABLE: &str = "no bank answers at";
/// Before the address that did not answer in time.
pub const TIMED_OUT: &str = "no answer from";
/// Between an address and the status that it answered.
pub const ANSWERED: &str = "answered";

/// Whether these are the words of a transient failure: the bank was not reached, or had a problem of its own.
pub fn is_transient(failure: &str) -> bool {
    failure.contains(UNREACHABLE) || failure.contains(TIMED_OUT) || is_bank_error(failure)
}

/// Whether these are the words of an answer by which the bank had a problem of its own.
pub fn is_bank_error(failure: &str) -> bool {
    failure.contains(&format!(" {ANSWERED} 5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_transient() {
        for (failure, expected) in [
            ("no bank answers at http://127.0.0.1:5005/accounts/account_A/withdraw", true),
            ("no answer from http://127.0.0.1:5050/accounts/account_A within 4s", true),
            (
                "http://127.0.0.1:5050/accounts/account_A/withdraw answered 503 Service Unavailable: down",
                true,
            ),
            ("Insufficient funds: the account holds 5.00, less than 5000.00", false),
            ("http://127.0.0.1:5050/accounts/account_A answered 404 Not Found", false),
        ] {
            assert_eq!(is_transient(failure), expected, "{failure}");
        }
    }
}

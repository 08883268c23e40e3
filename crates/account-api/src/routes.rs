//! The routes: from a request to a job for the ledger, and from its outcome to an answer.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router, extract::State, middleware};
use contract::PublicHosts;
use contract::bank::{Account, Accounts, Deposited, Entries, Refunded, Withdrawn};
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::ledger::{Direction, Moved, Movement, Page, Provenance, Refund};
use crate::outage::{self, Outage};
use crate::problem::Failure;
use crate::real_world_mode::{self, Fault, RealWorldMode};
use crate::request::{AccountNumber, JsonText};

/// The description of all routes.
const OPENAPI: &str = include_str!("../openapi.json");

/// What a route answers.
type Answer<T> = Result<Json<T>, Failure>;

/// All routes, by the paths that openapi.json has.
fn routes() -> [(&'static str, MethodRouter<Bank>); 11] {
    [
        ("/accounts", get(accounts)),
        ("/accounts/{account_number}", get(account)),
        ("/accounts/{account_number}/withdraw", post(withdraw)),
        ("/accounts/{account_number}/deposit", post(deposit)),
        ("/accounts/{account_number}/refund", post(refund)),
        ("/entries", get(entries)),
        ("/health", get(health)),
        ("/real-world-mode", get(real_world_mode).put(set_real_world_mode)),
        ("/outage", get(outage).put(set_outage)),
        ("/reset", post(reset)),
        ("/openapi.json", get(openapi)),
    ]
}

/// The bank as a web application, for whoever names the machine by whatever name.
pub(crate) fn open_to_all(bank: Bank) -> Router {
    loopback::router(routes()).layer(middleware::from_fn(loopback::local_origin)).with_state(bank)
}

/// The bank as a web application, for this machine: requests to any other host name are refused, so
/// that no web page of another machine can move money.
pub fn app(bank: Bank) -> Router {
    // A public host is a name of the page, never of the bank.
    let check_host = middleware::from_fn_with_state(PublicHosts::default(), loopback::known_host);
    open_to_all(bank).layer(check_host)
}

async fn accounts(State(bank): State<Bank>) -> Answer<Accounts> {
    let accounts = bank.ledger.ask(|ledger| ledger.accounts()).await?;
    Ok(Json(Accounts { accounts }))
}

async fn account(State(bank): State<Bank>, AccountNumber(number): AccountNumber) -> Answer<Account> {
    let question = number.clone();
    let balance = bank.ledger.ask(move |ledger| ledger.balance(&question)).await?;
    Ok(Json(Account { account_number: number, balance }))
}

async fn withdraw(
    State(bank): State<Bank>,
    AccountNumber(account_number): AccountNumber,
    provenance: Provenance,
    body: JsonText,
) -> Answer<Withdrawn> {
    let amount_withdrawn = body.amount()?;
    let movement = Movement {
        direction: Direction::Withdraw,
        account: account_number.clone(),
        amount: amount_withdrawn,
        provenance,
    };
    let Moved { previous_balance, new_balance } = moved(&bank, movement).await?;
    Ok(Json(Withdrawn { account_number, previous_balance, amount_withdrawn, new_balance }))
}

async fn deposit(
    State(bank): State<Bank>,
    AccountNumber(account_number): AccountNumber,
    provenance: Provenance,
    body: JsonText,
) -> Answer<Deposited> {
    let amount_deposited = body.amount()?;
    let movement = Movement {
        direction: Direction::Deposit,
        account: account_number.clone(),
        amount: amount_deposited,
        provenance,
    };
    let Moved { previous_balance, new_balance } = moved(&bank, movement).await?;
    Ok(Json(Deposited { account_number, previous_balance, amount_deposited, new_balance }))
}

/// Makes the movement, if neither an outage nor Real World Mode is in its way.
async fn moved(bank: &Bank, movement: Movement) -> Result<Moved, Failure> {
    if bank.outage.borrow().covers(movement.direction) {
        let what = match movement.direction {
            Direction::Withdraw => "withdrawals",
            Direction::Deposit => "deposits",
        };
        let error = format!("{what} are out of service: try again later");
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, error));
    }
    let Some(fault) = bank.real_world_mode.borrow().draw() else { return apply(bank, movement).await };
    strike(bank, fault, movement).await
}

async fn apply(bank: &Bank, movement: Movement) -> Result<Moved, Failure> {
    Ok(bank.ledger.ask(move |ledger| ledger.apply(&movement)).await?)
}

/// Makes the movement with this fault: its answer is late, or an error is answered in its place.
async fn strike(bank: &Bank, fault: Fault, movement: Movement) -> Result<Moved, Failure> {
    let wait = async {
        if !fault.wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(fault.wait) => {}
                () = bank.closing() => {}
            }
        }
    };
    match fault.error {
        Some((status, error)) => {
            if fault.after {
                // Whether it was made or refused, the client does not learn.
                let _ = apply(bank, movement).await;
            }
            wait.await;
            Err(Failure::new(status, error))
        }
        None => {
            // Before the wait, whatever `strikes` says: a client that does not wait so long must not undo it by hanging up.
            let moved = apply(bank, movement).await;
            wait.await;
            moved
        }
    }
}

async fn refund(
    State(bank): State<Bank>,
    AccountNumber(account_number): AccountNumber,
    provenance: Provenance,
    body: JsonText,
) -> Answer<Refunded> {
    let (Some(transfer), Some(run)) = (provenance.transfer, provenance.run) else {
        let error = "a refund needs the headers Transfer-Id and Transfer-Run";
        return Err(Failure::bad_request(error));
    };
    // The ledger knows what is in transit better than the caller does.
    body.amount()?;
    let refund = Refund { account: account_number.clone(), transfer, run };
    let given_back = bank.ledger.ask(move |ledger| ledger.refund(&refund)).await?;
    Ok(Json(Refunded {
        account_number,
        amount_refunded: given_back.amount,
        new_balance: given_back.new_balance,
        delivered: given_back.delivered,
    }))
}

async fn entries(State(bank): State<Bank>, page: Page) -> Answer<Entries> {
    Ok(Json(bank.ledger.ask(move |ledger| ledger.entries(&page)).await?))
}

async fn health(State(bank): State<Bank>) -> Answer<Value> {
    bank.ledger.ask(|_| Ok(())).await?;
    Ok(Json(json!({ "status": "healthy" })))
}

async fn real_world_mode(State(bank): State<Bank>) -> Json<RealWorldMode> {
    Json(*bank.real_world_mode.borrow())
}

async fn set_real_world_mode(State(bank): State<Bank>, body: JsonText) -> Answer<RealWorldMode> {
    let change: real_world_mode::Change = body.parse()?;
    let mut answer = Ok(RealWorldMode::default());
    bank.real_world_mode.send_modify(|mode| {
        answer = change.applied_to(*mode).inspect(|changed| *mode = *changed);
    });
    bank.note_faults();
    answer.map(Json).map_err(Failure::bad_request)
}

async fn outage(State(bank): State<Bank>) -> Json<Outage> {
    Json(*bank.outage.borrow())
}

async fn set_outage(State(bank): State<Bank>, body: JsonText) -> Answer<Outage> {
    let change: outage::Change = body.parse()?;
    let mut answer = Outage::default();
    bank.outage.send_modify(|outage| {
        *outage = change.applied_to(*outage);
        answer = *outage;
    });
    bank.note_faults();
    Ok(Json(answer))
}

async fn reset(State(bank): State<Bank>) -> Answer<Value> {
    bank.ledger.ask(|ledger| ledger.reset()).await?;
    bank.real_world_mode.send_replace(RealWorldMode::default());
    bank.outage.send_replace(Outage::default());
    bank.note_faults();
    let message = "all accounts hold what they held at the start, and all their history is gone";
    Ok(Json(json!({ "message": message })))
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described() {
        let openapi: Value = serde_json::from_str(OPENAPI).expect("openapi.json is JSON");
        let described = openapi["paths"].as_object().expect("paths").keys().map(String::as_str);
        let served = routes().map(|(path, _)| path);
        assert_eq!(described.collect::<BTreeSet<_>>(), BTreeSet::from(served));
    }
}

//! The transfer as a plain program: no Temporal, no idempotency key, no record of how far it got.
//!
//! It works as long as nothing fails. `cargo xtask without-temporal` kills it between the withdrawal and the deposit.

use std::{env, error::Error, thread, time::Duration};

use contract::{Amount, Money};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [bank, from, to, amount, pause] = &arguments[..] else {
        return Err("usage: plain-transfer BANK_URL FROM TO AMOUNT PAUSE_SECONDS".into());
    };
    let amount: Amount = amount.parse()?;
    let pause = Duration::from_secs(pause.parse()?);

    let from_balance = balance(bank, from)?;
    let to_balance = balance(bank, to)?;
    println!("{from} has {from_balance}, {to} has {to_balance}");
    if from_balance < amount.into() {
        return Err(format!("{from} has less than {amount}").into());
    }

    change(bank, from, "withdraw", amount)?;
    println!("withdrew {amount} from {from}");

    // The money is in no account now. Only this process knows that a deposit is due.
    thread::sleep(pause);

    change(bank, to, "deposit", amount)?;
    println!("deposited {amount} to {to}");
    Ok(())
}

fn balance(bank: &str, account: &str) -> Result<Money, Box<dyn Error>> {
    let mut answer = call(minreq::get(format!("{bank}/accounts/{account}")))?;
    Ok(serde_json::from_value(answer["balance"].take())?)
}

fn change(bank: &str, account: &str, what: &str, amount: Amount) -> Result<Value, Box<dyn Error>> {
    let body = json!({ "amount": amount }).to_string();
    call(minreq::post(format!("{bank}/accounts/{account}/{what}")).with_body(body))
}

fn call(request: minreq::Request) -> Result<Value, Box<dyn Error>> {
    let response = request.with_timeout(10).send()?;
    let answer: Value = serde_json::from_str(response.as_str()?)?;
    match response.status_code {
        200 => Ok(answer),
        status => Err(format!("the bank answered {status}: {}", answer["error"]).into()),
    }
}

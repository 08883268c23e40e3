//! Money from outside: a text or a JSON value is read exactly to the cent or refused, and what is written is read back.

#![no_main]

use contract::{Amount, AmountError, Money};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let number = serde_json::from_str::<serde_json::Number>(text).ok().and_then(|number| number.as_f64());
    match Amount::from_json(text) {
        Ok(amount) => {
            assert!((1..=Amount::MAX.cents()).contains(&amount.cents()), "{amount}");
            assert_eq!(text.parse(), Ok(amount));
            assert_eq!(amount.to_string().parse(), Ok(amount), "as it is printed");
            assert_eq!(Amount::from_cents(amount.cents()), Ok(amount));
            let json = serde_json::to_string(&amount).expect("an amount is always writable");
            assert_eq!(Amount::from_json(&json), Ok(amount), "as it is written: {json}");
            // Another reader of numbers comes to the same, as far as a float can tell.
            let float: f64 = text.trim().parse().expect("an amount is a number for Rust as well");
            assert!((float - amount.cents() as f64 / 100.0).abs() < 0.001, "{float} is not {amount}");
        }
        Err(AmountError::NotPositive) => {
            let float: f64 = text.trim().parse().expect("what is not positive is a number");
            assert!(float <= 0.0, "{float}");
        }
        Err(AmountError::TooLarge) => {
            let float: f64 = text.trim().parse().expect("what is too large is a number");
            assert!(float >= 1e9, "{float}");
        }
        Err(AmountError::TooPrecise) => {}
        Err(AmountError::NotANumber) => assert_eq!(number, None, "JSON has it as a number"),
    }
    assert_eq!(
        serde_json::from_str(text).ok().map(Amount::cents),
        number.and(Amount::from_json(text).ok()).map(Amount::cents)
    );

    if let Ok(money) = serde_json::from_str::<Money>(text) {
        let json = serde_json::to_string(&money).expect("money is always writable");
        assert_eq!(serde_json::from_str::<Money>(&json).ok(), Some(money), "as it is written: {json}");
        assert_eq!(serde_json::from_str::<Money>(&money.to_string()).ok(), Some(money), "as it is printed");
    }
});

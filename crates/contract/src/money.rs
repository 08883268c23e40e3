//! US dollars: exact integer cents in memory, a JSON number with at most two decimals on the wire.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// An amount of money in cents, such as a balance or a difference. May be zero or negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    /// The largest amount accepted from JSON, in cents: 2^46 dollars, up to which a JSON number can represent every cent.
    const LARGEST_READ: u64 = (1 << 46) * 100;

    /// Zero.
    pub const ZERO: Money = Money(0);

    /// An amount in cents.
    pub const fn from_cents(cents: i64) -> Money {
        Money(cents)
    }

    /// An amount in whole dollars; for constants, so it does not check for overflow.
    pub const fn from_dollars(dollars: i64) -> Money {
        Money(dollars * 100)
    }

    /// The amount in cents.
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// The sum, or `None` on overflow.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }

    /// The difference, or `None` on overflow.
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.0.checked_sub(other.0).map(Money)
    }
}

/// The amount of a transfer, a withdrawal or a deposit: more than zero, at most [`Amount::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// The largest amount of one request: one billion dollars.
    pub const MAX: Amount = Amount(100_000_000_000);

    /// An amount in cents, if it is valid.
    pub fn from_cents(cents: i64) -> Result<Amount, AmountError> {
        match cents {
            ..=0 => Err(AmountError::NotPositive),
            _ if cents > Self::MAX.0 => Err(AmountError::TooLarge),
            _ => Ok(Amount(cents)),
        }
    }

    /// The amount in cents.
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// Parses the text of a JSON value exactly, without a float.
    pub fn from_json(text: &str) -> Result<Amount, AmountError> {
        match cents_of(text.trim())? {
            cents if cents <= 0 => Err(AmountError::NotPositive),
            cents => i64::try_from(cents).map_err(|_| AmountError::TooLarge).and_then(Amount::from_cents),
        }
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Money {
        Money(amount.0)
    }
}

/// Why a text is not a valid amount. The message is for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not a decimal number.
    NotANumber,
    /// A fraction of a cent.
    TooPrecise,
    /// Zero or less.
    NotPositive,
    /// More than [`Amount::MAX`].
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AmountError::NotANumber => "amount must be a number of dollars, such as 25.5",
            AmountError::TooPrecise => "amount must have at most two decimals",
            AmountError::NotPositive => "amount must be greater than zero",
            AmountError::TooLarge => "amount must be at most 1000000000.00",
        })
    }
}

impl std::error::Error for AmountError {}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Amount, AmountError> {
        Amount::from_json(text)
    }
}

/// Parses a JSON number's text to cents, exactly: `1e2` is 10000, and `0.001` is an error.
fn cents_of(text: &str) -> Result<i128, AmountError> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return Err(AmountError::NotANumber),
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(AmountError::NotANumber);
    }

    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    // The decimal place of the last significant digit: 0 is dollars, -2 is cents.
    let trailing_zeros = digits.len() - digits.trim_end_matches('0').len();
    let place = exponent - fraction.len() as i64 + trailing_zeros as i64;
    if place < -2 {
        return Err(AmountError::TooPrecise);
    }
    let zeros = place + 2;
    if significant.len() as i64 + zeros > 30 {
        return Err(if negative { AmountError::NotPositive } else { AmountError::TooLarge });
    }
    let cents = significant.parse::<i128>().map_err(|_| AmountError::NotANumber)? * 10i128.pow(zeros as u32);
    Ok(if negative { -cents } else { cents })
}

fn exponent_of(text: &str) -> Result<i64, AmountError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::NotANumber);
    }
    // Far outside any amount, so larger exponents make no difference.
    let size = digits.parse::<i64>().unwrap_or(i64::MAX).min(1_000_000);
    Ok(if text.starts_with('-') { -size } else { size })
}

fn write_cents(f: &mut fmt::Formatter<'_>, cents: i64) -> fmt::Result {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
}

/// Dollars and cents, such as `25.50`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_cents(f, self.0)
    }
}

/// Dollars and cents, such as `25.50`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_cents(f, self.0)
    }
}

/// A JSON number without trailing zeros: `100`, `25.5`, `0.01`.
fn serialize_cents<S: Serializer>(cents: i64, serializer: S) -> Result<S::Ok, S::Error> {
    if cents % 100 == 0 {
        serializer.serialize_i64(cents / 100)
    } else {
        // Below 2^46 dollars no two amounts share their nearest float, so it prints with the same decimals.
        serializer.serialize_f64(cents as f64 / 100.0)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_cents(self.0, serializer)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_cents(self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let cents = match cents_of(text.get()) {
            // Too many digits, in either direction.
            Err(AmountError::TooLarge | AmountError::NotPositive) => None,
            cents => i64::try_from(cents.map_err(de::Error::custom)?).ok(),
        };
        match cents {
            Some(cents) if cents.unsigned_abs() <= Money::LARGEST_READ => Ok(Money(cents)),
            _ => Err(de::Error::custom("an amount of money must be at most 70368744177664.00")),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Amount::from_json(text.get()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(text: &str) -> Result<i64, AmountError> {
        Amount::from_json(text).map(Amount::cents)
    }

    #[test]
    fn an_amount_is_read_to_the_cent() {
        for (text, expected) in [
            ("25.5", 2550),
            ("25.50", 2550),
            ("25.500", 2550),
            ("100", 10_000),
            ("0.01", 1),
            ("1e2", 10_000),
            ("1.5E1", 1500),
            ("12300e-2", 12_300),
            ("0.29", 29),
            ("1.005e1", 1005),
            ("1000000000", 100_000_000_000),
            ("1000000000.00", 100_000_000_000),
            ("999999999.99", 99_999_999_999),
        ] {
            assert_eq!(cents(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_amount_is_rejected_with_a_reason() {
        use AmountError::*;
        for (text, expected) in [
            ("0", NotPositive),
            ("0.00", NotPositive),
            ("-0", NotPositive),
            ("-5", NotPositive),
            ("-1e400", NotPositive),
            ("0.001", TooPrecise),
            ("0.010000000000000000001", TooPrecise),
            ("25.500000000000000000001", TooPrecise),
            ("1e-3", TooPrecise),
            ("1e-99999999999999999999", TooPrecise),
            ("1000000000.01", TooLarge),
            ("1e99999999999999999999", TooLarge),
            ("", NotANumber),
            ("-", NotANumber),
            (".5", NotANumber),
            ("5.", NotANumber),
            ("1e", NotANumber),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("\"25.5\"", NotANumber),
            ("null", NotANumber),
            ("true", NotANumber),
            ("[1]", NotANumber),
            ("1,000", NotANumber),
            ("٣", NotANumber),
            ("0x10", NotANumber),
            ("+5", NotANumber),
        ] {
            assert_eq!(cents(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn money_is_written_as_a_json_number_and_read_back() {
        for (cents, text) in [(2550, "25.5"), (10_000, "100"), (1, "0.01"), (0, "0"), (-199, "-1.99")] {
            let money = Money::from_cents(cents);
            let written = serde_json::to_string(&money).expect("money is always writable");
            assert_eq!(written.trim_end_matches(".0"), text);
            assert_eq!(serde_json::from_str::<Money>(&written).expect("own output"), money);
        }
    }

    #[test]
    fn an_amount_that_would_not_survive_a_round_trip_is_rejected() {
        for text in ["-1555555555555555.99", "70368744177664.01", "-92233720368547758.08", "1e28"] {
            let error = serde_json::from_str::<Money>(text).expect_err(text).to_string();
            assert!(error.contains("at most 70368744177664.00"), "{text}: {error}");
        }
        for text in ["70368744177664", "70368744177663.99", "-70368744177663.99"] {
            let money: Money = serde_json::from_str(text).expect(text);
            let written = serde_json::to_string(&money).expect("money is always writable");
            assert_eq!(serde_json::from_str::<Money>(&written).expect(text), money);
        }
    }

    #[test]
    fn every_amount_up_to_the_limit_survives_the_wire() {
        for cents in (1..=100_000_000_000i64).step_by(999_999_937) {
            let amount = Amount::from_cents(cents).expect("within the limit");
            let written = serde_json::to_string(&amount).expect("an amount is always writable");
            assert_eq!(serde_json::from_str::<Amount>(&written).expect("own output"), amount);
        }
    }

    #[test]
    fn money_prints_dollars_and_cents() {
        assert_eq!(Money::from_cents(-5).to_string(), "-0.05");
        assert_eq!(Money::from_dollars(1200).to_string(), "1200.00");
    }
}

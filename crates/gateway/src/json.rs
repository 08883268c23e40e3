//! Messages of Temporal's API as JSON, in the form of the server's own HTTP API: payloads with JSON appear as JSON values instead
//! of bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};
use serde_json::{Map, Value, json};

const PAYLOAD: &str = "temporal.api.common.v1.Payload";
const PAYLOADS: &str = "temporal.api.common.v1.Payloads";

/// A message as JSON.
pub(crate) fn to_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new();
    let value = message.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default();
    shorten(value)
}

/// A message from JSON.
///
/// # Errors
/// It does not match the descriptor.
pub(crate) fn from_json(form: MessageDescriptor, value: Value) -> Result<DynamicMessage, String> {
    let value = lengthen(value, &form);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    DynamicMessage::deserialize_with_options(form, value, &options).map_err(|error| error.to_string())
}

/// Replaces each JSON payload with its value, and each list of payloads with a list.
fn shorten(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(shorten).collect(),
        Value::Object(fields) => {
            if let Some(held) = held(&fields) {
                return held;
            }
            let is_list = fields.len() == 1 && fields.get("payloads").is_some_and(Value::is_array);
            let mut short: Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name, shorten(value))).collect();
            match short.remove("payloads") {
                Some(items) if is_list => items,
                Some(items) => {
                    short.insert("payloads".to_owned(), items);
                    Value::Object(short)
                }
                None => Value::Object(short),
            }
        }
        // A whole number is written without a fraction, as Go does.
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < 1e15 => {
                json!(value as i64)
            }
            _ => Value::Number(number),
        },
        other => other,
    }
}

/// The value of a payload, if these are the fields of a payload with JSON or null.
fn held(fields: &Map<String, Value>) -> Option<Value> {
    let metadata = fields.get("metadata")?.as_object()?;
    let is_payload =
        fields.keys().all(|name| name == "metadata" || name == "data" || name == "externalPayloads");
    let encoding = STANDARD.decode(metadata.get("encoding")?.as_str()?).ok()?;
    match (is_payload, &encoding[..]) {
        // With further metadata, such as a Search Attribute's type, it remains a payload.
        (true, b"json/plain") if metadata.len() == 1 => {
            serde_json::from_slice(&STANDARD.decode(fields.get("data")?.as_str()?).ok()?).ok()
        }
        (true, b"binary/null") => Some(Value::Null),
        _ => None,
    }
}

/// Converts values to payloads where the message type has payloads.
fn lengthen(value: Value, form: &MessageDescriptor) -> Value {
    match (form.full_name(), value) {
        (PAYLOADS, Value::Array(items)) => {
            json!({ "payloads": items.into_iter().map(payload).collect::<Vec<_>>() })
        }
        (PAYLOAD, value) => payload(value),
        (_, Value::Object(fields)) => {
            let longer = |(name, value): (String, Value)| {
                let field = form.get_field_by_json_name(&name).or_else(|| form.get_field_by_name(&name));
                let value = match field {
                    Some(field) => lengthen_field(value, &field),
                    None => value,
                };
                (name, value)
            };
            Value::Object(fields.into_iter().map(longer).collect())
        }
        (_, value) => value,
    }
}

fn lengthen_field(value: Value, field: &FieldDescriptor) -> Value {
    let Kind::Message(form) = field.kind() else { return value };
    if field.is_map() {
        let entry = form.map_entry_value_field();
        return match value {
            Value::Object(entries) => Value::Object(
                entries.into_iter().map(|(key, value)| (key, lengthen_field(value, &entry))).collect(),
            ),
            other => other,
        };
    }
    match value {
        Value::Array(items) if field.is_list() => {
            items.into_iter().map(|item| lengthen(item, &form)).collect()
        }
        value => lengthen(value, &form),
    }
}

/// The payload of a JSON value; an existing payload is kept.
fn payload(value: Value) -> Value {
    let is_one = value["metadata"].as_object().is_some_and(|metadata| metadata.contains_key("encoding"));
    if is_one {
        return value;
    }
    json!({
        "metadata": { "encoding": STANDARD.encode("json/plain") },
        "data": STANDARD.encode(value.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;

    #[test]
    fn json_payloads_appear_as_values() {
        let form = api::method("StartWorkflowExecution").expect("there is such a method").input();
        let order = json!({
            "workflowType": { "name": "MoneyTransferWorkflow" },
            "input": [{ "from_account": "account_A" }, null, 7],
            "memo": { "fields": { "learner": "ada" } },
            "workflowTaskTimeout": "2s",
            "workflowIdReusePolicy": "WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE",
            "nobodyKnows": 1,
        });
        let message = from_json(form, order.clone()).expect("it is one");
        let mut again = to_json(&message);
        again["nobodyKnows"] = json!(1);
        assert_eq!(again, order);
    }

    #[test]
    fn an_invalid_message_is_an_error() {
        let form = api::method("StartWorkflowExecution").expect("there is such a method").input();
        for wrong in
            [json!({ "workflowTaskTimeout": 7 }), json!({ "attempt": "x", "cronSchedule": 7 }), json!([])]
        {
            assert!(from_json(form.clone(), wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_stay_bytes() {
        let bytes = json!({ "metadata": { "encoding": STANDARD.encode("binary/plain") }, "data": "AAE=" });
        assert_eq!(shorten(json!({ "payloads": [bytes] })), json!([bytes]));
    }
}

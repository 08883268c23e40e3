//! The input of a transfer as Temporal hands it over: whatever a client sent.

use contract::TransferRequest;
use temporalio_common::data_converters::{PayloadConverter, RawValue};

/// The request in a Workflow's input: its first argument. Without one, or with one that is no JSON, it is a
/// request that [`TransferRequest::validate`] refuses, so that the transfer fails and says why. Left to
/// the SDK, it would fail its first Workflow Task over and over.
pub fn request(input: &RawValue) -> TransferRequest {
    let first = input.payloads.first();
    first.and_then(|payload| serde_json::from_slice(&payload.data).ok()).unwrap_or_default()
}

/// A request as a Workflow's input.
pub fn input(request: &TransferRequest) -> RawValue {
    RawValue::from_value(request, &PayloadConverter::default())
}

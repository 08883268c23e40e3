//! A learner's query of a list, a count or a batch, which the gateway narrows to the learner's own: none that comes through closes the
//! bracket around it, as the service reads it.

#![no_main]

use libfuzzer_sys::fuzz_target;

// Not by the crate: that would bring the Temporal SDK, and minutes to build it here.
#[path = "../../crates/gateway/src/query/brackets.rs"]
mod brackets;
#[path = "../../crates/gateway/src/query.rs"]
mod query;

fuzz_target!(|text: &str| {
    let Some((conditions, rest)) = query::split_off_rest(text) else {
        assert_eq!(query::narrowed(text, "q"), None);
        return;
    };
    assert_eq!(brackets::brackets(conditions), Some((0, 0)));
    assert_eq!(format!("{conditions}{rest}"), text);
    let narrowed = query::narrowed(text, "q").expect("its brackets are its own");
    let (own, more) = narrowed.split_at("TaskQueue=\"q\"".len());
    assert_eq!(own, "TaskQueue=\"q\"");
    let is_closed =
        conditions.trim().is_empty() || more.starts_with(&format!(" AND ({})", conditions.trim()));
    assert!(is_closed, "{narrowed}");
});

//! Gives a panic in the learner's code its file and line, for Temporal to show.
//!
//! The SDK reports a panic by its message alone. A panic hook runs where the panic happened and notes the
//! place; an interceptor around the Workflow and one around each Activity add it to the message.

use std::{
    any::Any,
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use futures::FutureExt as _;
use temporalio_sdk::{
    WorkflowContextView,
    interceptors::{ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next},
    workflow_interceptors::{
        ExecuteWorkflowInput, ExecuteWorkflowResult, WorkflowInterceptor, WorkflowInterceptorConstructor,
        WorkflowInterceptorContext, WorkflowInterceptorFuture, WorkflowNext,
    },
};

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics note where they happen, beside what the hook before did. Once a process.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            LAST_PANIC.set(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

/// The panic's message with the place that the hook noted on this thread.
fn with_location(payload: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(message), _) => *message,
        (_, Some(message)) => message.as_str(),
        _ => return payload,
    };
    match LAST_PANIC.take() {
        Some(place) => Box::new(format!("{message}, at {place}")),
        None => payload,
    }
}

/// The Workflow interceptor, one for each Workflow.
pub(crate) fn for_workflows() -> WorkflowInterceptorConstructor {
    WorkflowInterceptorConstructor::new(|_: &WorkflowContextView| PanicLocation)
}

/// Adds the place to a panic's message and lets it go on.
pub(crate) struct PanicLocation;

impl WorkflowInterceptor for PanicLocation {
    fn execute<'a>(
        &'a self,
        _ctx: WorkflowInterceptorContext,
        input: ExecuteWorkflowInput,
        next: WorkflowNext<'a, ExecuteWorkflowInput, WorkflowInterceptorFuture<'a, ExecuteWorkflowResult>>,
    ) -> WorkflowInterceptorFuture<'a, ExecuteWorkflowResult> {
        WorkflowInterceptorFuture::new(async move {
            match AssertUnwindSafe(next.run(input)).catch_unwind().await {
                Ok(result) => result,
                Err(payload) => panic::resume_unwind(with_location(payload)),
            }
        })
    }
}

impl ActivityInboundInterceptor for PanicLocation {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        async move {
            match AssertUnwindSafe(next.run(input)).catch_unwind().await {
                Ok(result) => result,
                Err(payload) => panic::resume_unwind(with_location(payload)),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_names_the_line_it_happened_on() {
        install_hook();
        let payload = panic::catch_unwind(|| {
            let zero = "".len();
            1 / zero
        })
        .expect_err("a division by zero");
        let payload = with_location(payload);
        let message = payload.downcast_ref::<String>().expect("a text");
        assert!(
            message.starts_with("attempt to divide by zero, at crates/transfer-kit/src/panic_location.rs:"),
            "{message}"
        );
    }
}

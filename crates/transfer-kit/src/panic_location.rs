//! Gives a panic in the learner's code its file and line, for Temporal to show.
//!
//! The SDK reports a panic by its message alone. A panic hook runs where the panic happened and notes the
//! place; an interceptor around the Workflow and one around each Activity add it to the message.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::{Arc, Mutex, Once, PoisonError},
    task::{Context, Poll},
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

use crate::blocking::{self, Subject};

thread_local! {
    /// Whether this thread runs a Workflow's or an Activity's code right now.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics in Workflows and Activities note where they happen, and say so in one line: they come again with
/// every attempt, and a backtrace of them is the SDK's. All other panics are told as before. Once a process.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !WATCHED.get() {
                return before(info);
            }
            LAST_PANIC.set(info.location().map(ToString::to_string));
            let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
            crate::output::stdout_line(format_args!(
                "panicked{place}: {}",
                info.payload_as_str().unwrap_or("no message")
            ));
        }));
    });
}

/// A future of the learner's code. A panic in it ends it, with the panic's place in the message. A poll of it that blocks is noticed.
struct Watched<F>(F, Arc<Subject>);

impl<F: Future + Unpin> Future for Watched<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outside = WATCHED.replace(true);
        let watch = blocking::watch(&self.1);
        let polled = panic::catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx)));
        drop(watch);
        WATCHED.set(outside);
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(with_location(payload))),
        }
    }
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
pub(crate) fn for_workflows(noted: LastPanic) -> WorkflowInterceptorConstructor {
    WorkflowInterceptorConstructor::new(move |context: &WorkflowContextView| {
        let workflow_id = context.workflow_id().to_owned();
        WorkflowPanics {
            panics: PanicLocation(noted.clone()),
            subject: Arc::new(Subject { workflow_id, activity: None }),
        }
    })
}

/// The message of the last panic, with its place; for whoever does not hear of it from the server.
pub(crate) type LastPanic = Arc<Mutex<Option<String>>>;

/// The interceptor of one Workflow.
struct WorkflowPanics {
    panics: PanicLocation,
    subject: Arc<Subject>,
}

/// Adds the place to a panic's message, notes it and lets it go on.
#[derive(Default)]
pub(crate) struct PanicLocation(LastPanic);

impl PanicLocation {
    fn go_on(&self, payload: Box<dyn Any + Send>) -> ! {
        if let Some(message) = payload.downcast_ref::<String>() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        }
        panic::resume_unwind(payload)
    }
}

impl WorkflowInterceptor for WorkflowPanics {
    fn execute<'a>(
        &'a self,
        _ctx: WorkflowInterceptorContext,
        input: ExecuteWorkflowInput,
        next: WorkflowNext<'a, ExecuteWorkflowInput, WorkflowInterceptorFuture<'a, ExecuteWorkflowResult>>,
    ) -> WorkflowInterceptorFuture<'a, ExecuteWorkflowResult> {
        WorkflowInterceptorFuture::new(async move {
            let watched = Watched(next.run(input), Arc::clone(&self.subject));
            watched.await.unwrap_or_else(|payload| self.panics.go_on(payload))
        })
    }
}

impl ActivityInboundInterceptor for PanicLocation {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let info = input.activity_info();
        let subject = Arc::new(Subject {
            workflow_id: info.workflow_id.clone().unwrap_or_default(),
            activity: Some(info.activity_type.clone()),
        });
        async move { Watched(next.run(input), subject).await.unwrap_or_else(|payload| self.go_on(payload)) }
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_names_the_line_it_happened_on() {
        install_hook();
        let divide = futures::future::lazy(|_| {
            let zero = "".len();
            1 / zero
        });
        let subject = Arc::new(Subject { workflow_id: "t".to_owned(), activity: None });
        let payload = futures::executor::block_on(Watched(divide, subject)).expect_err("a division by zero");
        let message = payload.downcast_ref::<String>().expect("a text");
        let place = "attempt to divide by zero, at crates/transfer-kit/src/panic_location.rs:";
        assert!(message.starts_with(place), "{message}");
    }
}

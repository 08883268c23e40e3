//! Routes, and what is answered where there are none.

use axum::{Router, http::StatusCode, routing::MethodRouter};

use crate::Failure;

/// These routes, by their paths; other paths are a 404 and other methods a 405, each with a sentence that names
/// `/openapi.json`, where a service describes itself, or the `Allow` header. A route that is added afterwards has no such answer.
pub fn router<S: Clone + Send + Sync + 'static>(
    routes: impl IntoIterator<Item = (&'static str, MethodRouter<S>)>,
) -> Router<S> {
    routes
        .into_iter()
        .fold(Router::new(), |router, (path, route)| router.route(path, route))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "there is nothing here: see /openapi.json"))
        .method_not_allowed_fallback(async || {
            let error = "this path does not take this method: see the Allow header";
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, error)
        })
}

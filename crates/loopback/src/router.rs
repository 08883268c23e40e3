//! Routes, and the errors for unknown paths and methods.

use axum::{Router, http::StatusCode, routing::MethodRouter};

use crate::Failure;

/// A router for these paths. Other paths get a 404 and other methods a 405, with an error that mentions `/openapi.json` or the
/// `Allow` header. This does not cover routes added afterwards.
pub fn router<S: Clone + Send + Sync + 'static>(
    routes: impl IntoIterator<Item = (&'static str, MethodRouter<S>)>,
) -> Router<S> {
    routes
        .into_iter()
        .fold(Router::new(), |router, (path, route)| router.route(path, route))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "not found; see /openapi.json"))
        .method_not_allowed_fallback(async || {
            let error = "this path does not allow this method; see the Allow header";
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, error)
        })
}

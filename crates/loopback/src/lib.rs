//! Runs a web service of the lab on loopback: its port and connections, the checks that reject other origins, and JSON bodies.
//!
//! ```no_run
//! use axum::{Router, middleware, routing::get};
//! use contract::PublicHosts;
//!
//! # async fn run() -> anyhow::Result<()> {
//! let public = PublicHosts::from_env()?.of_page(8080);
//! let app = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(middleware::from_fn_with_state(public.clone(), loopback::same_origin))
//!     .layer(middleware::from_fn_with_state(public, loopback::known_host));
//! let shutdown = loopback::shutdown_signal()?;
//! loopback::allow_files();
//! let listener = loopback::listen("127.0.0.1", 8080, "greeter").await?;
//! loopback::serve(listener, app, shutdown).await;
//! # Ok(())
//! # }
//! ```
//!
//! **Architecture invariant:** this crate is independent of what the services do.

mod failure;
mod files;
mod forwarded;
mod json_text;
mod local_only;
mod program;
mod router;
mod serve;
mod timeout_stream;

pub use failure::Failure;
pub use files::allow_files;
pub use json_text::JsonText;
pub use local_only::{known_host, local_origin, same_origin};
pub use program::{block_on, listen, shutdown_signal, warn_if_reachable, write_ready_file};
pub use router::router;
pub use serve::{CONNECTIONS, Limits, serve, serve_within};

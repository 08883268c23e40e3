//! The bank of the lab: ten accounts in one SQLite file, behind HTTP.
//!
//! It plays the world outside Temporal: it can be slow, fail, lose responses or be out of service, and it moves money once for each
//! idempotency key.
//!
//! ```no_run
//! # async fn run() -> anyhow::Result<()> {
//! let bank = account_api::Bank::in_memory()?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! println!("http://{}", listener.local_addr()?);
//! account_api::serve(listener, bank, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Architecture invariant:** only the `ledger` module knows SQL, and only the `ledger_thread`'s thread
//! touches the ledger. This crate knows nothing of Temporal.

mod bank;
mod ledger;
mod ledger_thread;
mod outage;
mod problem;
mod real_world_mode;
mod request;
mod routes;
mod serve;

pub use bank::Bank;
pub use outage::Outage;
pub use real_world_mode::{RealWorldMode, Strikes};
pub use routes::app;
pub use serve::serve;

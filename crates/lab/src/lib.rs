//! The table of stages, their texts, and the goals, which judge by Temporal's Event History and the bank's ledger how far a
//! learner is.
//!
//! **Architecture invariant:** nothing here does I/O: no file, no server, no clock. The caller passes in [`Facts`]. So the
//! command line and the page agree, and a test needs neither.

mod deployment;
mod event;
mod facts;
mod goal;
mod goals;
mod halt;
mod incident;
mod invariants;
mod lookup;
mod milestone;
mod moment;
mod nondeterminism;
mod outcome;
mod report;
mod stage;
mod task;
mod text;
mod title;
mod variant;
mod version;

pub use deployment::{Deployment, Drainage, Version, with_deployment};
pub use event::{Event, failure_chain};
pub use facts::{Entry, Facts, Run, Service, Status, Transfer, in_transit};
pub use goal::{Evidence, Goal, Next, Verdict};
pub use goals::resets::reset_point;
pub use halt::{Halt, Held, RETRY_IDENTITY, STAGE_IDENTITY, halts, held, shell_word};
pub use incident::{INCIDENTS, Incident, incident, incident_of, spread};
pub use invariants::{Wrong, money, wrong};
pub use lookup::{activities_variants, stage, workflow_variants};
pub use nondeterminism::nondeterminism;
pub use outcome::{Deploy, Hit, Outcome, SAFE, surplus};
pub use report::Report;
pub use stage::{Milestone, Precondition, STAGES, Stage};
pub use task::{CARD_PARTS, Condition, PLACEHOLDERS, PageForm, Section, Task, sections, tasks};
pub use text::{Block, Command, Text, WITHOUT_TEMPORAL, blocks, hints};
pub use variant::{Variant, code, is_same_code};

/// The Workflow module that a learner edits, relative to the project's folder.
pub const LIVE_WORKFLOW: &str = "crates/worker/src/workflow.rs";
/// The activities module that a learner edits, relative to the project's folder.
pub const LIVE_ACTIVITIES: &str = "crates/worker/src/activities.rs";

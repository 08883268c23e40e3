//! Every version of the two live modules, compiled and tested.
//!
//! A stage copies one file of each folder over `crates/worker/src`, byte for byte. So a variant names only
//! external crates, `contract` and `transfer-kit`, never `crate::` or `super::`.

use temporalio_sdk::WorkerOptions;
use transfer_kit::{Bank, host};

/// The Workflow module's versions.
pub mod workflow {
    #[allow(missing_docs, reason = "the macros' items")]
    pub mod fixed;
    #[allow(missing_docs, reason = "the macros' items")]
    pub mod jerry;
}

/// The activities module's versions.
pub mod activities {
    #[allow(missing_docs, reason = "the macros' items")]
    pub mod fixed;
    #[allow(missing_docs, reason = "the macros' items")]
    pub mod jerry;
}

/// The options of a worker that runs this stage's pair of modules, as they were compiled in.
///
/// # Errors
/// A module of the stage is not among those compiled here: a new variant needs its line below.
pub fn worker_options(stage: &lab::Stage, bank: Bank) -> anyhow::Result<WorkerOptions> {
    use activities as a;
    use workflow as w;
    match (stage.workflow.name, stage.activities.name) {
        ("jerry", "jerry") => {
            host::options::<w::jerry::MoneyTransferWorkflow, _>(a::jerry::MoneyActivities::new(bank))
        }
        ("fixed", "jerry") => {
            host::options::<w::fixed::MoneyTransferWorkflow, _>(a::jerry::MoneyActivities::new(bank))
        }
        ("fixed", "fixed") => {
            host::options::<w::fixed::MoneyTransferWorkflow, _>(a::fixed::MoneyActivities::new(bank))
        }
        (workflow, activities) => anyhow::bail!(
            "stage {} runs workflow/{workflow}.rs with activities/{activities}.rs, a pair that crates/stages/src/lib.rs \
             does not know",
            stage.name
        ),
    }
}

//! Every version of the two live modules, compiled and tested.
//!
//! A stage copies one file of each folder over `crates/worker/src`, byte for byte. So a variant names only
//! external crates, `contract` and `transfer-kit`, never `crate::` or `super::`.

use std::{fs, path::Path};

use anyhow::Context as _;
use lab::{Stage, Variant};
use temporalio_client::Client;
use temporalio_sdk::WorkerOptions;
use transfer_kit::{Bank, host, replay};

/// Declares the variants, and finds them by their names. A new variant is one word here.
macro_rules! modules {
    (workflow: $($workflow:ident),+; activities: $($activities:ident),+;) => {
        /// The Workflow module's versions.
        #[allow(missing_docs, reason = "the macros' items")]
        pub mod workflow {
            $(pub mod $workflow;)+
        }

        /// The activities module's versions.
        #[allow(missing_docs, reason = "the macros' items")]
        pub mod activities {
            $(pub mod $activities;)+
        }

        /// The names of the Workflow module's versions: the files of `src/workflow`.
        pub const WORKFLOWS: &[&str] = &[$(stringify!($workflow)),+];
        /// The names of the activities module's versions: the files of `src/activities`.
        pub const ACTIVITIES: &[&str] = &[$(stringify!($activities)),+];

        /// The texts of these modules.
        fn sources(modules: Modules) -> (&'static str, &'static str) {
            let workflow = match modules.workflow {
                $(name if name == stringify!($workflow) => {
                    include_str!(concat!("workflow/", stringify!($workflow), ".rs"))
                })+
                _ => "",
            };
            let activities = match modules.activities {
                $(name if name == stringify!($activities) => {
                    include_str!(concat!("activities/", stringify!($activities), ".rs"))
                })+
                _ => "",
            };
            (workflow, activities)
        }

        /// Registers each module by itself: the compiler builds the sum of them, not every pair.
        fn register(options: &mut WorkerOptions, modules: Modules, bank: Bank) -> anyhow::Result<()> {
            match modules.workflow {
                $(name if name == stringify!($workflow) => {
                    options.register_workflow::<workflow::$workflow::MoneyTransferWorkflow>()?;
                })+
                name => anyhow::bail!("workflow/{name}.rs is not listed in crates/stages/src/lib.rs"),
            }
            match modules.activities {
                $(name if name == stringify!($activities) => {
                    options.register_activities(activities::$activities::MoneyActivities::new(bank));
                })+
                name => anyhow::bail!("activities/{name}.rs is not listed in crates/stages/src/lib.rs"),
            }
            Ok(())
        }

        /// Replays a server's transfers with this version of the Workflow.
        async fn replay_with(name: &str, client: &Client) -> anyhow::Result<replay::Report> {
            match name {
                $(name if name == stringify!($workflow) => {
                    replay::all::<workflow::$workflow::MoneyTransferWorkflow>(client).await
                })+
                name => anyhow::bail!("workflow/{name}.rs is not listed in crates/stages/src/lib.rs"),
            }
        }
    };
}

modules! {
    workflow: added_step, any_order, blocks, deposits_first, deprecated, fixed, impatient, jerry, limited, other_queue,
        reference_code, retries_any_amount, retries_by_amount, versioned, waits_an_hour, waits_for_funds, withdraws_first;
    activities: fixed, gives_up, jerry, key_per_attempt, retries_refusals, retries_unknown, waits_inside;
}

/// A version of each live module, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modules {
    /// One of [`WORKFLOWS`].
    pub workflow: &'static str,
    /// One of [`ACTIVITIES`].
    pub activities: &'static str,
}

impl Modules {
    /// The modules of a stage.
    pub fn of(stage: &Stage) -> Modules {
        Modules { workflow: stage.workflow.name, activities: stage.activities.name }
    }

    /// The modules whose code this folder has, as `workflow.rs` and `activities.rs`.
    ///
    /// # Errors
    /// A file cannot be read, or was edited: it is no copy of a shipped version.
    pub fn in_folder(folder: &Path) -> anyhow::Result<Modules> {
        Ok(Modules {
            workflow: variant_in(&folder.join("workflow.rs"), lab::workflow_variants())?,
            activities: variant_in(&folder.join("activities.rs"), lab::activities_variants())?,
        })
    }

    /// The Build ID of a worker that runs these modules, whichever program it is.
    pub fn build_id(self) -> String {
        let (workflow, activities) = sources(self);
        host::build_id(workflow, activities)
    }

    /// The options of a worker that runs these modules.
    ///
    /// # Errors
    /// One of them is not compiled here.
    pub fn worker_options(self, bank: Bank) -> anyhow::Result<WorkerOptions> {
        let mut options = host::base_options();
        register(&mut options, self, bank)?;
        host::report_build_id(&mut options, self.build_id());
        Ok(options)
    }
}

impl Modules {
    /// Replays this server's transfers with the Workflow module.
    ///
    /// # Errors
    /// The server does not answer, or the module is not compiled here.
    pub async fn replay(self, client: &Client) -> anyhow::Result<replay::Report> {
        replay_with(self.workflow, client).await
    }
}

/// The name of the variant whose code this file has.
fn variant_in(
    file: &Path,
    mut variants: impl Iterator<Item = &'static Variant>,
) -> anyhow::Result<&'static str> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let copied = variants.find(|variant| variant.is_code_of(&text));
    copied.map(|variant| variant.name).with_context(|| {
        format!("{} is a copy of no shipped module, and only those are compiled here", file.display())
    })
}

/// The options of a worker that runs this stage's modules, as they were compiled in.
///
/// # Errors
/// A module of the stage is not compiled here.
pub fn worker_options(stage: &Stage, bank: Bank) -> anyhow::Result<WorkerOptions> {
    Modules::of(stage).worker_options(bank)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, process::Command};

    use lab::STAGES;

    use super::*;

    fn folder(kind: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(kind)
    }

    fn files(kind: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder(kind)).expect("the folder of the variants");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    }

    #[test]
    fn the_variants_are_the_files_of_their_folders() {
        for (kind, names) in [("workflow", WORKFLOWS), ("activities", ACTIVITIES)] {
            let listed: Vec<_> = names.iter().map(|name| folder(kind).join(format!("{name}.rs"))).collect();
            assert_eq!(files(kind), listed, "in this order, too");
        }
    }

    /// `cargo fmt` does not see modules that a macro declares.
    #[test]
    fn the_variants_are_formatted() {
        for kind in ["workflow", "activities"] {
            let check =
                Command::new("rustfmt").args(["--check", "--edition", "2024"]).args(files(kind)).output();
            let check = check.expect("rustfmt, of rust-toolchain.toml, can be run");
            let differences = String::from_utf8_lossy(&check.stdout);
            assert!(check.status.success(), "run rustfmt on crates/stages/src/{kind}/*.rs:\n{differences}");
        }
    }

    #[test]
    fn every_pair_of_modules_makes_a_worker() {
        for &workflow in WORKFLOWS {
            for &activities in ACTIVITIES {
                let options = Modules { workflow, activities }.worker_options(Bank::at("http://127.0.0.1:1"));
                assert!(options.is_ok(), "{workflow}, {activities}: {:?}", options.err());
            }
        }
    }

    #[test]
    fn a_name_that_is_not_listed_is_an_error_that_says_where_to_list_it() {
        let modules = Modules { workflow: "fixed", activities: "new" };
        let error = modules.worker_options(Bank::at("http://127.0.0.1:1")).err().expect("an error");
        assert_eq!(error.to_string(), "activities/new.rs is not listed in crates/stages/src/lib.rs");
    }

    #[test]
    fn the_modules_in_a_folder_are_known_by_their_text() {
        let live = tempfile::tempdir().expect("a temporary folder");
        for stage in STAGES {
            fs::write(live.path().join("workflow.rs"), stage.workflow.source).expect("a writable folder");
            let of_windows = stage.activities.source.replace('\n', "\r\n");
            fs::write(live.path().join("activities.rs"), of_windows).expect("a writable folder");
            assert_eq!(Modules::in_folder(live.path()).expect("copies"), Modules::of(stage));
        }
    }

    #[test]
    fn an_edited_module_or_none_is_an_error_that_names_the_file() {
        let live = tempfile::tempdir().expect("a temporary folder");
        let stage = &STAGES[0];
        let error = || format!("{:#}", Modules::in_folder(live.path()).expect_err("no pair of copies"));
        let file = live.path().join("workflow.rs").display().to_string();
        assert!(error().starts_with(&format!("cannot read {file}: ")), "{}", error());

        fs::write(live.path().join("workflow.rs"), stage.workflow.source).expect("a writable folder");
        let edited = format!("{}\n", stage.activities.source);
        fs::write(live.path().join("activities.rs"), edited).expect("a writable folder");
        let file = live.path().join("activities.rs").display().to_string();
        assert!(error().starts_with(&format!("{file} is a copy of no shipped module")), "{}", error());
    }
}

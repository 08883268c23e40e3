//! Finds stages and incidents by name, and lists the versions of the two live modules.

use crate::{INCIDENTS, STAGES, Stage, Variant, incident::FIXES, stage::WRITTEN_WORKFLOWS};

/// Every version of the Workflow module: those of the stages and incidents, and those that only a text has written.
pub fn workflow_variants() -> impl Iterator<Item = &'static Variant> {
    all_stages().map(|stage| &stage.workflow).chain(&WRITTEN_WORKFLOWS)
}

/// Every version of the activities module.
pub fn activities_variants() -> impl Iterator<Item = &'static Variant> {
    all_stages().map(|stage| &stage.activities)
}

/// The stages of the course, the incidents and their fixes.
fn all_stages() -> impl Iterator<Item = &'static Stage> {
    STAGES.iter().chain(INCIDENTS.iter().map(|incident| &incident.stage)).chain(FIXES)
}

/// The stage of that name, or the incident, or the fix of one.
pub fn stage(name: &str) -> Option<&'static Stage> {
    all_stages().find(|stage| stage.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_and_incident_can_be_found_by_its_name_and_no_name_twice() {
        for (at, stage) in all_stages().enumerate() {
            assert_eq!(all_stages().position(|other| other.name == stage.name), Some(at), "{}", stage.name);
            assert_eq!(super::stage(stage.name), Some(stage));
        }
        assert_eq!(stage("fix-everything"), None);
    }

    #[test]
    fn a_stage_names_only_stages_that_there_are() {
        for row in all_stages() {
            let named =
                row.fixed_by.into_iter().chain(row.precondition.map(|precondition| precondition.stage));
            for name in named {
                assert!(stage(name).is_some(), "{}: {name}", row.name);
            }
        }
    }
}

//! `versions.json` in the lab's folder: the versions of the worker that a lab runs at a time, each as a service of its own.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::state::WORKER;

/// The name of the file.
pub const FILE: &str = "versions.json";

/// The versions that a lab keeps; none outside a stage with versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptVersions {
    /// The versions, the oldest first.
    pub versions: Vec<KeptVersion>,
    /// The name of the stage at which the last of them was deployed. They are not for another one.
    pub stage: String,
    /// The highest number given to one since the stage was entered: the number of a retired version is not used again until then.
    pub last: u32,
}

/// A version of the worker, whose program the lab keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptVersion {
    /// Its number, which is its Build ID.
    pub number: u32,
    /// The fingerprint of the source that it was built from.
    pub content: u64,
}

impl KeptVersions {
    /// Reads the file of a lab's folder; no versions if there is no valid one.
    pub fn read(lab: &Path) -> KeptVersions {
        KeptVersions::parse(&fs::read_to_string(lab.join(FILE)).unwrap_or_default())
    }

    /// Parses the text of [`FILE`].
    pub fn parse(text: &str) -> KeptVersions {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let version = |entry: &Value| {
            let content = u64::from_str_radix(entry["content"].as_str()?, 16).ok()?;
            Some(KeptVersion { number: number(&entry["version"])?, content })
        };
        let mut versions: Vec<_> =
            value["versions"].as_array().into_iter().flatten().filter_map(version).collect();
        versions.sort_unstable_by_key(|version| version.number);
        versions.dedup_by_key(|version| version.number);
        let highest = versions.last().map_or(0, |version| version.number);
        KeptVersions {
            versions,
            stage: value["stage"].as_str().unwrap_or_default().to_owned(),
            last: number(&value["last"]).unwrap_or_default().max(highest),
        }
    }

    /// The JSON for the file.
    pub fn to_json(&self) -> Value {
        let version = |version: &KeptVersion| {
            let content = format!("{:016x}", version.content);
            json!({ "version": version.number, "content": content })
        };
        let versions: Vec<_> = self.versions.iter().map(version).collect();
        json!({ "versions": versions, "stage": self.stage, "last": self.last })
    }
}

/// The service that runs this version: `worker@2`.
pub fn service_of(version: u32) -> String {
    format!("{WORKER}@{version}")
}

/// The version that this service runs; none of a service that is not a version of the worker.
pub fn version_of(service: &str) -> Option<u32> {
    let number = service.strip_prefix(WORKER)?.strip_prefix('@')?;
    let version = number.parse().ok()?;
    (service_of(version) == service).then_some(version)
}

/// Whether this service runs the learner's code: the worker, or a version of it.
pub fn is_worker(service: &str) -> bool {
    service == WORKER || version_of(service).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_were_written_and_a_damaged_file_has_none() {
        let kept = KeptVersions {
            versions: vec![
                KeptVersion { number: 1, content: u64::MAX },
                KeptVersion { number: 3, content: 7 },
            ],
            stage: "roll-out".to_owned(),
            last: 4,
        };
        assert_eq!(KeptVersions::parse(&kept.to_json().to_string()), kept);
        for text in ["", "{", "[]", r#"{"versions":[{"version":-1,"content":"0"},{"version":1}]}"#] {
            assert_eq!(KeptVersions::parse(text), KeptVersions::default(), "{text}");
        }
    }

    #[test]
    fn a_service_is_named_after_its_version() {
        assert_eq!(version_of(&service_of(12)), Some(12));
        for other in [
            "worker",
            "worker@",
            "worker@x",
            "worker@-1",
            "worker@01",
            "worker@+1",
            "temporal@1",
            "worker@4294967296",
        ] {
            assert_eq!(version_of(other), None, "{other}");
        }
        assert!(is_worker("worker") && is_worker("worker@2") && !is_worker("temporal"));
    }
}

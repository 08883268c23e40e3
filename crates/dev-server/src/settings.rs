//! The values of the server's dynamic configuration, one per row of [`SETTINGS`].
//!
//! `compose/dynamic-config.yaml` has the same values for a server in a container; a test here compares the two.

/// A value of the server's dynamic configuration.
pub struct Setting {
    /// Its name, such as `frontend.namespaceRPS`.
    pub name: &'static str,
    /// Its value as JSON; `HTTP_PORT` is replaced by the port of the server's HTTP API.
    pub value: &'static str,
    /// Why we set it.
    pub why: &'static str,
    /// Which servers have it.
    pub audience: Audience,
}

/// Which servers have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every server: of a lab, of a class, of a test.
    Everyone,
    /// The server of a class, which several learners share.
    Class,
}

/// The values.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "history.workflowTaskRetryMaxInterval",
        value: r#""1s""#,
        why: "the server retries a failed Workflow Task within two seconds, so that a learner's fix takes effect at once",
        audience: Audience::Everyone,
    },
    Setting {
        name: "history.defaultWorkflowTaskTimeout",
        value: r#""2s""#,
        why: "the first retry of a failed Workflow Task comes after this timeout",
        audience: Audience::Everyone,
    },
    Setting {
        name: "history.transferProcessorMaxPollRPS",
        value: "50",
        why: "a shard looks for new tasks so often a second: the default, 20, is for many shards and delays a lone transfer by a \
              quarter of a second, and much more finds fewer tasks at once",
        audience: Audience::Everyone,
    },
    Setting {
        name: "history.timerProcessorMaxTimeShift",
        value: r#""50ms""#,
        why: "what is due at once, such as an Activity that `retry` unpauses, goes through the queue of timers, which by default \
              is read a second ahead and would delay it by that",
        audience: Audience::Everyone,
    },
    Setting {
        name: "matching.numTaskqueueReadPartitions",
        value: "1",
        why: "by default a Task Queue has four partitions, and the tasks of one of them wait while the worker polls the others: of \
              a batch of transfers the slowest take several times the median",
        audience: Audience::Everyone,
    },
    Setting {
        name: "matching.numTaskqueueWritePartitions",
        value: "1",
        why: "the server adds tasks to the one partition that is read",
        audience: Audience::Everyone,
    },
    Setting {
        name: "matching.wv.VersionDrainageStatusRefreshInterval",
        value: r#""5s""#,
        why: "the server looks this often whether a Deployment Version is drained: by default every three minutes, for which a \
              learner would wait; more often costs a class's server a lot, since each look takes about 60 ms of CPU",
        audience: Audience::Everyone,
    },
    Setting {
        name: "matching.wv.VersionDrainageStatusVisibilityGracePeriod",
        value: r#""2s""#,
        why: "the first of these looks comes so long after a version has stopped taking new Workflows: by default after three \
              minutes; the list in which the server looks lags behind by less than a second",
        audience: Audience::Everyone,
    },
    Setting {
        name: "frontend.httpAllowedHosts",
        value: r#"["127.0.0.1:HTTP_PORT","localhost:HTTP_PORT"]"#,
        why: "by default the HTTP API accepts any Host, and so a web page whose name was made to point at this machine",
        audience: Audience::Everyone,
    },
    Setting {
        name: "frontend.MaxConcurrentBatchOperationPerNamespace",
        value: "100",
        why: "by default a namespace runs one batch operation at a time, and refuses a second one, such as another learner's",
        audience: Audience::Everyone,
    },
    Setting {
        name: "frontend.namespaceRPS.visibility",
        value: "1000",
        why: "by default a namespace allows ten lists and counts a second, which a few learners with open pages use up",
        audience: Audience::Class,
    },
];

impl Setting {
    /// The value of the flag `--dynamic-config-value`, for a server whose HTTP API has this port.
    pub fn flag_value(&self, http_port: u16) -> String {
        format!("{}={}", self.name, self.value.replace("HTTP_PORT", &http_port.to_string()))
    }
}

/// The additional values of a class's server, for [`DevServer::settings`](crate::DevServer::settings).
pub fn for_a_class() -> Vec<String> {
    // None of them contains a port.
    of(Audience::Class, 0).collect()
}

/// The values for this audience.
pub(crate) fn of(audience: Audience, http_port: u16) -> impl Iterator<Item = String> {
    SETTINGS
        .iter()
        .filter(move |setting| setting.audience == audience)
        .map(move |setting| setting.flag_value(http_port))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// The port of the HTTP API in `compose/compose.yaml`.
    const COMPOSE_HTTP_PORT: u16 = 7243;
    /// The host name by which the page reaches the HTTP API there.
    const COMPOSE_HOST: &str = r#","temporal:7243"]"#;

    /// The values of the YAML file as flags. The file may contain only comments, names and one value for each.
    fn of_compose(yaml: &str) -> Vec<String> {
        let mut lines = yaml.lines().filter(|line| !line.starts_with('#'));
        let mut values = Vec::new();
        while let Some(line) = lines.next() {
            let name = line.strip_suffix(':').expect("a name, and its value on the next line");
            let value = lines.next().and_then(|line| line.strip_prefix("  - value: ")).expect(name);
            values.push(format!("{name}={}", value.replace(", ", ",")));
        }
        values
    }

    #[test]
    fn the_server_in_a_container_has_the_same_values() {
        let expected: BTreeSet<String> = SETTINGS
            .iter()
            .map(|setting| match setting.flag_value(COMPOSE_HTTP_PORT) {
                hosts if setting.name == "frontend.httpAllowedHosts" => hosts.replace(']', COMPOSE_HOST),
                value => value,
            })
            .collect();
        // Read at run time, because the file is missing where only programs are built.
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/dynamic-config.yaml");
        let Ok(text) = fs::read_to_string(file) else {
            assert!(std::env::var_os("CI").is_none(), "the project has compose/dynamic-config.yaml");
            println!("skipped: this copy of the project has no compose/dynamic-config.yaml");
            return;
        };
        let found = of_compose(&text);
        assert_eq!(found.len(), expected.len(), "compose/dynamic-config.yaml has a name twice, or too few");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "compose/dynamic-config.yaml");
    }

    #[test]
    fn no_value_is_set_twice_and_each_has_a_reason() {
        let names: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), SETTINGS.len());
        assert!(SETTINGS.iter().all(|setting| !setting.why.is_empty()));
    }

    #[test]
    fn no_value_for_a_class_contains_a_port() {
        assert!(for_a_class().iter().all(|value| !value.contains(":0")), "{:?}", for_a_class());
    }
}

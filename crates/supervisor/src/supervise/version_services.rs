//! The supervisor's part on versions of the worker: it deploys what was built, as the one worker or as a version, and ends versions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use checkout::modules;
use lab_client::{
    kept_versions::{KeptVersion, KeptVersions, service_of},
    progress,
    temporal::Server,
    time,
};
use serde_json::{Value, json};

use super::{Deploys, Journal, Supervisor};
use crate::{
    control::Reply,
    roll_out,
    services::{self, SERVICES},
    supervised::Supervised,
    versions::{self, Version},
};

impl Supervisor {
    /// Deploys what was built: as those who wait for it want it, or else as the one worker. A saved file becomes no version.
    pub(super) fn deploy(&mut self, content: u64, waiting: Vec<(Deploys, Reply)>) {
        // A stage without versions may have been entered with code that did not compile.
        let project = &self.setup.project;
        let may_have_versions =
            modules::current_stage(project).has_versions || progress::is_entering(&project.lab);
        if waiting.is_empty() && self.has_versions() && may_have_versions {
            let is_deployed = !self.deployed.is_outdated().deployed;
            let then =
                if is_deployed { "" } else { "; to deploy it as the next version: cargo xtask lab deploy" };
            self.journal.note(&format!("built{then}"));
            return;
        }
        let is_for_worker = |(deploys, _): &(Deploys, Reply)| *deploys == Deploys::Worker;
        let (worker, versions): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_for_worker);
        if !worker.is_empty() || versions.is_empty() {
            for (_, reply) in versions {
                let _ = reply.send(Err(
                    "no version was deployed: the lab runs one worker again, by a command that was typed meanwhile".to_owned(),
                ));
            }
            let replies: Vec<Reply> = worker.into_iter().map(|(_, reply)| reply).collect();
            match self.leave_versions() {
                Ok(()) => {
                    self.journal.note("built: restarting the worker");
                    self.restart(services::WORKER, replies);
                }
                Err(error) => {
                    for reply in replies {
                        let _ = reply.send(Err(format!("{error:#}; the deployed versions still run")));
                    }
                }
            }
            return;
        }
        for (deploys, reply) in versions {
            let Deploys::Version(over) = deploys else { continue };
            match self.keep_version(over, content) {
                Ok(number) => self.run_version(KeptVersion { number, content }, reply),
                Err(error) => drop(reply.send(Err(format!("{error:#}; nothing was deployed")))),
            }
        }
    }

    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.services.iter().filter_map(|one| one.version.as_ref())
    }

    pub(super) fn has_versions(&self) -> bool {
        self.versions().next().is_some()
    }

    /// Where the version with this number is in the list.
    pub(super) fn find_version(&self, number: u32) -> Result<usize, String> {
        self.find(&service_of(number)).ok_or_else(|| match self.has_versions() {
            true => {
                format!("no version {number} is deployed; there are: {}", versions::listed(self.versions()))
            }
            false => format!("no version {number} is deployed; to start the stage with versions: cargo xtask stage roll-out"),
        })
    }

    /// The versions as they are recorded.
    fn kept_versions(&self) -> KeptVersions {
        KeptVersions {
            versions: self.versions().map(|version| version.kept).collect(),
            stage: modules::current_stage(&self.setup.project).name.to_owned(),
            last: self.last_version,
        }
    }

    /// Runs the versions of the last lab, if they are those of the current stage. One whose program is gone is left out by the first tick.
    pub(super) fn take_up_versions(&mut self, mut kept: KeptVersions) {
        let stage = modules::current_stage(&self.setup.project);
        // On the way to a stage with versions, the code of another one is version 1.
        let is_of_stage = stage.has_versions && kept.stage == stage.name;
        if !kept.versions.is_empty() && !is_of_stage {
            self.journal.note(&format!(
                "the versions that the lab ran are not part of the {} {}, so it runs one worker again; to have versions again: \
                 cargo xtask stage roll-out",
                stage.kind(),
                stage.name
            ));
            kept = KeptVersions::default();
            // If that fails, the next start does the same.
            if let Err(error) = versions::write(&self.setup.project, &kept) {
                self.journal.note(&format!("error: {error:#}"));
            }
        }
        versions::clear(&self.setup.project, &kept);
        self.last_version = kept.last;
        for version in kept.versions {
            self.add_version(version);
        }
    }

    /// Lets the one worker take all transfers, on a thread of its own: the server may not answer yet. The thread goes on until it has
    /// succeeded, the lab ends, or the lab runs versions.
    pub(super) fn free_transfers(&mut self) {
        self.frees_transfers.store(false, Ordering::Relaxed);
        let Ok(journal) = self.journal.0.try_clone().map(Journal) else { return };
        if !self.setup.knows_its_namespace() {
            // It is called again when the service has answered.
            return;
        }
        let is_wanted = Arc::new(AtomicBool::new(true));
        self.frees_transfers = Arc::clone(&is_wanted);
        let (project, server) = (self.setup.project.clone(), Server::new(&self.setup.endpoints()));
        thread::spawn(move || {
            roll_out::end_versions_in_time(&project, &server, &is_wanted, |words| journal.note(words));
        });
    }

    /// Keeps the program that was built as one more version, or over the version with this number. Returns its number.
    fn keep_version(&mut self, over: Option<u32>, content: u64) -> Result<u32> {
        let built = self.setup.executables.as_ref().and_then(|all| all.get(services::WORKER));
        let program = built.context("cargo has built no worker")?;
        if let Some(number) = over {
            self.find_version(number).map_err(|error| anyhow!(error))?;
        }
        let number = over.unwrap_or(self.last_version + 1);
        versions::keep(&self.setup.project, number, &program)?;
        let mut kept = self.kept_versions();
        kept.versions.retain(|version| version.number != number);
        kept.versions.push(KeptVersion { number, content });
        kept.last = kept.last.max(number);
        versions::write(&self.setup.project, &kept)?;
        self.last_version = kept.last;
        Ok(number)
    }

    /// Has the next tick start the worker of a version that was just kept.
    fn run_version(&mut self, kept: KeptVersion, reply: Reply) {
        let name = service_of(kept.number);
        match self.find(&name) {
            Some(at) => {
                self.journal.note(&format!("built: replacing the code of {name}"));
                self.services[at].version = Some(Version::new(kept));
                self.note_newest();
                self.restart(&name, vec![reply]);
            }
            None => {
                self.journal.note(&format!("built: deploying version {}", kept.number));
                let at = self.add_version(kept);
                self.services[at].waiting.push((Instant::now(), reply));
            }
        }
        self.publish();
    }

    /// Adds the service of a version, in place of the worker without one. Returns where it is.
    fn add_version(&mut self, kept: KeptVersion) -> usize {
        self.frees_transfers.store(false, Ordering::Relaxed);
        if let Some(at) = self.find(services::WORKER) {
            self.remove_service(at, "the lab runs versions of the worker now");
            self.deployment.stopped = time::now().as_secs_f64();
        }
        let at = self.after_versions();
        self.services.insert(at, Supervised::of_version(services::worker(), Version::new(kept)));
        self.note_newest();
        at
    }

    /// Where the worker, or its newest version, is in the list.
    fn after_versions(&self) -> usize {
        let before = SERVICES.iter().position(|row| row.name == services::WORKER).unwrap_or_default();
        before + self.versions().count()
    }

    /// The newest version is what edits are compared to.
    fn note_newest(&self) {
        self.deployed.set_version(self.versions().last().map(|version| version.kept.content));
    }

    /// Ends the worker of a version, which is none any more.
    pub(super) fn retire(&mut self, number: u32) -> Result<Value, String> {
        let at = self.find_version(number)?;
        if self.versions().count() == 1 {
            return Err(format!(
                "{} is the only worker, so it was not retired; to run one worker without versions again, enter another stage: cargo xtask stage",
                service_of(number)
            ));
        }
        let mut kept = self.kept_versions();
        kept.versions.retain(|version| version.number != number);
        versions::write(&self.setup.project, &kept)
            .map_err(|error| format!("{error:#}; nothing was changed"))?;
        self.drop_version(at);
        self.journal.note(&format!("retired version {number}: its worker was shut down"));
        Ok(json!({ "version": number }))
    }

    /// Ends the worker of a version, and removes what is kept of it.
    fn drop_version(&mut self, at: usize) {
        self.remove_service(at, "the version was retired");
        versions::clear(&self.setup.project, &self.kept_versions());
        self.note_newest();
        self.publish();
    }

    /// Ends all versions; the next tick starts the worker without one. Nothing happens where there are none.
    pub(super) fn leave_versions(&mut self) -> Result<()> {
        if !self.has_versions() {
            return Ok(());
        }
        versions::write(&self.setup.project, &KeptVersions::default())?;
        self.journal.note("the lab runs one worker again: shutting down the workers of its versions");
        while let Some(at) = self.services.iter().rposition(|one| one.version.is_some()) {
            self.remove_service(at, "the lab runs one worker again");
        }
        versions::clear(&self.setup.project, &KeptVersions::default());
        self.run_one_worker();
        Ok(())
    }

    /// The worker without a version is back in the list. It is to take the transfers of the versions.
    fn run_one_worker(&mut self) {
        self.last_version = 0;
        self.note_newest();
        self.services.insert(self.after_versions(), Supervised::new(services::worker()));
        self.free_transfers();
        self.publish();
    }

    /// Leaves out a version whose program cannot be run any more: cargo cannot build it again, since the code is another by now.
    pub(super) fn leave_out_lost_versions(&mut self) {
        let is_due = |one: &Supervised| one.child.is_none() && one.due <= Instant::now();
        let lost = |one: &Supervised| {
            let version = one.version.as_ref().filter(|_| is_due(one))?;
            Some((version.kept.number, version.why_lost(&self.setup.project)?))
        };
        let found: Vec<_> = self.services.iter().filter_map(lost).collect();
        for (number, why) in found {
            let Ok(at) = self.find_version(number) else { continue };
            self.journal.note(&format!(
                "the program of {} {why}, so version {number} does not run; to deploy all versions again: cargo xtask stage roll-out",
                service_of(number)
            ));
            self.drop_version(at);
            // If that fails, the next start finds the program missing again.
            if let Err(error) = versions::write(&self.setup.project, &self.kept_versions()) {
                self.journal.note(&format!("error: {error:#}"));
            }
            if !self.has_versions() {
                self.run_one_worker();
            }
        }
    }
}

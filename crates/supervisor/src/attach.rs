//! How every command begins: by finding the lab that runs, and clearing away one that was killed.

use std::{
    fs::{self, File, OpenOptions},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    control,
    process::{self, Ending, Identity},
    services,
};
use checkout::{
    project::{Project, open_private},
    state,
};
use lab_client::{kept_versions, state::State, supervisor::Supervisor};
use terminal::stderrln;

/// How long another command may take to clear away before this one gives up on it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// The lab that runs, if one does. What is left over from one whose supervisor was killed is ended
/// first, and said.
pub fn attach(project: &Project) -> Result<Option<State>> {
    let Some(state) = State::read(&project.lab) else {
        clear_unnamed(project);
        return Ok(None);
    };
    if process::is_alive(&state.supervisor) {
        return Ok(Some(state));
    }
    let _lock = lock(project)?;
    clear_leftovers(project);
    Ok(None)
}

/// The lab that runs, or an error that says how to start one.
pub fn attach_running(project: &Project) -> Result<State> {
    match attach(project)? {
        Some(state) => Ok(state),
        None => bail!("the lab is not running; start it with: cargo xtask lab start --detach"),
    }
}

/// The lab that runs, once its services do: a service that was killed a moment ago is back within seconds.
///
/// # Errors
/// No lab runs.
pub fn attach_ready(project: &Project) -> Result<State> {
    let state = attach_running(project)?;
    control::wait_for_services(&state);
    Ok(state)
}

/// Takes the lock that one supervisor holds for as long as it lives.
pub fn lock(project: &Project) -> Result<File> {
    project.make_lab()?;
    let path = project.in_lab("lock");
    let file = open_private(&path, OpenOptions::new().write(true))
        .with_context(|| format!("could not open {}", path.display()))?;
    let begin = Instant::now();
    loop {
        if files::lock_within(&file, Duration::ZERO)
            .with_context(|| format!("could not lock {}", path.display()))?
        {
            return Ok(file);
        }
        if let Some(state) = State::read(&project.lab).filter(|state| process::is_alive(&state.supervisor)) {
            Supervisor::of_state(&state).check().context("a lab runs already")?;
            bail!("{}", already_running(&state));
        }
        // Held, but by nobody that supervises yet: by a start in its first moment, or by a command
        // that clears away.
        if begin.elapsed() > LOCK_TIMEOUT {
            bail!("another command holds {}; wait for it and try again", project.display(&path));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The sentence that refuses a second start.
fn already_running(state: &State) -> String {
    let services = services::SERVICES
        .iter()
        .filter_map(|service| service.url(&state.ports).map(|url| format!("{} {url}", service.name)))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "a lab runs already (pid {}; {services}); see it with: cargo xtask lab status; end it with: \
         cargo xtask lab stop",
        state.supervisor.pid
    )
}

/// Ends what a killed supervisor has left. To be called with the lock held.
pub fn clear_leftovers(project: &Project) {
    clear_files(project);
    let Some(state) = State::read(&project.lab) else { return };
    let mut ended = Vec::new();
    for (name, identity) in state.services.iter().rev() {
        // A recorded id that belongs to another program by now is not touched.
        if is_left_over(identity, &state.supervisor) {
            let ending = Ending { grace: services::grace(name), hurry: &|| false };
            process::end_group(identity.pid, None, &ending);
            ended.push(format!("{name} (pid {})", identity.pid));
        }
    }
    state::remove(project);
    // What was written until they had ended.
    clear_files(project);
    if ended.is_empty() {
        stderrln!("the last lab was not stopped properly; nothing of it was left running");
    } else {
        stderrln!("the last lab was not stopped properly; ended what it left running: {}", ended.join(", "));
    }
}

/// Removes the files of a supervisor that was killed before it had recorded who it is. A living one holds the lock.
fn clear_unnamed(project: &Project) {
    let Ok(lock) = OpenOptions::new().write(true).open(project.in_lab("lock")) else { return };
    if files::lock_within(&lock, Duration::ZERO).unwrap_or_default() {
        clear_files(project);
    }
}

/// Removes files that were to be renamed when their writer was killed, and what services have said of themselves.
fn clear_files(project: &Project) {
    for name in ["lab.json", "ports.json", kept_versions::FILE] {
        files::clear_scratch(&project.in_lab(name));
    }
    for entry in fs::read_dir(project.in_lab("run")).into_iter().flatten().flatten() {
        let _ = fs::remove_file(entry.path());
    }
}

/// Whether it still runs, or its group without it: compilers whose cargo was killed too.
fn is_left_over(identity: &Identity, supervisor: &Identity) -> bool {
    process::is_alive(identity) || process::group_is_of(identity.pid, supervisor)
}

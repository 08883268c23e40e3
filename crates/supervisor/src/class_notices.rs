//! The instructor's notices to the class: this lab polls them, and keeps the last ones while the service does not answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use checkout::project::Project;
use lab_client::{
    class::notices::{self, Announcement, Notices},
    temporal::Server,
};
use serde_json::{Value, json};

use crate::class_files;

/// The poll interval, without the jitter.
const READ_INTERVAL: Duration = Duration::from_secs(4);
/// The longest jitter, so that the labs of a class do not poll at the same time.
const JITTER_MS: u64 = 2_000;

/// The last known notices. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct ClassNotices(Arc<Mutex<Notices>>);

impl ClassNotices {
    /// Polls them until this process ends, and passes on each new announcement. If the service does not answer, the last ones stay.
    pub(crate) fn watch(&self, server: Server, on_announcement: impl Fn(&str) + Send + 'static) {
        let known = Arc::clone(&self.0);
        thread::spawn(move || {
            loop {
                if let Ok(read) = notices::read(&server) {
                    let before = {
                        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                        std::mem::replace(&mut *known, read.clone()).announcement
                    };
                    match read.announcement {
                        Some(announcement) if before.as_ref() != Some(&announcement) => {
                            on_announcement(&announcement.text);
                        }
                        _ => {}
                    }
                }
                thread::sleep(READ_INTERVAL + Duration::from_millis(fastrand::u64(..JITTER_MS)));
            }
        });
    }

    /// The `class` of a lab's status; null outside a class.
    pub(crate) fn status(&self, learner: Option<&str>, project: &Project) -> Value {
        let Some(learner) = learner else { return Value::Null };
        let notices = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let open = notices.open.as_deref().and_then(lab::stage);
        let is_closed = |stage: &&lab::Stage| open.is_some_and(|open| stage.number() > open.number());
        let closed: Vec<&str> = lab::STAGES.iter().filter(is_closed).map(|stage| stage.name).collect();
        let help = class_files::help(project).map(|help| {
            let mut json = help.to_json();
            json["coming"] = json!(notices.is_coming_to(learner, &help));
            json
        });
        json!({
            "learner": learner,
            "announcement": notices.announcement.as_ref().map(Announcement::to_json),
            "open": open.map(|stage| json!({ "stage": stage.name, "number": stage.number(), "title": stage.title() })),
            "closed": closed,
            "help": help,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lab_client::class::Help;

    use super::*;

    #[test]
    fn the_status_says_what_stands_and_whether_the_instructor_is_coming() {
        let root = tempfile::tempdir().expect("temporary folders can be made");
        let project = Project { root: root.path().to_owned(), lab: root.path().to_owned() };
        let class = ClassNotices::default();
        assert_eq!(class.status(None, &project), Value::Null);
        let nothing =
            json!({ "learner": "ada", "announcement": null, "open": null, "closed": [], "help": null });
        assert_eq!(class.status(Some("ada"), &project), nothing);

        let help = Help::new("which file?", "2026-11-22T12:00:00Z").expect("it has words");
        class_files::ask_for_help(&project, Some(&help)).expect("it can be written");
        let is_coming = || class.status(Some("ada"), &project)["help"]["coming"].clone();
        assert_eq!(is_coming(), json!(false));
        {
            let mut notices = class.0.lock().expect("nobody panics");
            notices.come_to("ada", &help);
            notices.open = Some("fix-workflow".to_owned());
        }
        assert_eq!(is_coming(), json!(true));
        assert_eq!(class.status(Some("ada"), &project)["open"]["number"], 2);
        // Of a newer version of the lab, or written by somebody in the room.
        class.0.lock().expect("nobody panics").open = Some("no-such-stage".to_owned());
        assert_eq!(class.status(Some("ada"), &project)["open"], Value::Null);
        fs::remove_file(project.in_lab(class_files::HELP_FILE)).expect("it is there");
        assert_eq!(class.status(Some("ada"), &project)["help"], Value::Null);
    }
}

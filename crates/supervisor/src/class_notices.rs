//! The instructor's notices to the class: this lab polls them, and keeps the last ones while the service does not answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use checkout::project::Project;
use lab_client::{
    class::notices::{self, Announcement, ClassDrill, Notices},
    progress::Progress,
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
    /// Polls them until this process ends, and passes on each new announcement and drill as a line. If the service does not answer, the
    /// last ones stay.
    pub(crate) fn watch(&self, server: Server, on_news: impl Fn(&str) + Send + 'static) {
        let known = Arc::clone(&self.0);
        thread::spawn(move || {
            loop {
                if let Ok(read) = notices::read(&server) {
                    let before = {
                        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                        std::mem::replace(&mut *known, read.clone())
                    };
                    news(&before, &read).iter().for_each(|line| on_news(line));
                }
                thread::sleep(READ_INTERVAL + Duration::from_millis(fastrand::u64(..JITTER_MS)));
            }
        });
    }

    /// The `class` of a lab's status; null outside a class.
    pub(crate) fn status(&self, learner: Option<&str>, project: &Project) -> Value {
        let Some(learner) = learner else { return Value::Null };
        let notices = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let open = notices.open.as_deref().and_then(lab::stage).filter(|stage| stage.number().is_some());
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
            "drill": notices.drill.as_ref().map(|drill| {
                // The incident has no name here: finding out is a part of the drill.
                let mut json = drill.to_json();
                json["started"] = json!(Progress::read(&project.lab).drill.is_some_and(|own| own.seed == drill.seed));
                json
            }),
            "help": help,
        })
    }
}

/// Lines with what the instructor has said since.
fn news(before: &Notices, now: &Notices) -> Vec<String> {
    let announcement = now.announcement.as_ref().filter(|_| now.announcement != before.announcement);
    let drill = now.drill.as_ref().filter(|_| now.drill != before.drill);
    announcement
        .map(|announcement| format!("from your instructor: {}", announcement.text))
        .into_iter()
        .chain(drill.map(ClassDrill::offer))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lab_client::{
        class::Help,
        progress::{self, Drill},
    };

    use super::*;

    #[test]
    fn what_is_new_is_a_line() {
        let drill = Some(ClassDrill { seed: 7, ..ClassDrill::default() });
        let announcement = Announcement::new("a break", "");
        let both = Notices { announcement, drill, ..Notices::default() };
        let lines = [
            "from your instructor: a break",
            "your instructor started a drill; to begin it: cargo xtask drill --seed 7",
        ];
        assert_eq!(news(&Notices::default(), &both), lines);
        assert_eq!(news(&both, &both), [""; 0]);
        assert_eq!(news(&both, &Notices::default()), [""; 0]);
    }

    #[test]
    fn the_status_says_what_stands_and_whether_the_instructor_is_coming() {
        let root = tempfile::tempdir().expect("temporary folders can be made");
        let project = Project { root: root.path().to_owned(), lab: root.path().to_owned() };
        let class = ClassNotices::default();
        assert_eq!(class.status(None, &project), Value::Null);
        let nothing = json!({ "learner": "ada", "announcement": null, "open": null, "closed": [], "drill": null, "help": null });
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
        class.0.lock().expect("nobody panics").drill = Some(ClassDrill { seed: 7, ..ClassDrill::default() });
        let drill = || class.status(Some("ada"), &project)["drill"].clone();
        assert_eq!(drill(), json!({ "seed": 7, "since": "", "started": false }));
        let drill_of = |seed| {
            let mut progress = Progress::begin(&lab::INCIDENTS[0].stage);
            progress.drill = Some(Drill { seed, last_entry: 0, ended: None });
            project.write_json(progress::FILE, &progress.to_json()).expect("it can be written");
        };
        drill_of(8);
        assert_eq!(drill()["started"], false);
        drill_of(7);
        assert_eq!(drill()["started"], true);
        fs::remove_file(project.in_lab(class_files::HELP_FILE)).expect("it is there");
        assert_eq!(class.status(Some("ada"), &project)["help"], Value::Null);
    }
}

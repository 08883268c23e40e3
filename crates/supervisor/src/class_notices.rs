//! The instructor's notices to the class: this lab follows them by long polls, and keeps the last ones while the service does not answer.

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

/// How often to look whether there are notices, while there are none and while the service does not answer.
const READ_INTERVAL: Duration = Duration::from_secs(8);
/// The longest delay of a request, so that the labs of a class do not all send it at the same moment.
const JITTER: Duration = Duration::from_secs(1);

/// The last known notices. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct ClassNotices(Arc<Mutex<Notices>>);

impl ClassNotices {
    /// Follows them until this process ends, and passes on each new announcement and drill as a line. If the service does not answer, the
    /// last ones stay.
    pub(crate) fn watch(&self, server: Server, on_news: impl Fn(&str) + Send + 'static) {
        let known = Arc::clone(&self.0);
        thread::spawn(move || {
            loop {
                let read = notices::read_with_run(&server);
                if let Ok((read, _)) = &read {
                    let before = {
                        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                        std::mem::replace(&mut *known, read.clone())
                    };
                    news(&before, read).iter().for_each(|line| on_news(line));
                }
                let changed = match read {
                    Ok((_, Some(run))) => server.wait_closed(&run).is_ok(),
                    _ => false,
                };
                let pause = if changed { Duration::ZERO } else { READ_INTERVAL };
                thread::sleep(pause + JITTER.mul_f64(fastrand::f64()));
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
                json["started"] = json!(Progress::read(&project.lab).has_started_drill(drill.seed, &drill.since));
                json
            }),
            "help": help,
            "clock_ahead_s": class_files::clock_ahead(project),
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
    use std::{
        fs,
        sync::{
            atomic::{AtomicU32, Ordering},
            mpsc,
        },
    };

    use lab_client::{
        Endpoints,
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
    fn a_change_is_read_once_the_run_with_the_notices_has_closed() {
        let (asked, requests) = mpsc::channel();
        let describes = AtomicU32::new(0);
        let address = webtest::web_service(move |request| {
            let _ = asked.send(request.head.lines().next().unwrap_or_default().to_owned());
            if request.head.contains("/history?") {
                return (200, json!({ "history": { "events": [{ "eventId": "2" }] } }).to_string());
            }
            let (text, run) = match describes.fetch_add(1, Ordering::Relaxed) {
                0 => ("a break", "first"),
                1 => ("it is over", "second"),
                // Whoever asks again has to wait.
                _ => return (503, "{}".to_owned()),
            };
            let order =
                notices::order(&Notices { announcement: Announcement::new(text, ""), ..Notices::default() });
            let description = json!({
                "executionConfig": { "taskQueue": order["taskQueue"] },
                "workflowExecutionInfo": {
                    "execution": { "workflowId": notices::WORKFLOW_ID, "runId": run },
                    "type": order["workflowType"],
                    "status": "WORKFLOW_EXECUTION_STATUS_RUNNING",
                    "memo": order["memo"],
                },
            });
            (200, description.to_string())
        });
        let (told, lines) = mpsc::channel();
        let endpoints = Endpoints::own(&format!("http://{address}"), "", "");
        ClassNotices::default().watch(Server::new(&endpoints), move |line| {
            let _ = told.send(line.to_owned());
        });
        let next = || lines.recv_timeout(Duration::from_secs(60)).expect("there is news");
        assert_eq!(
            (&*next(), &*next()),
            ("from your instructor: a break", "from your instructor: it is over")
        );
        let requests: Vec<String> = requests.try_iter().take(3).collect();
        assert!(
            requests[1].contains("runId=first") && requests[1].contains("waitNewEvent=true"),
            "{requests:?}"
        );
    }

    #[test]
    fn the_status_says_what_stands_and_whether_the_instructor_is_coming() {
        let root = tempfile::tempdir().expect("temporary folders can be made");
        let project = Project { root: root.path().to_owned(), lab: root.path().to_owned() };
        let class = ClassNotices::default();
        assert_eq!(class.status(None, &project), Value::Null);
        let nothing = json!({ "learner": "ada", "announcement": null, "open": null, "closed": [], "drill": null, "help": null,
            "clock_ahead_s": null });
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
        // It has ended, and the learner has gone on to a stage.
        let gone_on = Progress {
            ended_drills: vec![(7, "2026-11-22T12:05:01Z".to_owned())],
            ..Progress::begin(&lab::STAGES[0])
        };
        project.write_json(progress::FILE, &gone_on.to_json()).expect("it can be written");
        assert_eq!(drill()["started"], true);
        fs::remove_file(project.in_lab(class_files::HELP_FILE)).expect("it is there");
        assert_eq!(class.status(Some("ada"), &project)["help"], Value::Null);
    }
}

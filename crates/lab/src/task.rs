//! The tasks of a stage's text: what a learner does, one after the other, each in a form for the terminal and one for the page.
//!
//! In the section `## Do`, each `### Title` begins a task. Its form for the terminal is Markdown with the commands that tests play.
//! Its form for the page follows in a comment, which Markdown viewers hide:
//!
//! ```md
//! <!-- page until=workflow-task-fails
//! Press [Start transfer](#submit). The transfer appears under *Transfers*.
//! -->
//! ```
//!
//! `until=` names what completes the task: a goal of the stage, or a [`Condition`]. A link to `#id` leads to an element of the page or to
//! one of [`CARD_PARTS`]. The [`PLACEHOLDERS`] have this lab's values.

use crate::{
    Facts, Status,
    goals::{fails_now, waiting_activity},
};

/// Parts of a transfer's card on the page that a task can link to: those of the transfer that the task is about.
pub const CARD_PARTS: [&str; 3] = ["transfer", "retry", "details"];

/// What a page form can have in braces: the Workflow Id of the transfer that the task is about, the event to reset it to, the addresses
/// of its run and of the list of Workflows in the Temporal UI, the name of the lab's Worker Deployment, and the process id of each
/// service.
pub const PLACEHOLDERS: [&str; 8] =
    ["workflow_id", "event_id", "run", "ui", "deployment", "pid_worker", "pid_temporal", "pid_account_api"];

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Its heading.
    pub title: String,
    /// The line of its heading; the first is 1.
    pub line: usize,
    /// Its form for the terminal.
    pub terminal: String,
    /// Its form for the page.
    pub page: Option<PageForm>,
}

/// The form of a task for the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageForm {
    /// What completes the task.
    pub until: String,
    /// What the page shows: Markdown.
    pub text: String,
    /// The line on which its comment begins.
    pub line: usize,
}

/// Something other than a goal that completes a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The stage has been entered.
    Entered,
    /// A transfer of the stage is stuck.
    Stuck,
    /// Saving a file no longer deploys it.
    WatchOff,
    /// Saving a file deploys it.
    WatchOn,
    /// The learner says so.
    Done,
}

impl Condition {
    /// All of them, with their names in a text.
    pub const ALL: [(&str, Condition); 5] = [
        ("entered", Condition::Entered),
        ("stuck", Condition::Stuck),
        ("watch-off", Condition::WatchOff),
        ("watch-on", Condition::WatchOn),
        ("done", Condition::Done),
    ];

    /// The condition of this name.
    pub fn named(name: &str) -> Option<Condition> {
        Condition::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, condition)| condition)
    }

    /// Whether it holds, where a saved file is deployed or not.
    pub fn holds(self, facts: &Facts, is_watching: bool) -> bool {
        match self {
            Condition::Entered => true,
            Condition::Stuck => facts.transfers.iter().any(|transfer| {
                let run = transfer.last();
                run.status == Status::Running && (fails_now(run) || waiting_activity(run).is_some())
            }),
            Condition::WatchOff => !is_watching,
            Condition::WatchOn => is_watching,
            Condition::Done => false,
        }
    }
}

/// A section of a text: its heading, and what is below it.
pub type Section<'a> = (&'a str, &'a str);

/// What a text says before its first section, without the heading, and its sections.
pub fn sections(source: &str) -> (&str, Vec<Section<'_>>) {
    let mut parts = source.split("\n## ");
    let beginning = parts.next().unwrap_or_default();
    let story = match beginning.split_once('\n') {
        Some((heading, rest)) if heading.starts_with("# ") => rest,
        _ => beginning,
    };
    let sections = parts.map(|part| part.split_once('\n').unwrap_or((part, "")));
    (story.trim(), sections.map(|(title, body)| (title.trim(), body.trim())).collect())
}

/// How the comment with a page form begins.
pub(crate) const PAGE: &str = "<!-- page";

/// The tasks of a text.
pub fn tasks(source: &str) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    let (mut is_do, mut fence, mut in_page) = (false, false, false);
    for (at, line) in source.lines().enumerate() {
        if !in_page && line.starts_with("```") {
            fence = !fence;
        }
        if !fence && !in_page && line.starts_with("## ") {
            is_do = line == "## Do";
            continue;
        }
        if !is_do {
            continue;
        }
        if let Some(title) = line.strip_prefix("### ").filter(|_| !fence && !in_page) {
            tasks.push(Task { title: title.trim().to_owned(), line: at + 1, ..Task::default() });
            continue;
        }
        let Some(task) = tasks.last_mut() else { continue };
        if let Some(words) = line.strip_prefix(PAGE).filter(|_| !fence && !in_page) {
            let until = words.trim().strip_prefix("until=").unwrap_or_default().to_owned();
            task.page = Some(PageForm { until, text: String::new(), line: at + 1 });
            in_page = true;
        } else if let Some(page) = task.page.as_mut().filter(|_| in_page) {
            in_page = line.trim() != "-->";
            if in_page {
                page.text.push_str(line);
                page.text.push('\n');
            }
        } else {
            task.terminal.push_str(line);
            task.terminal.push('\n');
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "# 1. Title\n\nA story.\n\n## Do\n\n### Start one\n\n```console\n$ cargo xtask lab status\n### no heading\n```\n\n\
                          <!-- page until=entered\nPress [it](#submit).\n\n```console\n$ cargo xtask check\n```\n-->\n\n### Fix it\n\n<!-- fix -->\n\n\
                          ## See\n\n### not a task\n";

    #[test]
    fn a_task_has_a_form_for_the_terminal_and_one_for_the_page() {
        let tasks = tasks(SOURCE);
        let [start, fix] = &tasks[..] else { panic!("{tasks:?}") };
        assert_eq!((start.title.as_str(), start.line), ("Start one", 7));
        assert!(
            start.terminal.contains("### no heading") && !start.terminal.contains("#submit"),
            "{start:?}"
        );
        let page = start.page.as_ref().expect("a page form");
        assert_eq!((page.until.as_str(), page.line), ("entered", 14));
        assert!(page.text.starts_with("Press [it](#submit).\n"), "{page:?}");
        assert_eq!((fix.title.as_str(), fix.page.as_ref()), ("Fix it", None));
        assert!(fix.terminal.contains("<!-- fix -->"), "{fix:?}");
        // Only the form for the terminal is played.
        assert_eq!(crate::blocks(SOURCE).len(), 2);
    }

    #[test]
    fn a_text_has_a_story_and_sections() {
        let (story, sections) = sections(SOURCE);
        assert_eq!(story, "A story.");
        assert_eq!(sections.iter().map(|(title, _)| *title).collect::<Vec<_>>(), ["Do", "See"]);
    }

    #[test]
    fn conditions_are_found_by_name() {
        assert_eq!(Condition::named("watch-off"), Some(Condition::WatchOff));
        assert_eq!(Condition::named("sometime"), None);
        assert!(Condition::WatchOff.holds(&Facts::default(), false));
        assert!(!Condition::Stuck.holds(&Facts::default(), true));
    }
}

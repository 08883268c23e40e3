//! The board in a terminal.

use lab_client::{
    class::{Board, DrillState, Need, Row},
    supervisor::BuildState,
};

use terminal::{bold, duration, green, red, shorten};

/// The longest line.
const WIDTH: usize = 100;
/// The widest column of names, and of stages.
const COLUMN: usize = 24;

/// The board's lines: questions, and then every learner, those who need help first.
pub fn lines(board: &Board, service: &str) -> Vec<String> {
    let mut lines = vec![format!("{} on {service}: {}", bold("class"), summary(board))];
    if let Some(announcement) = &board.notices.announcement {
        lines.push(format!("announced: {}", announcement.text));
    }
    if let Some(open) = &board.notices.open {
        lines.push(format!("open up to stage {open}"));
    }
    if let Some((drill, incident, states)) = board.drill() {
        let counts = states.into_iter().filter(|(_, count)| *count > 0);
        let counts: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
        lines.push(format!("drill {}, {}: {}", drill.seed, incident.heading(), counts.join(", ")));
    }
    if board.rows.is_empty() {
        lines.push("  to join: cargo xtask lab start --address HOST:PORT --learner NAME".to_owned());
    }
    let done: Vec<String> = board
        .stages()
        .iter()
        .filter(|stage| stage.done > 0)
        .map(|stage| format!("{} {}", stage.name, stage.done))
        .collect();
    if !done.is_empty() {
        lines.push(format!("done with: {}", done.join(", ")));
    }
    for row in &board.rows {
        if let (Some(help), Some(time)) = (&row.report.help, row.help_for) {
            let coming = if row.coming { ", you are coming" } else { "" };
            lines.push(format!(
                "{} {}, for {}{coming}: {}",
                red(&bold("HELP")),
                bold(&row.report.learner),
                duration(time),
                help.text
            ));
        }
    }
    let width = |of: fn(&Row) -> &str| {
        let widest = board.rows.iter().map(|row| of(row).chars().count()).max();
        widest.unwrap_or_default()
    };
    let name = width(|row| &row.report.learner);
    let stage = width(|row| &row.report.stage).min(COLUMN);
    for row in &board.rows {
        let (reached, of) = (row.reached(), row.report.goals.len());
        let goals = format!("{reached}/{of}");
        let goals = if of > 0 && reached == of { green(&goals) } else { goals };
        lines.push(format!(
            "  {:name$}  {:stage$}  {goals}  {}{}",
            row.report.learner,
            shorten(&row.report.stage, COLUMN),
            board.drill_of(row).map_or(String::new(), |state| format!("drill: {}; ", drill(&state))),
            state(row)
        ));
        lines.extend(notes(row).into_iter().map(|note| format!("    {}", shorten(&note, WIDTH - 4))));
    }
    lines
}

/// The class in numbers.
fn summary(board: &Board) -> String {
    let count = |is_so: &dyn Fn(&Row) -> bool| board.rows.iter().filter(|row| is_so(row)).count();
    let learners = match board.rows.len() {
        0 => return "nobody has joined yet".to_owned(),
        1 => "1 learner".to_owned(),
        some => format!("{some} learners"),
    };
    let mut parts = vec![learners];
    for (number, one, many) in [
        (board.asking(), "asks for help", "ask for help"),
        (count(&|row| row.presence() == "silent"), "silent", "silent"),
        (count(&|row| row.need() == Need::NoNewGoal), "without a new goal", "without a new goal"),
        (count(&|row| row.presence() == "stopped"), "stopped", "stopped"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {}", if number == 1 { one } else { many }));
        }
    }
    parts.join(", ")
}

/// Since when the learner has reached no new goal, and when the lab was last seen.
fn state(row: &Row) -> String {
    let seen = duration(row.seen);
    match (row.presence(), row.goal_for) {
        ("silent", _) => red(&format!("silent for {seen}")),
        ("stopped", _) => format!("stopped {seen} ago"),
        (_, Some(time)) if row.has_no_new_goal() => {
            format!("no new goal for {}, seen {seen} ago", duration(time))
        }
        _ => format!("{seen} ago"),
    }
}

/// How far a learner is with a drill: `mitigated after 8 min, 1 hint`.
pub(crate) fn drill(state: &DrillState<'_>) -> String {
    let preposition = if state.name == "working" { "for" } else { "after" };
    let time = state.seconds.map_or(String::new(), |time| format!(" {preposition} {}", duration(time)));
    let hints = match state.drill.map_or(0, |drill| drill.hints) {
        0 => String::new(),
        1 => ", 1 hint".to_owned(),
        some => format!(", {some} hints"),
    };
    format!("{}{time}{hints}", state.name)
}

/// Further lines about a learner.
fn notes(row: &Row) -> Vec<String> {
    let report = &row.report;
    let mut notes = Vec::new();
    if report.wrong > 0 {
        notes.push(format!(
            "{}: cargo xtask check in their lab explains it",
            if report.wrong == 1 {
                "1 rule broken".to_owned()
            } else {
                format!("{} rules broken", report.wrong)
            }
        ));
    }
    // Most stages begin with a stuck transfer: it matters only for learners who need help.
    if let (Some(stuck), Some(time), true) = (&report.stuck, row.stuck_for, row.need() < Need::Nothing) {
        let others = match report.stuck_transfers {
            0 | 1 => String::new(),
            some => format!(", and {} more", some - 1),
        };
        notes.push(format!(
            "stuck for {} on {}: {}, attempt {}{others}",
            duration(time),
            stuck.what,
            stuck.workflow_id,
            stuck.attempt
        ));
        if !stuck.failure.is_empty() {
            notes.push(stuck.failure.clone());
        }
    }
    if report.build == Some(BuildState::Failed) {
        notes.push("the last build failed".to_owned());
    }
    if report.shared {
        notes.push("two labs use this name; one of them must choose another".to_owned());
    }
    if let Some(ahead) = row.clock_ahead {
        notes.push(format!("the laptop's clock is {}", terminal::ahead(ahead)));
    }
    notes
}

#[cfg(test)]
mod tests {
    use lab_client::class::{
        Drill, Goal, Help, Report, StuckOn,
        notices::{ClassDrill, Notices},
    };

    use super::*;

    fn row(learner: &str) -> Row {
        let goal = |reached| Goal { says: "a goal".to_owned(), reached };
        let report = Report {
            learner: learner.to_owned(),
            stage: "jerry".to_owned(),
            goals: vec![goal(true), goal(true), goal(false)],
            ..Report::default()
        };
        Row { report, seen: 4.0, ..Row::default() }
    }

    /// The lines without colours, even if the tests run in a terminal.
    fn plain(lines: Vec<String>) -> Vec<String> {
        let escape = regex_lite::Regex::new("\u{1b}\\[[0-9;]*m").expect("it is a pattern");
        lines.iter().map(|line| escape.replace_all(line, "").into_owned()).collect()
    }

    #[test]
    fn help_is_first_and_every_learner_has_a_line() {
        let mut asks = row("ada");
        asks.report.help = Help::new("where is it?", "");
        asks.help_for = Some(125.0);
        let mut stuck = row("bob");
        stuck.report.stuck = Some(StuckOn {
            workflow_id: "transfer-1".to_owned(),
            what: "the Activity withdraw".to_owned(),
            attempt: 7,
            failure: "no ".repeat(200),
            ..StuckOn::default()
        });
        (stuck.stuck_for, stuck.report.stuck_transfers) = (Some(61.0), 3);
        (stuck.goal_for, stuck.report.done) = (Some(725.0), vec!["fix-workflow".to_owned()]);
        let silent = Row { seen: 250.0, ..row("cyd") };
        let mut stopped = row("dan");
        stopped.report.stopped = true;
        let lines = plain(lines(
            &Board { rows: vec![asks, stuck, silent, stopped], ..Board::default() },
            "10.0.0.7:7233",
        ));
        assert_eq!(
            lines[..6],
            [
                "class on 10.0.0.7:7233: 4 learners, 1 asks for help, 1 silent, 1 without a new goal, 1 stopped",
                "done with: fix-workflow 1",
                "HELP ada, for 2 min: where is it?",
                "  ada  jerry  2/3  4.0 s ago",
                "  bob  jerry  2/3  no new goal for 12 min, seen 4.0 s ago",
                "    stuck for 1 min on the Activity withdraw: transfer-1, attempt 7, and 2 more",
            ]
        );
        assert_eq!(
            lines[7..],
            ["  cyd  jerry  2/3  silent for 4 min", "  dan  jerry  2/3  stopped 4.0 s ago"]
        );
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
    }

    #[test]
    fn each_learner_is_shown_with_the_drill_of_the_class() {
        let drill = ClassDrill { seed: 7, ..ClassDrill::default() };
        let notices = Notices { drill: Some(drill), ..Notices::default() };
        let drill = Drill { seed: 7, mitigated: Some(480), hints: 2, ..Drill::default() };
        let mut ada = row("ada");
        ada.report.drills = vec![drill];
        let lines = plain(lines(&Board { rows: vec![ada, row("bob")], notices }, "here"));
        let heading = lab::incident_of(7).stage.heading();
        let expected = [
            format!("drill 7, {heading}: 1 not started, 1 mitigated"),
            "  ada  jerry  2/3  drill: mitigated after 8 min, 2 hints; 4.0 s ago".to_owned(),
            "  bob  jerry  2/3  drill: not started; 4.0 s ago".to_owned(),
        ];
        assert_eq!(lines[1..], expected);
    }

    #[test]
    fn an_empty_class_says_how_to_join() {
        let lines = plain(lines(&Board::default(), "here"));
        assert!(lines[0].contains("nobody has joined yet") && lines[1].contains("--learner"), "{lines:?}");
    }
}

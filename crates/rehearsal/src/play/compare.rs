//! What a text says that a command prints, against what it printed.
//!
//! Ids, times, durations, ports, process ids and numbers of attempts are others each time: in a text they
//! stand for whatever they are now. An id that a text names again has to be the same one again, in what is
//! printed and in what is typed: [`Ids`] knows which is which.

use std::{collections::BTreeMap, sync::LazyLock};

use regex_lite::{Captures, Regex, escape};

/// How something that is another each time stands in a text and in an output.
struct Row {
    /// How to find it in a text.
    text: &'static str,
    /// What may stand in its place.
    output: &'static str,
    /// Whether it is an id: then its first group, or all of it, names the same thing wherever it stands.
    is_id: bool,
}

const fn id(pattern: &'static str) -> Row {
    Row { text: pattern, output: pattern, is_id: true }
}

const fn varies(text: &'static str, output: &'static str) -> Row {
    Row { text, output, is_id: false }
}

/// The Run Id of an execution, or another id of that kind.
const UUID: &str = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b";
const WORKFLOW_ID: &str = r"\btransfer-[0-9]{10}-[0-9a-f]{8}\b";
/// Where several share a namespace, a learner's name stands before it.
const SOMEBODYS_WORKFLOW_ID: &str = r"(?:\b[a-z0-9-]+\.)?\btransfer-[0-9]{10}-[0-9a-f]{8}\b";
/// The first part of a backup's name.
const BACKUP: &str = r"\b[0-9]{8}T[0-9]{6}Z\b";
const PID: &str = r#"\bpid"?:? *[0-9]+\b"#;
const TIME: &str =
    r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})";
const CLOCK: &str = r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?\b";
/// As the Temporal CLI writes it.
const AGO: &str = r"\b[0-9]+ (?:second|minute|hour)s? ago\b|\ba few seconds ago\b";
const AGO_OR_NOW: &str = r"(?:[0-9]+ (?:second|minute|hour)s? ago|a few seconds ago|now)";
const DURATION: &str = r"\b[0-9]+(?:\.[0-9]+)? ?(?:ms|s|min|h)\b(?: [0-9]+ min\b)?";
const LOOPBACK: &str = r"\b(?:127\.0\.0\.1|localhost):[0-9]+\b";
/// In a link to the Temporal UI: a rehearsal may be in another than the texts.
const NAMESPACE: &str = r"/namespaces/[A-Za-z0-9._-]+/";
const ATTEMPT: &str = r#"(?i)\battempts?"?:? *[0-9]+\b"#;
/// The Worker Deployment.
const DEPLOYMENT: &str = r"\bmoney-transfer\b";
/// Where several share a namespace, a learner's name stands after it.
const SOMEBODYS_DEPLOYMENT: &str = r"\bmoney-transfer(?:-[a-z0-9-]+)?\b";
/// How many transfers a version took, which the server decides by their ids.
const TAKEN: &str = r": [0-9]+ transfers\b";
const TAKEN_AND_STUCK: &str = r": [0-9]+ transfers, [0-9]+ of them stuck\b";

/// In the order in which they are looked for.
const ROWS: [Row; 17] = [
    id(UUID),
    // A Run Id that was cut short.
    varies(r"\b[0-9a-f]{8}-…", r"[0-9a-f]{8}-.*"),
    Row { text: WORKFLOW_ID, output: SOMEBODYS_WORKFLOW_ID, is_id: true },
    id(BACKUP),
    id(PID),
    varies(TIME, TIME),
    varies(CLOCK, CLOCK),
    varies(AGO, AGO_OR_NOW),
    varies(DURATION, DURATION),
    varies(LOOPBACK, LOOPBACK),
    varies(NAMESPACE, NAMESPACE),
    varies(ATTEMPT, ATTEMPT),
    varies(DEPLOYMENT, SOMEBODYS_DEPLOYMENT),
    varies(TAKEN_AND_STUCK, TAKEN_AND_STUCK),
    varies(TAKEN, TAKEN),
    // Any text, also none, and then there are no spaces around it.
    varies(" *… *", ".*"),
    // Columns are as wide as what is in them, and the Temporal CLI puts their heads in the middle.
    varies(r" +", r" +"),
];

/// Finds any of the [`ROWS`] in a line of a text: the group that matches tells which.
static VARYING: LazyLock<Regex> = LazyLock::new(|| {
    let groups: Vec<String> = ROWS.iter().map(|row| format!("({})", row.text)).collect();
    regex(&groups.join("|"))
});

/// A variant of a module, which a rehearsal runs in place of the live one.
static VARIANT: LazyLock<Regex> =
    LazyLock::new(|| regex(r"crates/stages/src/(workflow|activities)/[a-z_]+\.rs"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{pattern}: {error}"))
}

/// What the ids of a text are this time.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids(BTreeMap<String, String>);

impl Ids {
    /// Whether this was printed, going by the text; else from which line of each on it was not. What is
    /// learned of the text's ids is kept if it was, and only then.
    pub(super) fn compare(&mut self, expected: &[String], printed: &[String]) -> Result<(), (usize, usize)> {
        let (blank, expected) = without_blank_ends(expected);
        let (blank_here, printed) = without_blank_ends(printed);
        let printed: Vec<String> = printed.iter().map(|line| as_live(line.trim_end())).collect();
        let mut furthest = (0, 0);
        match lines_match(expected, &printed, (0, 0), self, &mut furthest) {
            Some(learned) => {
                *self = learned;
                Ok(())
            }
            None => Err((blank + furthest.0, blank_here + furthest.1)),
        }
    }

    /// A word of a command with this time's ids; else the id in it that nothing has printed so far.
    pub(super) fn in_command(&self, word: &str) -> Result<String, String> {
        static IDS: LazyLock<Regex> = LazyLock::new(|| regex(&format!("{UUID}|{WORKFLOW_ID}|{BACKUP}")));
        let unknown = IDS.find_iter(word).find(|id| !self.0.contains_key(id.as_str()));
        match unknown {
            Some(id) => Err(id.as_str().to_owned()),
            None => Ok(IDS.replace_all(word, |id: &Captures<'_>| self.0[&id[0]].clone()).into_owned()),
        }
    }

    /// The process id that stands for this one of the text.
    pub(super) fn pid(&self, pid: &str) -> Option<&str> {
        self.0.get(&format!("pid {pid}")).and_then(|here| here.strip_prefix("pid "))
    }

    /// A line of a text with what is known of its ids, to be shown.
    pub(super) fn in_line(&self, line: &str) -> String {
        self.0
            .iter()
            .filter(|(id, _)| !id.starts_with("pid "))
            .fold(line.to_owned(), |line, (id, here)| line.replace(id, here))
    }

    /// Notes what an id of the text is; false if it, or what it would be, is known to be something else.
    fn learn(&mut self, id: String, here: String) -> bool {
        match self.0.get(&id) {
            Some(known) => *known == here,
            None if self.0.values().any(|other| *other == here) => false,
            None => {
                self.0.insert(id, here);
                true
            }
        }
    }
}

/// The ids, after the lines from there on were found to match.
fn lines_match(
    expected: &[String],
    printed: &[String],
    at: (usize, usize),
    ids: &Ids,
    furthest: &mut (usize, usize),
) -> Option<Ids> {
    *furthest = (*furthest).max(at);
    match (expected.get(at.0), printed.get(at.1)) {
        (None, None) => Some(ids.clone()),
        (Some(any), _) if any.trim() == "…" => {
            let mut rests = at.1..=printed.len();
            rests.find_map(|rest| lines_match(expected, printed, (at.0 + 1, rest), ids, furthest))
        }
        (Some(line), Some(here)) => {
            let ids = line_matches(line, here, ids)?;
            lines_match(expected, printed, (at.0 + 1, at.1 + 1), &ids, furthest)
        }
        _ => None,
    }
}

/// The ids, after this line was found to match.
fn line_matches(expected: &str, here: &str, ids: &Ids) -> Option<Ids> {
    let expected = as_live(expected.trim_end());
    let mut pattern = "^".to_owned();
    // The text's ids that are captured, in order.
    let mut captured = Vec::new();
    let mut end = 0;
    for found in VARYING.captures_iter(&expected) {
        let Some((row, part)) = (0..ROWS.len()).find_map(|row| Some((&ROWS[row], found.get(row + 1)?)))
        else {
            continue;
        };
        pattern.push_str(&escape(&expected[end..part.start()]));
        end = part.end();
        if row.is_id {
            captured.push(name(part.as_str()));
            pattern.push_str(&format!("({})", row.output));
        } else {
            pattern.push_str(&format!("(?:{})", row.output));
        }
    }
    pattern.push_str(&escape(&expected[end..]));
    pattern.push('$');
    let found = regex(&pattern).captures(here)?;
    let mut ids = ids.clone();
    let all = captured.into_iter().enumerate().all(|(at, id)| {
        let here = found.get(at + 1).map_or("", |here| here.as_str());
        ids.learn(id, name(here))
    });
    all.then_some(ids)
}

/// The name that an id is known by: a process id is written in several ways.
fn name(id: &str) -> String {
    match id.strip_prefix("pid") {
        Some(pid) => format!("pid {}", pid.trim_start_matches(|c: char| !c.is_ascii_digit())),
        None => id.to_owned(),
    }
}

/// With the live modules in place of the variants that a rehearsal runs.
fn as_live(line: &str) -> String {
    VARIANT.replace_all(line, "crates/worker/src/$1.rs").into_owned()
}

/// The lines without the blank ones at both ends, and how many were left out before them.
fn without_blank_ends(lines: &[String]) -> (usize, &[String]) {
    let says = |line: &String| !line.trim().is_empty();
    let first = lines.iter().position(says).unwrap_or(lines.len());
    let end = lines.iter().rposition(says).map_or(first, |last| last + 1);
    (first, &lines[first..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn matches(expected: &str, printed: &str) -> bool {
        Ids::default().compare(&lines(expected), &lines(printed)).is_ok()
    }

    #[test]
    fn what_is_another_each_time_stands_for_whatever_it_is() {
        for (expected, printed) in [
            ("started transfer-1795354341-55a2c253", "started transfer-1795360000-00000000"),
            ("  run   01a2036b-358c-7600-ab63-fb9a239059ae", "  run   00000000-0000-0000-0000-000000000000"),
            (
                "see http://127.0.0.1:8233/x/01a2036b-…/history",
                "see http://127.0.0.1:31000/x/00000000-0000-0000-0000-000000000000/history",
            ),
            ("at 2026-11-22T12:04:49.625Z", "at 2026-12-01T00:00:00Z"),
            ("12:04:49 started", "00:00:00 started"),
            ("  temporal     running    for 6.0 s     pid 12159    http://127.0.0.1:8233", ""),
            ("started 3 seconds ago", "started now"),
            ("attempt 4, in 2.6 s", "attempt 12, in 0.1 s"),
            (r#"{"pid":12,"attempt":3}"#, r#"{"pid":99999,"attempt":1}"#),
            ("built after 2 h 5 min", "built after 42 s"),
            ("version 1: 21 transfers", "version 1: 7 transfers"),
            ("version 2: 5 transfers, 2 of them stuck", "version 2: 41 transfers, 20 of them stuck"),
            ("money-transfer.2 is", "money-transfer-ada-2.2 is"),
            (" Status   WorkflowId", "   Status               WorkflowId   "),
            ("at crates/worker/src/workflow.rs:128:24", "at crates/stages/src/workflow/added_step.rs:128:24"),
        ] {
            let printed = if printed.is_empty() {
                "  temporal     running    for 12 s      pid 7        http://127.0.0.1:30000"
            } else {
                printed
            };
            assert!(matches(expected, printed), "{expected}\n{printed}");
            assert!(matches(expected, expected), "{expected}");
        }
    }

    #[test]
    fn everything_else_has_to_be_what_the_text_says() {
        for (expected, printed) in [
            ("started transfer-1795354341-55a2c253", "started my-transfer"),
            ("transfers 1 under way, 1 stuck", "transfers 2 under way, 1 stuck"),
            ("event 7", "event 8"),
            ("version 1: 21 transfers", "version 2: 21 transfers"),
            ("version 2: 5 transfers, 2 of them stuck", "version 2: 5 transfers"),
            ("version 1: 5 transfers", "version 1: 5 transfers, 2 of them stuck"),
            ("money-transfer.2 is", "money-transfers.2 is"),
            ("workflow.rs:128:24", "workflow.rs:129:24"),
            ("crates/worker/src/workflow.rs:1", "crates/stages/src/activities/jerry.rs:1"),
            ("(a+b)", "aab"),
            ("  indented", "indented"),
            ("completed: 25.50", "completed: 25.50 and more"),
            ("at http://127.0.0.1:5005", "at http://192.168.0.1:5005"),
            ("one", "one\ntwo"),
            ("one\ntwo", "one"),
            ("one\n\ntwo", "one\ntwo"),
        ] {
            assert!(!matches(expected, printed), "{expected}\n{printed}");
        }
    }

    #[test]
    fn dots_stand_for_any_text_and_any_lines() {
        assert!(matches("failure: … Connection refused", "failure: a (b) [c] Connection refused"));
        assert!(matches("all…", "all") && matches("all  …", "all"));
        assert!(!matches("failure: … refused", "failure: timed out"));
        for printed in ["one\nlast", "one\ntwo\n\nthree\nlast", "one\nlast\nlast"] {
            assert!(matches("one\n…\nlast", printed), "{printed}");
        }
        assert!(!matches("one\n…\nlast", "one\ntwo"));
        assert!(matches("…", "") && matches("  …\n", "one\ntwo"));
    }

    #[test]
    fn blank_lines_around_an_output_do_not_count() {
        assert!(matches("\nready\n\n", "ready") && matches("ready", "\n\nready\n \n"));
    }

    #[test]
    fn the_first_lines_that_differ_are_told() {
        let differ =
            |expected: &str, printed: &str| Ids::default().compare(&lines(expected), &lines(printed));
        assert_eq!(differ("one\ntwo\nend", "\none\n2\nend"), Err((1, 2)));
        assert_eq!(differ("one", "one\ntwo"), Err((1, 1)));
        assert_eq!(differ("one\ntwo", "one"), Err((1, 1)));
        assert_eq!(differ("one\n…\nthree\nend", "one\n2\nthree\n4"), Err((3, 3)));
    }

    const FIRST: &str = "transfer-1000000000-00000001";
    const SECOND: &str = "transfer-1000000000-00000002";
    const HERE: &str = "transfer-1795354341-55a2c253";
    const ELSEWHERE: &str = "transfer-1795354342-aaaaaaaa";

    #[test]
    fn an_id_is_the_same_one_wherever_the_text_names_it() {
        let mut ids = Ids::default();
        assert!(ids.compare(&lines(&format!("started {FIRST}")), &lines(&format!("started {HERE}"))).is_ok());
        assert_eq!(ids.in_command(&format!("WorkflowId='{FIRST}'")), Ok(format!("WorkflowId='{HERE}'")));
        assert_eq!(ids.in_command("account_A"), Ok("account_A".to_owned()));
        assert_eq!(ids.in_command(SECOND), Err(SECOND.to_owned()));
        assert_eq!(ids.in_line(&format!("  {FIRST}: …")), format!("  {HERE}: …"));

        assert!(ids.compare(&lines(FIRST), &lines(ELSEWHERE)).is_err());
        // Two transfers of the text are not one here.
        assert!(ids.compare(&lines(SECOND), &lines(HERE)).is_err());
        assert!(ids.compare(&lines(SECOND), &lines(ELSEWHERE)).is_ok());
    }

    #[test]
    fn what_does_not_match_teaches_nothing() {
        let mut ids = Ids::default();
        assert!(
            ids.compare(&lines(&format!("{FIRST}\nend")), &lines(&format!("{HERE}\nother end"))).is_err()
        );
        assert!(ids.compare(&lines(FIRST), &lines(ELSEWHERE)).is_ok());
    }

    #[test]
    fn ids_among_lines_that_the_text_leaves_out_are_found() {
        let mut ids = Ids::default();
        let expected = lines(&format!("{SECOND} stuck\n…\n{FIRST} stuck\n…"));
        assert!(ids.compare(&lines(FIRST), &lines(HERE)).is_ok());
        let printed = lines(&format!("{ELSEWHERE} stuck\n  why\n{HERE} stuck\n  why"));
        assert!(ids.compare(&expected, &printed).is_ok());
        assert_eq!(ids.in_command(SECOND), Ok(ELSEWHERE.to_owned()));
    }

    #[test]
    fn a_process_id_is_known_however_it_is_written() {
        let mut ids = Ids::default();
        assert!(ids.compare(&lines("worker pid 12273"), &lines("worker pid 99")).is_ok());
        assert_eq!((ids.pid("12273"), ids.pid("1")), (Some("99"), None));
        assert!(ids.compare(&lines(r#"{"pid": 12273}"#), &lines(r#"{"pid": 99}"#)).is_ok());
        assert!(ids.compare(&lines("worker pid 12273"), &lines("worker pid 100")).is_err());
    }
}

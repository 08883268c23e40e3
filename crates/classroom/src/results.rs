//! The results of a class: how far each learner came, as text, JSON, CSV and a page to print.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lab::STAGES;
use lab_client::{
    class::{Board, Drill, Row, StageCount},
    html::{escape, page},
    time,
};
use serde_json::{Value, json};

use crate::table;
use terminal::duration;

/// The style of the page, which has to print well and to need no other file.
const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2rem;color:#16181d;background:#fff}\
    h1{font-size:1.4em}table{border-collapse:collapse;width:100%;margin:1em 0}\
    th,td{border-bottom:1px solid #999;padding:.3em .6em;text-align:left;overflow-wrap:anywhere}\
    .n{text-align:right}thead{display:table-header-group}tr{break-inside:avoid}\
    @media print{body{margin:0;font-size:10px}}@page{size:landscape;margin:12mm}";

/// What each learner reached.
pub struct Results {
    /// When the board was read, in seconds since 1970.
    time: u64,
    /// Its rows are sorted by name.
    board: Board,
    stages: Vec<StageCount>,
}

impl Results {
    /// The results on this board, which was read at this time.
    ///
    /// # Errors
    /// Nobody is on it.
    pub fn of(mut board: Board, time: u64) -> Result<Results> {
        if board.rows.is_empty() {
            bail!(
                "no learner is on the board: a lab's last report expires after 12 hours; to see the board: cargo xtask class board"
            );
        }
        let stages = board.stages();
        board.rows.sort_by(|a, b| a.report.learner.cmp(&b.report.learner));
        Ok(Results { time, board, stages })
    }

    /// When a learner's lab was last seen.
    fn last_seen(&self, row: &Row) -> String {
        time::rfc3339(self.time.saturating_sub(row.seen as u64))
    }

    /// The JSON of `class report --json`.
    pub fn to_json(&self) -> Value {
        let learner = |row: &Row| {
            json!({
                "learner": row.report.learner,
                "stage": row.report.stage,
                "done": done(row).collect::<Vec<_>>(),
                "goals_reached": row.reached_in_all(),
                "goals": goals(),
                "rules_broken": row.report.wrong,
                "questions": row.report.asked,
                "drill": self.board.drill_of(row).map(|state| state.to_json()),
                "last_seen": self.last_seen(row),
            })
        };
        json!({
            "time": time::rfc3339(self.time),
            "stages": self.stages.iter().map(StageCount::to_json).collect::<Vec<_>>(),
            "learners": self.board.rows.iter().map(learner).collect::<Vec<_>>(),
        })
    }

    /// Lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let name =
            self.board.rows.iter().map(|row| row.report.learner.chars().count()).max().unwrap_or_default();
        let learner = |row: &Row| {
            let drill = self.board.drill_of(row);
            let drill = drill.map_or(String::new(), |state| format!("drill: {}; ", table::drill(&state)));
            format!(
                "{:name$}  {} of {} stages, {:>2} of {} goals, {}, {}, {drill}last seen {}",
                row.report.learner,
                done(row).count(),
                STAGES.len(),
                row.reached_in_all(),
                goals(),
                count(row.report.wrong, "rule broken", "rules broken"),
                count(row.report.asked, "question", "questions"),
                self.last_seen(row)
            )
        };
        let stage = |stage: &StageCount| format!("{}: {} done", heading(stage), stage.done);
        self.board.rows.iter().map(learner).chain(self.stages.iter().map(stage)).collect()
    }

    /// A table for a spreadsheet.
    pub fn to_csv(&self) -> String {
        let names = ["learner", "stage", "stages done", "goals reached", "goals"];
        let others =
            ["rules broken", "questions", "drill", "seed", "state of the drill", "mitigated after (s)"];
        let others = others.into_iter().chain(["recovered after (s)", "transfers hit", "hints", "last seen"]);
        let header = names.into_iter().chain(STAGES.iter().map(|stage| stage.name)).chain(others);
        let mut csv = record(header.map(str::to_owned));
        for row in &self.board.rows {
            let numbers = [done(row).count(), row.reached_in_all(), goals()].map(|number| number.to_string());
            let stages = STAGES.iter().map(|stage| if row.is_done_with(stage.name) { "done" } else { "" });
            let others = [row.report.wrong.to_string(), row.report.asked.to_string()];
            let others = others.into_iter().chain(self.drill_cells(row)).chain([self.last_seen(row)]);
            let cells = [row.report.learner.clone(), row.report.stage.clone()].into_iter().chain(numbers);
            csv += &record(cells.chain(stages.map(str::to_owned)).chain(others));
        }
        csv
    }

    /// The drill of a learner, in the columns of the table for a spreadsheet; empty ones without a drill.
    fn drill_cells(&self, row: &Row) -> [String; 7] {
        let state = self.board.drill_of(row);
        let drill = state.and_then(|state| state.drill);
        let number = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
        [
            drill.map_or(String::new(), |drill| drill.title().to_owned()),
            number(drill.map(|drill| drill.seed)),
            state.map_or(String::new(), |state| state.name.to_owned()),
            number(drill.and_then(|drill| drill.mitigated)),
            number(drill.and_then(|drill| drill.recovered)),
            number(drill.map(|drill| drill.hit)),
            number(drill.map(|drill| drill.hints)),
        ]
    }

    /// A page that needs no other file.
    pub fn to_html(&self) -> String {
        let stage = |stage: &StageCount| {
            format!(
                "<tr><td>{}</td><td class=n>{}</td><td class=n>{}</td></tr>\n",
                escape(&heading(stage)),
                stage.here,
                stage.done
            )
        };
        let heads = (1..)
            .zip(STAGES)
            .map(|(number, stage)| format!("<th title=\"{}\">{number}</th>", escape(stage.title())));
        let drill = |row: &Row| {
            let [title, _, state, ..] = self.drill_cells(row);
            let drill = self.board.drill_of(row).and_then(|state| state.drill);
            let after = |seconds: fn(&Drill) -> Option<u64>| {
                let seconds = drill.and_then(seconds);
                seconds.map_or(String::new(), |seconds| duration(seconds as f64))
            };
            format!(
                "<td>{}</td><td>{state}</td><td class=n>{}</td><td class=n>{}</td>",
                escape(&title),
                after(|drill| drill.mitigated),
                after(|drill| drill.recovered)
            )
        };
        let learner = |row: &Row| {
            let stages = STAGES
                .iter()
                .map(|stage| if row.is_done_with(stage.name) { "<td>✓</td>" } else { "<td></td>" });
            format!(
                "<tr><th scope=row>{}</th>{}<td class=n>{}/{}</td><td class=n>{}</td><td class=n>{}</td>{}<td>{}</td></tr>\n",
                escape(&row.report.learner),
                stages.collect::<String>(),
                row.reached_in_all(),
                goals(),
                row.report.wrong,
                row.report.asked,
                drill(row),
                self.last_seen(row)
            )
        };
        let body = format!(
            "<h1>Results of the class, {}</h1>\n\
             <table>\n<thead><tr><th>Stage</th><th class=n>Learners at it</th><th class=n>Done</th></tr></thead>\n<tbody>\n{}</tbody>\n</table>\n\
             <table>\n<thead><tr><th>Learner</th>{}<th class=n>Goals</th><th class=n>Rules broken</th><th class=n>Questions</th>\
             <th>Drill</th><th>Its state</th><th class=n>Mitigated</th><th class=n>Recovered</th><th>Last seen</th></tr></thead>\n<tbody>\n{}</tbody>\n</table>\n",
            time::rfc3339(self.time),
            self.stages.iter().map(stage).collect::<String>(),
            heads.collect::<String>(),
            self.board.rows.iter().map(learner).collect::<String>(),
        );
        page("Results of the class", STYLE, &body)
    }
}

/// Writes a file, or replaces it.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, content: &str) -> Result<()> {
    files::replace(path, content.as_bytes(), 0o644)
        .with_context(|| format!("could not write {}", path.display()))
}

/// The stages that the learner is done with.
fn done(row: &Row) -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|stage| stage.name).filter(|name| row.is_done_with(name))
}

/// The goals of all stages.
fn goals() -> usize {
    STAGES.iter().map(|stage| stage.goals.len()).sum()
}

fn heading(stage: &StageCount) -> String {
    match stage.number {
        Some(number) => format!("{number}. {}", stage.title),
        None => stage.title.clone(),
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A line of CSV. A spreadsheet takes a cell that begins with one of these characters for a formula, so a quote precedes it.
fn record(cells: impl Iterator<Item = String>) -> String {
    let cell = |cell: String| {
        let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    };
    cells.map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use lab_client::class::{Goal, Report};

    use super::*;

    fn results() -> Results {
        let row = |learner: &str, stage: &str, done: &[&str]| {
            let report = Report {
                learner: learner.to_owned(),
                stage: stage.to_owned(),
                goals: vec![Goal { reached: true, ..Goal::default() }, Goal::default()],
                done: done.iter().map(|&name| name.to_owned()).collect(),
                asked: 1,
                ..Report::default()
            };
            Row { report, seen: 60.0, ..Row::default() }
        };
        let [first, second] = [STAGES[0].name, STAGES[1].name];
        let mut rows = vec![row("eve", second, &[first]), row("=1+\"<b>&", first, &[])];
        let incident = "=<b>other".to_owned();
        rows[0].report.drills = vec![Drill { seed: 7, incident, mitigated: Some(480), ..Drill::default() }];
        Results::of(Board { rows, ..Board::default() }, 60).expect("it is not empty")
    }

    #[test]
    fn every_form_has_each_learner_and_their_input_is_only_text() {
        let results = results();
        let reached = STAGES[0].goals.len() + 1;
        let json = results.to_json();
        assert_eq!(json["learners"][1]["learner"], "eve");
        assert_eq!(json["learners"][1]["goals_reached"], reached);
        assert_eq!(json["learners"][1]["last_seen"], "1970-01-01T00:00:00Z");
        assert_eq!(json["stages"][0]["done"], 1);

        let csv = results.to_csv();
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("\"'=1+\"\"<b>&\",\"jerry\",\"0\",\"1\","), "{csv}");
        let cells = |line: &str| line.matches("\",\"").count();
        assert!(lines.iter().all(|line| cells(line) == cells(lines[0])), "{csv}");

        assert_eq!(
            (&json["learners"][1]["drill"]["state"], &json["learners"][0]["drill"]),
            (&json!("mitigated"), &Value::Null)
        );
        assert!(lines[2].contains(",\"'=<b>other\",\"7\",\"mitigated\",\"480\",\"\",\"0\",\"0\","), "{csv}");

        let html = results.to_html();
        assert!(html.contains("<td>=&lt;b&gt;other</td><td>mitigated</td><td class=n>8 min</td>"), "{html}");
        assert!(html.contains("=1+&quot;&lt;b&gt;&amp;") && !html.contains("<b>"), "{html}");
        assert!(!html.contains("http") && !html.contains("<script"), "{html}");
        assert!(results.lines()[1].starts_with("eve  "), "{:?}", results.lines());
        assert!(Results::of(Board::default(), 0).is_err());
    }
}

//! The journal of a drill: what the learner typed, or did on the page, to change something, and when. It is a file in the lab's folder, a
//! line for each command.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};

use crate::{
    progress::Progress,
    time::{self, parse_rfc3339},
};

/// The name of the file.
pub const FILE: &str = "drill.log";

/// What was done on the page begins with this.
pub const ON_PAGE: &str = "on the page: ";

/// Adds a command, typed just now, or what was done [on the page](ON_PAGE). Without a drill in progress, nothing is written.
///
/// # Errors
/// The lab's folder cannot be written to.
pub fn note(lab: &Path, command: &str) -> Result<()> {
    if !Progress::read(lab).is_in_drill() {
        return Ok(());
    }
    append(lab, command)
}

fn append(lab: &Path, command: &str) -> Result<()> {
    let path = lab.join(FILE);
    let line = format!("{}\n", line(&time::rfc3339_exact(time::now()), command));
    // In one write, so that lines of two commands do not mix.
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| format!("could not write {}", path.display()))
}

/// Empties it: a drill begins.
///
/// # Errors
/// The lab's folder cannot be written to.
pub fn empty(lab: &Path) -> Result<()> {
    let path = lab.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The line of a command, without its end. The time is in the server's format.
fn line(time: &str, command: &str) -> String {
    let is_on_one_line = |character: char| if character.is_control() { ' ' } else { character };
    format!("{time}\t{}", command.chars().map(is_on_one_line).collect::<String>())
}

/// The commands of the current drill with their times, the oldest first. A line that is damaged is left out.
pub fn read(lab: &Path) -> Vec<(String, String)> {
    parse(&String::from_utf8_lossy(&fs::read(lab.join(FILE)).unwrap_or_default()))
}

fn parse(text: &str) -> Vec<(String, String)> {
    let command = |line: &str| {
        let (time, command) = line.split_once('\t')?;
        (parse_rfc3339(time).is_some() && !command.is_empty()).then(|| (time.to_owned(), command.to_owned()))
    };
    // Nobody has written the end of the last line if the disk was full.
    text.split_inclusive('\n').filter_map(|line| command(line.strip_suffix('\n')?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_read_as_it_was_written_and_damaged_lines_are_left_out() {
        let [first, second] = ["2026-11-22T12:05:01.250Z", "2026-11-22T12:06:00Z"];
        let text = format!(
            "{}\n\nsoon\tcargo xtask retry\n{first}\n{first}\t\n\u{fffd}\u{0}\n{}\n{first}\tcargo xtask re",
            line(first, "cargo xtask adjust account_A 5 --reason 'a\nb\tc'"),
            line(second, "cargo xtask retry"),
        );
        let read: Vec<_> = parse(&text);
        let read: Vec<(&str, &str)> = read.iter().map(|(time, what)| (&**time, &**what)).collect();
        assert_eq!(
            read,
            [(first, "cargo xtask adjust account_A 5 --reason 'a b c'"), (second, "cargo xtask retry")]
        );
    }

    #[test]
    fn commands_are_added_while_a_drill_is_in_progress() {
        let lab = std::env::temp_dir().join(format!("lab-client-journal-{}", std::process::id()));
        fs::create_dir_all(&lab).expect("temporary files can be written");
        empty(&lab).expect("there is nothing to remove");
        let record = |ended: Option<(String, bool)>| {
            let drill = Some(crate::progress::Drill { seed: 7, last_entry: 1, ended });
            let progress = Progress { drill, ..Progress::begin(&lab::INCIDENTS[0].stage) };
            fs::write(lab.join(crate::progress::FILE), progress.to_json().to_string())
                .expect("it can be written");
        };
        note(&lab, "cargo xtask stage jerry").expect("nothing is written");
        record(None);
        note(&lab, "cargo xtask retry").expect("it can be written");
        note(&lab, "on the page: show a hint").expect("it can be written");
        record(Some(("2026-11-22T12:05:01Z".to_owned(), false)));
        note(&lab, "cargo xtask lab stop").expect("nothing is written");
        let read = read(&lab);
        let commands: Vec<&str> = read.iter().map(|(_, command)| &**command).collect();
        assert_eq!(commands, ["cargo xtask retry", "on the page: show a hint"]);
        assert!(read[0].0 <= read[1].0);
        empty(&lab).expect("it can be removed");
        assert_eq!(super::read(&lab), []);
        fs::remove_dir_all(&lab).expect("it is there");
    }

    #[test]
    fn without_a_journal_nothing_was_typed() {
        assert_eq!(read(Path::new("/nowhere")), []);
    }
}

//! The journal of a drill: what the learner typed to change something, and when. It is a file in the lab's folder, a line for each command.

use std::{fs, path::Path};

use crate::time::parse_rfc3339;

/// The name of the file.
pub const FILE: &str = "drill.log";

/// The line of a command, without its end. The time is in the server's format.
pub fn line(time: &str, command: &str) -> String {
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
    fn without_a_journal_nothing_was_typed() {
        assert_eq!(read(Path::new("/nowhere")), []);
    }
}

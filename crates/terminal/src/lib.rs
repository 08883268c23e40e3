//! Lines for a person: where they are printed, their colours, and usage errors.

mod ascii;
mod lines;
mod places;
mod screen;

use std::{
    env, fmt,
    io::{self, Write},
    path::Path,
};

pub use lines::{is_output_lost, stderr_line, stdout_line, try_stdout_line};
pub use screen::{is_dumb, is_screen, reader_is_gone, show};

/// Prints a line on standard output like `println!`, but ignores a closed pipe.
#[macro_export]
macro_rules! stdoutln {
    ($($words:tt)*) => { $crate::stdout_line(format_args!($($words)*)) };
}

/// Prints a line of progress or warning on standard error.
#[macro_export]
macro_rules! stderrln {
    ($($words:tt)*) => { $crate::stderr_line(format_args!($($words)*)) };
}

/// Wrong usage of a command, as opposed to a failure: exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Whether standard output supports colours.
pub fn colours() -> bool {
    is_screen() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Has the lines that are printed from now on link the files of this checkout to the learner's editor, where colours are supported
/// and so are links.
pub fn link_places(root: &Path) {
    if colours() {
        places::link(root);
    }
}

/// The text in bold, if supported.
pub fn bold(text: &str) -> String {
    styled(text, "1")
}

/// The text in green, if supported.
pub fn green(text: &str) -> String {
    styled(text, "32")
}

/// The text in red, if supported.
pub fn red(text: &str) -> String {
    styled(text, "31")
}

fn styled(text: &str, style: &str) -> String {
    if colours() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Asks on the terminal, and returns the line that is typed; `None` where the input ends without one.
pub fn ask(question: &str) -> io::Result<Option<String>> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{} ", ascii::for_locale(question))?;
    stderr.flush()?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer)?;
    Ok((read > 0).then(|| answer.trim().to_ascii_lowercase()))
}

/// Asks a yes-or-no question on the terminal; anything but a yes is a no.
pub fn confirm(question: &str) -> io::Result<bool> {
    Ok(ask(&format!("{question} [y/N]"))?.is_some_and(|answer| is_yes(&answer)))
}

/// Whether an answer is a yes.
pub fn is_yes(answer: &str) -> bool {
    matches!(answer, "y" | "yes")
}

/// A duration for a person: `0.4 s`, `42 s`, `3 min`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        _ if seconds < 10.0 => format!("{:.1} s", seconds.max(0.0)),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min", whole / 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// How wrong a clock is that is so many seconds ahead, or behind if negative: `3 min ahead`.
pub fn ahead(seconds: f64) -> String {
    format!("{} {}", duration(seconds.abs()), if seconds > 0.0 { "ahead" } else { "behind" })
}

/// The first line of a text, with its middle left out if it is too long: a failure starts with the operation and ends with the
/// cause.
pub fn shorten(text: &str, most: usize) -> String {
    let line: Vec<char> = text.lines().next().unwrap_or_default().chars().collect();
    if line.len() <= most {
        return line.into_iter().collect();
    }
    let tail = most / 3;
    let head = most - tail - 1;
    line[..head].iter().chain(&['…']).chain(&line[line.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_in_the_unit_a_person_would_use() {
        for (seconds, text) in
            [(-1.0, "0.0 s"), (0.42, "0.4 s"), (42.9, "42 s"), (200.0, "3 min"), (7500.0, "2 h 5 min")]
        {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_long_failure_keeps_its_start_and_its_end() {
        assert_eq!(shorten("one\ntwo", 10), "one");
        assert_eq!(shorten("äöüabcdef", 7), "äöüa…ef");
    }
}

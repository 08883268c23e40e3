//! Lines that are shown in place of the previous ones.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
    process::{Command, Stdio},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::lines::try_stdout_line;

/// Whether the terminal can do nothing but print lines.
pub fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether lines can be shown in place of the previous ones.
pub fn is_screen() -> bool {
    io::stdout().is_terminal() && !is_dumb()
}

/// Whether nobody reads standard output any more, as after `| head`; checked without writing to it.
pub fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    poll(&mut polled, PollTimeout::ZERO).is_ok()
        && polled[0].revents().is_some_and(|found| found.intersects(gone))
}

/// Shows lines in place of the previous ones, and under them the footer, as many as fit. Without a footer, appends them if they
/// differ from those before. An error if the reader is gone.
pub fn show(lines: &[String], before: &[String], footer: Option<&str>) -> io::Result<()> {
    if reader_is_gone() {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    match footer {
        None if lines == before => Ok(()),
        None => try_stdout_line(format_args!("{}", lines.join("\n"))),
        Some(footer) => {
            let (rows, columns) = window().unwrap_or((usize::MAX, usize::MAX));
            // The footer, and the line that the cursor stands in.
            let lines = fit(lines, rows.saturating_sub(2), columns);
            // Each line is cleared as it is written: clearing the screen first would make it flicker.
            let lines: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
            try_stdout_line(format_args!("\x1b[H{}\n{footer}\x1b[K\x1b[J", lines.join("\n")))
        }
    }
}

/// The rows and columns of the terminal.
fn window() -> Option<(usize, usize)> {
    let terminal = File::open("/dev/tty").ok()?;
    let output = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (rows, columns) = text.trim().split_once(' ')?;
    let size = (rows.parse().ok()?, columns.parse().ok()?);
    // A terminal that does not know its size says zero.
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// The lines that fit: the first ones and the last one, which sums them up, and how many there are between.
fn fit(lines: &[String], rows: usize, columns: usize) -> Vec<String> {
    let rows_of = |line: &String| width(line).div_ceil(columns).max(1);
    if lines.iter().map(rows_of).sum::<usize>() <= rows {
        return lines.to_vec();
    }
    let Some((last, others)) = lines.split_last() else { return Vec::new() };
    // One for what is said of the others.
    let mut left = rows.saturating_sub(rows_of(last) + 1);
    let fitting = others.iter().take_while(|line| {
        let fits = rows_of(line) <= left;
        left = left.saturating_sub(rows_of(line));
        fits
    });
    let mut fitting: Vec<String> = fitting.cloned().collect();
    let more = others.len() - fitting.len();
    if rows > rows_of(last) {
        fitting.push(format!("({more} more lines do not fit into this window)"));
    }
    fitting.push(last.clone());
    fitting
}

/// The columns of a line, without the sequences that colour it.
fn width(line: &str) -> usize {
    let mut characters = line.chars();
    let mut width = 0;
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => drop(characters.find(char::is_ascii_alphabetic)),
            _ => width += 1,
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_low_window_the_first_lines_and_the_last_one_are_shown() {
        let lines: Vec<String> =
            ["stage", "one", "a long line of ev", "two", "1 of 2"].map(str::to_owned).into();
        assert_eq!(fit(&lines, 5, 80), lines);
        // The long one takes two rows.
        assert_eq!(fit(&lines, 5, 10)[..2], lines[..2]);
        for (rows, columns) in [(1, 80), (2, 80), (3, 80), (4, 80), (4, 10), (5, 10)] {
            let shown = fit(&lines, rows, columns);
            let taken: usize = shown
                .iter()
                .filter(|line| !line.starts_with('('))
                .map(|line| width(line).div_ceil(columns))
                .sum();
            assert!(taken <= rows && shown.last() == lines.last(), "{rows} rows: {shown:?}");
        }
        assert_eq!(fit(&lines, 4, 80)[2], "(2 more lines do not fit into this window)");
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!((width("\x1b[1mstage\x1b[0m 1"), width("äöü")), (7, 3));
    }
}

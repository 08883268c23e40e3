//! What the worker prints.

use std::{
    fmt,
    io::{self, Write as _},
};

/// Prints a line on standard output, for the person who watches. A reader that has gone is no reason to stop.
pub fn stdout_line(line: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    // This process cannot reopen a closed pipe.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

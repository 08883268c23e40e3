//! Printing a line.

use std::{
    fmt,
    io::{self, Write},
};

use crate::ascii;

/// See [`crate::stdoutln!`]. A reader that is gone, as in `lab logs | head`, must not end a command that still has work to do.
pub fn stdout_line(words: fmt::Arguments<'_>) {
    let _ = try_stdout_line(words);
}

/// Prints a line on standard output; an error if the reader is gone.
pub fn try_stdout_line(words: fmt::Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", ascii::for_locale(&words.to_string()))?;
    stdout.flush()
}

/// See [`crate::stderrln!`]. Errors are ignored, because the exit code still tells the outcome.
pub fn stderr_line(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{}", ascii::for_locale(&words.to_string()));
}

//! Printing a line.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    ascii,
    places::{linked, linked_on_stderr},
};

/// Whether a line could not be written, as to a file on a full disk.
static IS_OUTPUT_LOST: AtomicBool = AtomicBool::new(false);

/// See [`crate::stdoutln!`]. A reader that is gone, as in `lab logs | head`, must not end a command that still has work to do.
pub fn stdout_line(words: fmt::Arguments<'_>) {
    match try_stdout_line(words) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            IS_OUTPUT_LOST.store(true, Ordering::Relaxed);
        }
        _ => {}
    }
}

/// Whether a line of the output could not be written, other than to a closed pipe. A command whose output is lost has failed.
pub fn is_output_lost() -> bool {
    IS_OUTPUT_LOST.load(Ordering::Relaxed)
}

/// Prints a line on standard output; an error if the reader is gone.
pub fn try_stdout_line(words: fmt::Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    writeln!(stdout, "{}", linked(&ascii::for_locale(&words.to_string()), is_terminal))?;
    stdout.flush()
}

/// See [`crate::stderrln!`]. Errors are ignored, because the exit code still tells the outcome.
pub fn stderr_line(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{}", linked_on_stderr(&ascii::for_locale(&words.to_string())));
}

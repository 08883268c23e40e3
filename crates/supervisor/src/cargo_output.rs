//! What cargo prints while it builds, shown as it comes. While it prints nothing, its bar with the elapsed time is the sign of life.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use crate::{
    compile_error::{CompileError, without_escapes},
    sign_of_life::SILENCE,
};

/// The end of the output that is searched for an error. Cargo prints errors last.
const SEARCHED: usize = 256 * 1024;
/// How wide cargo draws its bar on a terminal; the elapsed time follows it.
const BAR_WIDTH: &str = "70";
/// How wide it draws it where we print its text as a line.
const LINE_WIDTH: &str = "120";
/// How often we draw the bar on a terminal.
const REDRAWN: Duration = Duration::from_millis(500);

/// Has cargo report its progress for [`Shown`], whatever the user's settings for its output are.
pub(crate) fn report_progress(cargo: &mut Command, on_terminal: bool) {
    let is_terminal = on_terminal && has_bar();
    cargo
        .env("CARGO_TERM_QUIET", "false")
        .env("CARGO_TERM_VERBOSE", "false")
        .env("CARGO_TERM_COLOR", if is_terminal && terminal::colours() { "always" } else { "never" })
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", if is_terminal { BAR_WIDTH } else { LINE_WIDTH });
}

/// Whether standard error is a terminal on which a line can be drawn again.
fn has_bar() -> bool {
    io::stderr().is_terminal() && !terminal::is_dumb()
}

/// Shows what cargo prints, and keeps the end of it.
pub(crate) struct Shown<W: Write> {
    screen: Arc<Mutex<Screen<W>>>,
    printed: Vec<u8>,
}

impl<W: Write + Send + 'static> Shown<W> {
    /// On the user's terminal, or anywhere else.
    pub(crate) fn new(to: W, on_terminal: bool) -> Shown<W> {
        let now = Instant::now();
        let screen = Screen {
            to,
            has_bar: on_terminal && has_bar(),
            begun: now,
            written: now,
            line: Vec::new(),
            bar: None,
            is_drawn: false,
        };
        let screen = Arc::new(Mutex::new(screen));
        let weak = Arc::downgrade(&screen);
        thread::spawn(move || tick(&weak));
        Shown { screen, printed: Vec::new() }
    }

    /// The end of what cargo printed, with its colours and its bar.
    pub(crate) fn printed(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.printed)
    }

    /// The errors in what was kept.
    pub(crate) fn errors(&self) -> Vec<CompileError> {
        CompileError::find(&self.printed())
    }
}

impl<W: Write> Drop for Shown<W> {
    fn drop(&mut self) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.bar = None;
        if screen.is_drawn {
            screen.print("");
        }
    }
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.printed.extend_from_slice(bytes);
        if self.printed.len() > 2 * SEARCHED {
            self.printed.drain(..self.printed.len() - SEARCHED);
        }
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows the bar again and again, until nobody writes any more.
fn tick<W: Write>(screen: &Weak<Mutex<Screen<W>>>) {
    loop {
        thread::sleep(REDRAWN);
        let Some(screen) = screen.upgrade() else { return };
        screen.lock().unwrap_or_else(PoisonError::into_inner).show_bar();
    }
}

/// Where the lines and the bar go.
struct Screen<W> {
    to: W,
    /// Whether the bar can be drawn over itself.
    has_bar: bool,
    begun: Instant,
    /// When something was last written.
    written: Instant,
    /// What was read of a line that has not ended yet.
    line: Vec<u8>,
    /// Cargo's bar as it was last drawn.
    bar: Option<String>,
    /// Whether the bar stands on the terminal's last line.
    is_drawn: bool,
}

impl<W: Write> Screen<W> {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                // Cargo ends its bar with this, to draw over it.
                b'\r' => self.bar = Some(self.end_line()),
                b'\n' => {
                    let line = self.end_line();
                    // Cargo draws it again below the line, unless it is done.
                    self.bar = None;
                    self.print(&format!("{line}\n"));
                }
                byte => self.line.push(byte),
            }
        }
    }

    fn end_line(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        // It erases its bar before it prints a line.
        String::from_utf8_lossy(&line).replace("\x1b[K", "")
    }

    fn show_bar(&mut self) {
        let Some(bar) = &self.bar else { return };
        let seconds = self.begun.elapsed().as_secs();
        let elapsed = format!("{}:{:02}", seconds / 60, seconds % 60);
        if self.has_bar {
            let drawn = format!("{} {elapsed}\x1b[K\r", bar.trim_end());
            self.print(&drawn);
            self.is_drawn = true;
        } else if self.written.elapsed() >= SILENCE {
            let line = format!("{} {elapsed}\n", without_picture(bar));
            self.print(&line);
        }
    }

    fn print(&mut self, text: &str) {
        let erase = if std::mem::take(&mut self.is_drawn) { "\x1b[K" } else { "" };
        self.written = Instant::now();
        // What cannot be shown is searched all the same.
        let _ = write!(self.to, "{erase}{text}").and_then(|()| self.to.flush());
    }
}

/// Cargo's bar as text: `Building [==>  ] 1/2: worker` without what is in brackets.
fn without_picture(bar: &str) -> String {
    let bar = without_escapes(bar);
    let text = match (bar.split_once('['), bar.split_once(']')) {
        (Some((name, _)), Some((_, rest))) => format!("{} {}", name.trim_end(), rest.trim()),
        _ => bar,
    };
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of this output of cargo's.
    fn shown(printed: &str, has_bar: bool, ago: Duration) -> String {
        let begun = Instant::now().checked_sub(ago).expect("the machine has run for longer");
        let (line, bar) = (Vec::new(), None);
        let mut screen =
            Screen { to: Vec::new(), has_bar, begun, written: begun, line, bar, is_drawn: false };
        screen.take(printed.as_bytes());
        screen.show_bar();
        // Right afterwards, nothing has been silent for long.
        screen.show_bar();
        String::from_utf8(screen.to).expect("it is text")
    }

    #[test]
    fn where_lines_are_printed_a_silent_build_says_what_it_builds_and_for_how_long() {
        let bar = "    Building [=====>      ] 12/63: serde, tokio(build.rs)        \r";
        let text = shown(bar, false, Duration::from_secs(72));
        assert_eq!(text, "    Building 12/63: serde, tokio(build.rs) 1:12\n");
        let text = shown(&format!("{bar}\x1b[K   Compiling ring v1\n{bar}"), false, Duration::from_secs(72));
        assert_eq!(text, "   Compiling ring v1\n", "a line has just been printed");
    }

    #[test]
    fn on_a_terminal_the_bar_has_the_elapsed_time_and_lines_stand_above_it() {
        let bar = "    Building [=> ] 1/2: worker \r";
        let text = shown(&format!("{bar}\x1b[K   Compiling worker\n{bar}"), true, Duration::from_secs(9));
        let drawn = "    Building [=> ] 1/2: worker 0:09\x1b[K\r";
        assert_eq!(text, format!("   Compiling worker\n{drawn}\x1b[K{drawn}"));
    }

    #[test]
    fn without_a_bar_of_cargos_nothing_is_added() {
        assert_eq!(
            shown("    Finished `dev` profile\n", false, Duration::from_secs(9)),
            "    Finished `dev` profile\n"
        );
    }
}

//! Copying what a program writes into its log: with the time before each line, and no faster than a log may grow.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use lab_client::time;

use crate::logs::TIME;

/// A program may write so many bytes to its log in a second. A print in a loop writes a hundred times as many.
const MOST_PER_SECOND: usize = 1024 * 1024;
/// So many of the last bytes of a flood are written after all: they may say why the program ended.
const END: usize = 8 * 1024;

/// Puts the time before each line of what is written.
pub(crate) struct Timed<W> {
    to: W,
    is_in_line: bool,
}

impl<W: Write> Timed<W> {
    pub(crate) fn new(to: W) -> Timed<W> {
        Timed { to, is_in_line: false }
    }
}

impl<W: Write> Write for Timed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut timed = Vec::with_capacity(bytes.len() + TIME.len());
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if !self.is_in_line {
                timed.extend(time::rfc3339(time::unix_now()).bytes().chain([b' ']));
            }
            timed.extend(line);
            self.is_in_line = !line.ends_with(b"\n");
        }
        self.to.write_all(&timed)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// How much a program has written beyond what its log takes. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flood(Arc<AtomicU64>);

impl Flood {
    /// The lines that were left out so far.
    pub(crate) fn left_out(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Leaves out what a program writes beyond [`MOST_PER_SECOND`], and says so in its place.
pub(crate) struct Limited<W: Write> {
    to: W,
    flood: Flood,
    second: Instant,
    written: usize,
    is_in_line: bool,
    /// The lines left out since `second`, and the end of what was left out.
    left_out: u64,
    end: Vec<u8>,
}

impl<W: Write> Limited<W> {
    pub(crate) fn new(to: W, flood: Flood) -> Limited<W> {
        let second = Instant::now();
        Limited { to, flood, second, written: 0, is_in_line: false, left_out: 0, end: Vec::new() }
    }

    fn leave_out(&mut self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.left_out += lines;
        self.flood.0.fetch_add(lines.max(1), Ordering::Relaxed);
        self.end.extend_from_slice(bytes);
        self.end.drain(..self.end.len().saturating_sub(END));
    }

    /// Writes how much was left out, and its end.
    fn catch_up(&mut self) -> io::Result<()> {
        if self.end.is_empty() {
            return Ok(());
        }
        let line_end = if self.is_in_line { "\n" } else { "" };
        let left_out = self.left_out;
        let note = format!("{line_end}[the lab left out {left_out} lines: more than 1 MiB in a second]\n");
        let end = std::mem::take(&mut self.end);
        (self.left_out, self.is_in_line) = (0, !end.ends_with(b"\n"));
        self.to.write_all(note.as_bytes())?;
        self.to.write_all(&end)
    }
}

impl<W: Write> Write for Limited<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.written) = (Instant::now(), 0);
            // What cannot be written is lost: the program must not wait for room on the disk.
            let _ = self.catch_up();
        }
        self.written += bytes.len();
        if self.written > MOST_PER_SECOND {
            self.leave_out(bytes);
        } else {
            self.is_in_line = !bytes.ends_with(b"\n");
            self.to.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.catch_up()?;
        self.to.flush()
    }
}

/// Copies what a program writes, on a thread of its own, to the end.
pub(crate) struct Copier<W>(Receiver<W>);

impl<W: Write + Send + 'static> Copier<W> {
    pub(crate) fn start(mut from: impl Read + Send + 'static, mut to: W) -> Copier<W> {
        let (done, copied) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 8 * 1024];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                // A full disk must not stop the program that writes, nor fail a build.
                let _ = to.write_all(&bytes[..length]);
            }
            let _ = to.flush();
            let _ = done.send(to);
        });
        Copier(copied)
    }

    /// Waits until the last line is copied, and returns where to; not for a program that has left its process group and still writes.
    pub(crate) fn finish(&self, timeout: Duration) -> Option<W> {
        self.0.recv_timeout(timeout).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::without_time;

    #[test]
    fn each_line_has_one_time_however_it_is_written() {
        let mut timed = Timed::new(Vec::new());
        for part in ["one\ntw", "o\n\n", "three"] {
            timed.write_all(part.as_bytes()).expect("it is memory");
        }
        let text = String::from_utf8(timed.to).expect("it is text");
        assert!(text.lines().all(|line| line.starts_with("20") && line.len() >= TIME.len()), "{text}");
        assert_eq!(text.lines().map(without_time).collect::<Vec<_>>(), ["one", "two", "", "three"]);
    }

    #[test]
    fn a_flood_is_cut_and_its_end_is_kept() {
        let flood = Flood::default();
        let mut limited = Limited::new(Vec::new(), flood.clone());
        // A second on a busy machine may be over before all is written: then more is written, up to so many seconds' worth.
        let begin = Instant::now();
        for _ in 0..200_000 {
            limited.write_all(b"a line of a print in a loop\n").expect("it is memory");
        }
        limited.write_all(b"the last words").expect("it is memory");
        limited.flush().expect("it is memory");
        let seconds = begin.elapsed().as_secs() as usize + 1;
        let text = String::from_utf8(limited.to.clone()).expect("it is text");
        assert!(text.len() <= seconds * (MOST_PER_SECOND + END + 100), "{} bytes", text.len());
        assert!(
            text.ends_with("\nthe last words") && text.contains("\n[the lab left out "),
            "{}",
            text.len()
        );
        assert!(flood.left_out() > 0);
    }

    #[test]
    fn what_is_no_flood_is_copied_as_it_is() {
        let flood = Flood::default();
        let mut limited = Limited::new(Vec::new(), flood.clone());
        for part in ["one\ntw", "o\n", "three"] {
            limited.write_all(part.as_bytes()).expect("it is memory");
        }
        limited.flush().expect("it is memory");
        assert_eq!((&limited.to[..], flood.left_out()), (&b"one\ntwo\nthree"[..], 0));
    }
}

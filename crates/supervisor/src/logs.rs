//! The log files of a lab: writing them, with the time before each line, and following them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use lab_client::time;

use crate::services;
use checkout::project::{Project, open_private};
use terminal::stderrln;

/// A log that has grown beyond this is put aside when what writes it is started.
const LARGE: u64 = 5 * 1024 * 1024;
/// The log of what the supervisor itself does.
pub const SUPERVISOR: &str = "supervisor";
/// The log of builds.
pub const BUILD: &str = "build";

/// The names of all logs, in the order in which they are shown.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    [SUPERVISOR, BUILD].into_iter().chain(services::names())
}

/// Opens a log to be written, and puts a large old one aside as `NAME.log.1`.
pub fn open(project: &Project, name: &str) -> Result<File> {
    let path = project.log(name);
    if fs::metadata(&path).is_ok_and(|file| file.len() > LARGE) {
        let _ = fs::rename(&path, path.with_extension("log.1"));
    }
    open_private(&path, OpenOptions::new().append(true))
        .with_context(|| format!("could not write {}", path.display()))
}

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

/// The form of the time before a line.
const TIME: &str = "2026-11-22T12:05:01Z ";

/// The line of a log without the time before it.
pub fn without_time(line: &str) -> &str {
    let is_time = |time: &str| time.len() == TIME.len() - 1 && time::parse_rfc3339(time).is_some();
    line.split_once(' ').filter(|(time, _)| is_time(time)).map_or(line, |(_, rest)| rest)
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
            let _ = done.send(to);
        });
        Copier(copied)
    }

    /// Waits until the last line is copied, and returns where to; not for a program that has left its process group and still writes.
    pub(crate) fn finish(&self, timeout: Duration) -> Option<W> {
        self.0.recv_timeout(timeout).ok()
    }
}

/// The last lines of a log.
pub fn last_lines(path: &Path, most: usize) -> Vec<String> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let enough = (most as u64).saturating_mul(1024).max(64 * 1024);
        file.seek(SeekFrom::Start(length.saturating_sub(enough)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|&line| line.to_owned()).collect()
}

/// A log that is read as it grows.
pub struct Tail {
    path: PathBuf,
    offset: u64,
    /// The begin of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

impl Tail {
    /// Reads what will be written from now on.
    pub fn from_end(path: PathBuf) -> Tail {
        let offset = fs::metadata(&path).map_or(0, |file| file.len());
        Tail { path, offset, unfinished: Vec::new() }
    }

    /// The lines that were finished since the last call.
    pub fn new_lines(&mut self) -> Vec<String> {
        // A file that is not there yet has no lines; one that got shorter was replaced.
        let Ok(length) = fs::metadata(&self.path).map(|file| file.len()) else { return Vec::new() };
        if length < self.offset {
            self.offset = 0;
            self.unfinished.clear();
        }
        if length == self.offset {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(length - self.offset).read_to_end(&mut bytes)
        });
        if read.is_err() {
            return Vec::new();
        }
        self.offset += bytes.len() as u64;
        self.unfinished.extend(bytes);
        let Some(end) = self.unfinished.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let rest = self.unfinished.split_off(end + 1);
        let finished = std::mem::replace(&mut self.unfinished, rest);
        String::from_utf8_lossy(&finished).lines().map(str::to_owned).collect()
    }
}

/// Several logs as one stream, the name before each line.
pub struct Stream(Vec<(&'static str, Tail)>);

impl Stream {
    /// The stream of what those logs will say from now on.
    pub fn from_end(project: &Project, names: impl Iterator<Item = &'static str>) -> Stream {
        Stream(names.map(|name| (name, Tail::from_end(project.log(name)))).collect())
    }

    /// Prints what is new.
    pub fn print_new(&mut self) -> io::Result<()> {
        // Cargo's bar may stand on the line.
        let erase = if terminal::colours() { "\x1b[K" } else { "" };
        for (name, tail) in &mut self.0 {
            for line in tail.new_lines() {
                terminal::try_stdout_line(format_args!("{erase}{}{line}", prefix(name)))?;
            }
        }
        Ok(())
    }
}

/// Does something that the supervisor works on, and shows meanwhile what it and its builds write.
pub fn follow<T: Send>(project: &Project, work: impl FnOnce() -> T + Send) -> T {
    let mut tails = [SUPERVISOR, BUILD].map(|name| Tail::from_end(project.log(name)));
    let mut relay = || {
        for line in tails.iter_mut().flat_map(Tail::new_lines) {
            stderrln!("{}", without_time(&line));
        }
    };
    thread::scope(|scope| {
        let work = scope.spawn(work);
        while !work.is_finished() {
            relay();
            thread::sleep(Duration::from_millis(20));
        }
        relay();
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What stands before a line of that log.
pub fn prefix(name: &str) -> String {
    let width = names().map(str::len).max().unwrap_or_default();
    if !terminal::colours() {
        return format!("{name:width$} | ");
    }
    let colour = 31 + names().position(|other| other == name).unwrap_or_default() % 6;
    format!("\x1b[{colour}m{name:width$} |\x1b[0m ")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn only_the_time_that_the_lab_writes_is_left_out() {
        for line in
            ["", "one", "12:05:01 one", "2026-11-22T12:05:01.250Z one", "time=2026-11-22T12:05:01Z one"]
        {
            assert_eq!(without_time(line), line);
        }
    }

    #[test]
    fn a_tail_gives_whole_lines_and_survives_a_new_file() {
        let path = std::env::temp_dir().join(format!("xtask-tail-{}", std::process::id()));
        fs::write(&path, "old\n").expect("the folder for temporary files can be written");
        let mut tail = Tail::from_end(path.clone());
        assert!(tail.new_lines().is_empty());
        let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
        file.write_all(b"one\ntw").expect("it can be written");
        assert_eq!(tail.new_lines(), ["one"]);
        file.write_all(b"o\n").expect("it can be written");
        assert_eq!(tail.new_lines(), ["two"]);
        fs::write(&path, "new\n").expect("it can be written");
        assert_eq!(tail.new_lines(), ["new"]);
        assert_eq!(last_lines(&path, 5), ["new"]);
        fs::remove_file(&path).expect("it is there");
    }
}

//! The log files of a lab: where they are, how large they may grow, and their last lines.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_client::{
    kept_versions::{is_worker, service_of, version_of},
    state::WORKER,
    time,
};

use crate::services;
use checkout::project::{Project, open_private};

/// A log that has grown beyond this is put aside.
const LARGE: u64 = 5 * 1024 * 1024;
/// So many of those that were put aside are kept.
const KEPT: usize = 3;
/// The log of what the supervisor itself does.
pub const SUPERVISOR: &str = "supervisor";
/// The log of builds.
pub const BUILD: &str = "build";

/// The names of all logs but those of versions of the worker, in the order in which they are shown.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    [SUPERVISOR, BUILD].into_iter().chain(services::names())
}

/// The names of the logs of versions of the worker, also of versions that do not run any more.
pub fn names_of_versions(project: &Project) -> Vec<String> {
    let logs = fs::read_dir(project.in_lab("logs")).into_iter().flatten().flatten();
    let version = |log: fs::DirEntry| version_of(log.file_name().to_str()?.strip_suffix(".log")?);
    let mut versions: Vec<u32> = logs.filter_map(version).collect();
    versions.sort_unstable();
    versions.into_iter().map(service_of).collect()
}

/// Opens a log to be written, and puts a large old one aside.
pub fn open(project: &Project, name: &str) -> Result<File> {
    let path = project.log(name);
    put_aside_if_large(&path);
    open_private(&path, OpenOptions::new().append(true))
        .with_context(|| format!("could not write {}", path.display()))
}

/// Puts a large log aside as `NAME.log.1`, and older ones as `NAME.log.2` and so on. Its writers go on: they append, and the file is
/// emptied, not replaced, because a Temporal server cannot be told to open another.
pub fn put_aside_if_large(path: &Path) {
    if fs::metadata(path).is_ok_and(|file| file.len() > LARGE) {
        // On a full disk it is tried again later.
        let _ = put_aside(path);
    }
}

fn put_aside(path: &Path) -> io::Result<()> {
    let mut log = OpenOptions::new().read(true).write(true).open(path)?;
    log.seek(SeekFrom::Start(log.metadata()?.len().saturating_sub(2 * LARGE)))?;
    let new = aside(path, 0);
    let mut copy = open_private(&new, OpenOptions::new().write(true).truncate(true))?;
    if let Err(error) = io::copy(&mut Read::by_ref(&mut log).take(2 * LARGE), &mut copy) {
        let _ = fs::remove_file(new);
        return Err(error);
    }
    for number in (0..KEPT).rev() {
        let _ = fs::rename(aside(path, number), aside(path, number + 1));
    }
    // What was written since, as late as possible: whatever comes between this and the next call is lost.
    io::copy(&mut Read::by_ref(&mut log).take(LARGE), &mut copy)?;
    log.set_len(0)
}

/// Where a log is put aside; 1 is the newest.
pub(crate) fn aside(path: &Path, number: usize) -> PathBuf {
    path.with_extension(format!("log.{number}"))
}

/// The form of the time before a line.
pub(crate) const TIME: &str = "2026-11-22T12:05:01Z ";

/// The line of a log without the time before it.
pub fn without_time(line: &str) -> &str {
    let is_time = |time: &str| time.len() == TIME.len() - 1 && time::parse_rfc3339(time).is_some();
    line.split_once(' ').filter(|(time, _)| is_time(time)).map_or(line, |(_, rest)| rest)
}

/// The last lines of a log, also of those that were put aside.
pub fn last_lines(path: &Path, most: usize) -> Vec<String> {
    let mut lines = last_lines_since(path, 0, most);
    for number in 1..=KEPT {
        if lines.len() < most {
            let older = last_lines_since(&aside(path, number), 0, most - lines.len());
            lines.splice(..0, older);
        }
    }
    lines
}

/// The last of the lines that were written since the log had this length.
pub(crate) fn last_lines_since(path: &Path, start: u64, most: usize) -> Vec<String> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        // One that has got shorter was emptied since.
        let start = if length < start { 0 } else { start };
        let enough = (most as u64).saturating_mul(1024).clamp(64 * 1024, 2 * LARGE);
        let from = start.max(length.saturating_sub(enough));
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(enough).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // From within a line, only the next one is whole.
        let whole = text.split_once('\n').map(|(_, rest)| rest.to_owned());
        Ok(if from > start { whole.unwrap_or(text) } else { text })
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|&line| line.to_owned()).collect()
}

/// What stands before a line of that log.
pub fn prefix(name: &str) -> String {
    let width = names().map(str::len).max().unwrap_or_default();
    if !terminal::colours() {
        return format!("{name:width$} | ");
    }
    let row = if is_worker(name) { WORKER } else { name };
    let colour = 31 + names().position(|other| other == row).unwrap_or_default() % 6;
    format!("\x1b[{colour}m{name:width$} |\x1b[0m ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_that_the_lab_writes_is_left_out() {
        for line in
            ["", "one", "12:05:01 one", "2026-11-22T12:05:01.250Z one", "time=2026-11-22T12:05:01Z one"]
        {
            assert_eq!(without_time(line), line);
        }
    }

    #[test]
    fn a_large_log_is_put_aside_and_its_writer_goes_on() {
        use std::io::Write;

        let folder = std::env::temp_dir().join(format!("xtask-logs-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        let path = folder.join("worker.log");
        let mut writer = OpenOptions::new().create(true).append(true).open(&path).expect("it can be made");
        let line = "x".repeat(1023) + "\n";
        for round in 0..6 {
            for _ in 0..=LARGE / 1024 {
                writer.write_all(line.as_bytes()).expect("it can be written");
            }
            writeln!(writer, "the end of round {round}").expect("it can be written");
            put_aside_if_large(&path);
            assert_eq!(fs::metadata(&path).expect("it is there").len(), 0, "round {round}");
        }
        writeln!(writer, "now").expect("it can be written");
        assert_eq!(last_lines(&path, 2), ["the end of round 5", "now"]);
        assert_eq!(last_lines(&aside(&path, KEPT), 1), ["the end of round 3"]);
        let total: u64 = fs::read_dir(&folder)
            .expect("it is there")
            .map(|file| file.and_then(|file| file.metadata()).expect("it is there").len())
            .sum();
        assert!(total < (KEPT as u64 + 1) * (LARGE + 64 * 1024), "{total} bytes");
        // Not even whoever asks for all of it gets more than a part of each file.
        assert!(last_lines(&path, usize::MAX).len() as u64 <= (KEPT as u64 + 1) * 2 * LARGE / 1024);
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn the_lines_of_this_run_are_told_from_those_before() {
        let path = std::env::temp_dir().join(format!("xtask-run-{}.log", std::process::id()));
        fs::write(&path, "former\n").expect("the folder for temporary files can be written");
        let start = fs::metadata(&path).expect("it is there").len();
        assert!(last_lines_since(&path, start, 12).is_empty());
        fs::write(&path, "former\nmine\n").expect("it can be written");
        assert_eq!(last_lines_since(&path, start, 12), ["mine"]);
        // It was emptied since.
        fs::write(&path, "mine\n").expect("it can be written");
        assert_eq!(last_lines_since(&path, start, 12), ["mine"]);
        fs::remove_file(&path).expect("it is there");
    }
}

//! Following logs as they grow.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::logs::{self, BUILD, SUPERVISOR, prefix, without_time};
use checkout::project::Project;
use terminal::stderrln;

/// So much is read at once, and no line is longer.
const PART: u64 = 1024 * 1024;

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

    /// The lines that were finished since the last call; if they are many, the next of them.
    pub fn new_lines(&mut self) -> Vec<String> {
        // A file that is not there yet has no lines.
        let Ok(length) = fs::metadata(&self.path).map(|file| file.len()) else { return Vec::new() };
        // One that got shorter was put aside; the rest of it is there.
        if length < self.offset {
            let rest = part(&logs::aside(&self.path, 1), self.offset);
            self.unfinished.extend(rest.unwrap_or_default());
            self.offset = 0;
        }
        if length > self.offset {
            let Ok(bytes) = part(&self.path, self.offset) else { return Vec::new() };
            self.offset += bytes.len() as u64;
            self.unfinished.extend(bytes);
        }
        let end = match self.unfinished.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => end + 1,
            None if self.unfinished.len() as u64 >= PART => self.unfinished.len(),
            None => return Vec::new(),
        };
        let rest = self.unfinished.split_off(end);
        let finished = std::mem::replace(&mut self.unfinished, rest);
        String::from_utf8_lossy(&finished).lines().map(str::to_owned).collect()
    }
}

/// A part of a file, from there on.
fn part(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(PART).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Several logs as one stream, the name before each line.
pub struct Stream {
    tails: Vec<(String, Tail)>,
    /// The project whose versions of the worker are followed too, once they have a log.
    versions: Option<Project>,
}

impl Stream {
    /// The stream of what these logs will say from now on.
    pub fn of(project: &Project, names: &[String]) -> Stream {
        let tails = names.iter().map(|name| (name.clone(), Tail::from_end(project.log(name)))).collect();
        Stream { tails, versions: None }
    }

    /// The stream of what all logs will say from now on.
    pub fn of_all(project: &Project) -> Stream {
        let names: Vec<_> =
            logs::names().map(str::to_owned).chain(logs::names_of_versions(project)).collect();
        Stream { versions: Some(project.clone()), ..Stream::of(project, &names) }
    }

    /// Prints what is new.
    pub fn print_new(&mut self) -> io::Result<()> {
        self.find_versions();
        // Cargo's bar may stand on the line.
        let erase = if terminal::colours() { "\x1b[K" } else { "" };
        for (name, tail) in &mut self.tails {
            for line in tail.new_lines() {
                terminal::try_stdout_line(format_args!("{erase}{}{line}", prefix(name)))?;
            }
        }
        Ok(())
    }

    /// Adds the logs of versions that were deployed since, from their begin.
    fn find_versions(&mut self) {
        let Some(project) = &self.versions else { return };
        for name in logs::names_of_versions(project) {
            if !self.tails.iter().any(|(known, _)| *known == name) {
                let tail = Tail { path: project.log(&name), offset: 0, unfinished: Vec::new() };
                self.tails.push((name, tail));
            }
        }
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

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    #[test]
    fn a_tail_gives_whole_lines_and_survives_an_emptied_file() {
        let path = std::env::temp_dir().join(format!("xtask-tail-{}.log", std::process::id()));
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
        fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn a_tail_gives_every_line_of_a_log_that_is_put_aside_meanwhile() {
        let path = std::env::temp_dir().join(format!("xtask-aside-{}.log", std::process::id()));
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("it can be made");
        let mut tail = Tail::from_end(path.clone());
        let mut read = Vec::new();
        for number in 0..200_000 {
            writeln!(file, "line {number:<60}").expect("it can be written");
            if number % 10_000 == 0 {
                read.extend(tail.new_lines());
            }
            if number % 7_000 == 0 {
                logs::put_aside_if_large(&path);
            }
        }
        loop {
            let more = tail.new_lines();
            if more.is_empty() {
                break;
            }
            read.extend(more);
        }
        assert!(logs::aside(&path, 2).exists());
        for (number, line) in read.iter().enumerate() {
            assert_eq!(line.trim_end(), format!("line {number}"));
        }
        assert_eq!(read.len(), 200_000);
        for number in 1..=3 {
            let _ = fs::remove_file(logs::aside(&path, number));
        }
        fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn a_tail_holds_a_bounded_part_of_a_log_that_grows_faster_than_it_is_read() {
        let path = std::env::temp_dir().join(format!("xtask-fast-{}.log", std::process::id()));
        fs::write(&path, "").expect("the folder for temporary files can be written");
        let mut tail = Tail::from_end(path.clone());
        // Sparse: as long as a flood, and without a line's end.
        OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(1 << 32)).expect("it grows");
        for _ in 0..3 {
            let read: usize = tail.new_lines().iter().map(String::len).sum();
            assert_eq!(read as u64, PART);
        }
        fs::remove_file(&path).expect("it is there");
    }
}

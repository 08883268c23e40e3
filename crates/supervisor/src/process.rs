//! Processes as the system knows them: which are alive, which are still the ones that were started,
//! and how a whole group of them is ended.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

pub use lab_client::state::Identity;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

/// That process, if it is alive.
pub fn identify(pid: u32) -> Option<Identity> {
    start_of(pid).map(|started| Identity { pid, started })
}

/// Whether that very process is alive.
pub fn is_alive(process: &Identity) -> bool {
    start_of(process.pid).as_ref() == Some(&process.started)
}

/// When a living process was started; a zombie counts as ended.
#[cfg(target_os = "linux")]
fn start_of(pid: u32) -> Option<String> {
    let stat = Stat::of(pid)?;
    // Counted from the boot, so only together with the boot is it a point in time.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    (!stat.has_ended()).then(|| format!("{} {}", stat.started, boot.trim()))
}

#[cfg(not(target_os = "linux"))]
fn start_of(pid: u32) -> Option<String> {
    // The same in every terminal: the time is printed in the user's language and time zone.
    let mut ps = Command::new("ps");
    ps.args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").env("TZ", "UTC");
    let output = ps.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// What `/proc/PID/stat` says.
#[cfg(target_os = "linux")]
struct Stat {
    state: char,
    group: u32,
    started: u64,
}

#[cfg(target_os = "linux")]
impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in brackets, and may hold any character.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        Some(Stat {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Whether no process of the group runs; zombies do not count.
pub fn group_is_empty(group: u32) -> bool {
    match killpg(pid_of(group), None) {
        Err(Errno::ESRCH) => true,
        // Something is left, if only a zombie that its parent has not reaped.
        _ => !group_runs(group),
    }
}

#[cfg(target_os = "linux")]
fn group_runs(group: u32) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Stat::of)
        .any(|stat| stat.group == group && !stat.has_ended())
}

#[cfg(not(target_os = "linux"))]
fn group_runs(group: u32) -> bool {
    let Ok(output) = Command::new("ps").args(["-A", "-o", "pgid=,stat="]).output() else { return true };
    String::from_utf8_lossy(&output.stdout).lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(group.to_string().as_str()) && !words.next().unwrap_or("Z").starts_with('Z')
    })
}

/// The variable that names the supervisor in the environment of all that it starts, directly or not.
const MARK: &str = "BUGLAB_SUPERVISOR";

/// Marks the program, and whatever it starts, as started by this supervisor.
pub fn mark(program: &mut Command, supervisor: &Identity) {
    program.env(MARK, value_of_mark(supervisor));
}

fn value_of_mark(supervisor: &Identity) -> String {
    format!("{} {}", supervisor.pid, supervisor.started)
}

/// Whether the group has processes that this supervisor's lab started, although its leader may have ended.
#[cfg(target_os = "linux")]
pub fn group_is_of(group: u32, supervisor: &Identity) -> bool {
    let mark = format!("{MARK}={}", value_of_mark(supervisor));
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|&pid| Stat::of(pid).is_some_and(|stat| stat.group == group && !stat.has_ended()))
        .filter_map(|pid| std::fs::read(format!("/proc/{pid}/environ")).ok())
        .any(|variables| variables.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes()))
}

/// Other systems do not show a process the environment of another.
#[cfg(not(target_os = "linux"))]
pub fn group_is_of(_group: u32, _supervisor: &Identity) -> bool {
    false
}

/// Sends the signal to every process of the group.
pub fn signal_group(group: u32, signal: Signal) {
    // A group that has just ended needs no signal.
    let _ = killpg(pid_of(group), signal);
}

/// Sends the signal to one process.
pub fn signal(process: &Identity, signal: Signal) {
    if is_alive(process) {
        let _ = kill(pid_of(process.pid), signal);
    }
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}

/// How a group is ended.
pub struct Ending<'a> {
    /// How long it has after TERM, before KILL.
    pub grace: Duration,
    /// Polled: whether to stop waiting and KILL at once.
    pub hurry: &'a dyn Fn() -> bool,
}

/// Ends a group: TERM, the grace period, KILL, until it is empty. Returns whether it took the KILL.
///
/// `child` is its leader when this process started it, and is reaped. Without one the caller has made
/// sure that the group is still the one that was started.
pub fn end_group(group: u32, mut child: Option<&mut Child>, ending: &Ending<'_>) -> bool {
    let begin = Instant::now();
    let mut killed = false;
    signal_group(group, Signal::SIGTERM);
    loop {
        if let Some(child) = &mut child {
            // This only reaps it; whether the group is empty is asked below.
            let _ = child.try_wait();
        }
        if group_is_empty(group) {
            return killed;
        }
        if killed || begin.elapsed() >= ending.grace || (ending.hurry)() {
            signal_group(group, Signal::SIGKILL);
            killed = true;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the process has ended, at most so long; returns whether it has.
pub fn wait_for_end(process: &Identity, most: Duration) -> bool {
    let begin = Instant::now();
    while is_alive(process) {
        if begin.elapsed() > most {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// A command that ends with the process that started it, however that ends: the shell around it reads its
/// standard input, which nobody writes to, and kills it at the end of file. The files that it creates are for this user alone,
/// unless it sets their rights itself. To be run by [`output`].
pub fn tied(program: &Command) -> Command {
    let script = r#"
        umask 077
        exec 3<&0
        "$@" </dev/null 3<&- &
        program=$!
        { read -r end <&3; kill "$program"; } >/dev/null 2>&1 &
        exec 3<&-
        wait "$program"
        code=$?
        kill $! 2>/dev/null
        exit "$code""#;
    by_shell(script, program)
}

/// Runs a [`tied`] command to its end.
pub fn output(mut tied: Command) -> io::Result<Output> {
    let mut child = tied.stdin(Stdio::piped()).spawn()?;
    let _tie = child.stdin.take();
    child.wait_with_output()
}

/// A command that starts in a process group of its own and waits for a line of input before it
/// becomes the program.
///
/// So its id can be recorded first. If the writer ends before that, the shell reads the end of
/// its input and the program never starts: every process that runs is recorded.
pub fn gated(program: &Command) -> Command {
    let mut command = by_shell(r#"read -r go && exec "$@" </dev/null"#, program);
    command.process_group(0);
    command
}

/// The command, whose files are for this user alone unless it sets their rights itself.
pub fn privately(program: &Command) -> Command {
    by_shell(r#"umask 077 && exec "$@""#, program)
}

/// The command, run by a script that gets it as its arguments. The script is a constant: no name that a user chose is ever
/// parsed by a shell.
fn by_shell(script: &'static str, program: &Command) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_process_is_not_taken_for_a_later_one_with_its_id() {
        let me = identify(std::process::id()).expect("this test is alive");
        assert!(is_alive(&me));
        assert!(!is_alive(&Identity { started: "another time".to_owned(), ..me }));
    }

    #[test]
    fn a_gated_program_never_starts_when_its_starter_dies_first() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo started"]);
        let mut gate = gated(&command);
        let mut child = gate.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh exists");
        drop(child.stdin.take());
        let output = child.wait_with_output().expect("it was started");
        assert!(!output.status.success() && output.stdout.is_empty());
    }

    #[test]
    fn a_tied_program_says_what_it_says_and_how_it_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo \"$1\"; exit 3", "sh", "two words"]);
        let mut tied = tied(&command);
        tied.stdout(Stdio::piped());
        let output = output(tied).expect("sh exists");
        assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"two words\n"[..]));
    }

    #[test]
    fn what_a_tied_program_writes_is_for_this_user_alone() {
        let mut command = Command::new("sh");
        command.args(["-c", "umask"]);
        let mut tied = tied(&command);
        tied.stdout(Stdio::piped());
        let output = output(tied).expect("sh exists");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('0'), "77");
    }

    #[test]
    fn a_tied_program_ends_with_its_starter() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut child = tied(&command).stdin(Stdio::piped()).spawn().expect("sh exists");
        drop(child.stdin.take());
        assert!(!child.wait().expect("it was started").success());
    }

    #[test]
    fn ending_a_group_takes_those_who_ignore_term_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo up; sleep 600 & sleep 600; wait"]);
        command.process_group(0).stdout(Stdio::piped());
        let mut child = command.spawn().expect("sh exists");
        let mut stdout = child.stdout.take().expect("piped");
        let mut up = [0; 3];
        std::io::Read::read_exact(&mut stdout, &mut up).expect("it says when its trap is set");
        let group = child.id();
        let ending = Ending { grace: Duration::from_millis(50), hurry: &|| false };
        assert!(end_group(group, Some(&mut child), &ending));
        assert!(group_is_empty(group));
    }
}

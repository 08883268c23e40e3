//! The resource usage of a process, from `/proc`; unknown on systems other than Linux.

use std::{fs, path::Path};

/// The resource usage of a process since its start.
#[derive(Clone, Copy)]
pub(super) struct ProcessUsage {
    /// Its CPU time, in seconds.
    pub(super) cpu: f64,
    /// Its peak memory, in MB.
    pub(super) peak_memory: f64,
}

impl ProcessUsage {
    /// The usage of a running process.
    pub(super) fn of(pid: u32) -> Option<ProcessUsage> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses, which may contain any character.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(ProcessUsage {
            // Linux counts in hundredths of a second, independent of the kernel's own tick rate.
            cpu: (ticks(11)? + ticks(12)?) / 100.0,
            peak_memory: peak.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0,
        })
    }
}

/// The child of a process that runs this executable.
pub(super) fn child_of(parent: u32, executable: &Path) -> Option<u32> {
    let executable = fs::canonicalize(executable).ok()?;
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .find(|pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == executable))
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::{
        env,
        hint::black_box,
        process::{self, Command},
    };

    use super::*;

    #[test]
    fn the_cpu_time_of_a_process_grows_as_it_works() {
        let before = ProcessUsage::of(process::id()).expect("this test is alive");
        assert!(before.peak_memory > 0.0);
        let grown = || ProcessUsage::of(process::id()).expect("this test is alive").cpu > before.cpu;
        while !grown() {
            black_box(0);
        }
        assert!(ProcessUsage::of(u32::MAX).is_none());
    }

    #[test]
    fn a_child_is_found_by_its_executable() {
        let paths = env::var_os("PATH").unwrap_or_default();
        let sleep = env::split_paths(&paths).map(|folder| folder.join("sleep")).find(|path| path.is_file());
        let sleep = sleep.expect("sleep is installed");
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", "sleep 600 & wait"]).spawn().expect("sh exists");
        let child = loop {
            if let Some(child) = child_of(shell.id(), &sleep) {
                break child;
            }
        };
        assert!(child_of(shell.id(), Path::new("/bin/no-such-program")).is_none());
        let ended = Command::new("kill").arg(child.to_string()).status().expect("kill exists");
        assert!(ended.success());
        shell.wait().expect("it was started");
    }
}

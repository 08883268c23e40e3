//! The resource usage of a process, from `/proc`; unknown on systems other than Linux.

use std::{fs, ops::Range, path::Path};

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
        Some(ProcessUsage { cpu: cpu(pid, 11..13)?, peak_memory: memory(pid, "VmHWM:")? })
    }

    /// The same with the children that it has and has had. Of their memory, what they have now and do not share.
    pub(super) fn with_children(pid: u32) -> Option<ProcessUsage> {
        let mut usage = ProcessUsage::of(pid)?;
        usage.cpu = cpu(pid, 11..15)?;
        for child in children(pid) {
            usage.cpu += cpu(child, 11..13).unwrap_or_default();
            usage.peak_memory += memory(child, "RssAnon:").unwrap_or_default();
        }
        Some(usage)
    }
}

/// The sum of these fields of a process's `stat`, in seconds: the third field has number 0. 11 and 12 are the times of the process in its own code
/// and in the kernel, 13 and 14 those of the children that have ended.
fn cpu(pid: u32, fields: Range<usize>) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may contain any character.
    let all: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: Option<Vec<f64>> = all.get(fields)?.iter().map(|field| field.parse().ok()).collect();
    // Linux counts in hundredths of a second, independent of the kernel's own tick rate.
    Some(ticks?.iter().sum::<f64>() / 100.0)
}

/// A field of a process's `status`, in MB.
fn memory(pid: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

/// The children of a process.
fn children(parent: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The child of a process that runs this executable.
pub(super) fn child_of(parent: u32, executable: &Path) -> Option<u32> {
    let executable = fs::canonicalize(executable).ok()?;
    children(parent)
        .into_iter()
        .find(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == executable))
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
    fn the_usage_of_a_process_includes_its_children() {
        // One child that has worked and ended, and one that works.
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let script = format!("({work}); ({work}; while :; do :; done) & wait");
        let mut shell = Command::new("sh").args(["-c", &script]).spawn().expect("sh exists");
        let usage = || (ProcessUsage::of(shell.id()), ProcessUsage::with_children(shell.id()));
        let (alone, together) = loop {
            let (Some(alone), Some(together)) = usage() else { continue };
            if together.cpu > alone.cpu + 1.0 && !children(shell.id()).is_empty() {
                break (alone, together);
            }
        };
        assert!(together.peak_memory > alone.peak_memory);
        for child in children(shell.id()) {
            let ended = Command::new("kill").arg(child.to_string()).status().expect("kill exists");
            assert!(ended.success());
        }
        shell.wait().expect("it was started");
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

//! A command that stops before each of its system calls. It has no other effects, so these are all the moments at which it can be
//! interrupted.

use std::{
    fs,
    io::{Read, Write},
    iter,
    process::{Child, Command, Stdio},
};

use nix::{
    libc,
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::support::Checkout;

/// A command that stops before each of its system calls; killed at the latest with the test.
pub(crate) struct Stepped {
    child: Child,
    pid: Pid,
    has_ended: bool,
}

impl Stepped {
    /// Starts it and stops it at once. `None` if the system does not allow tracing.
    pub(crate) fn start(checkout: &Checkout, program: &Command) -> Option<Stepped> {
        let mut shell = Command::new("sh");
        // It signals that it has started, and waits to be traced.
        shell.args(["-c", "echo there && read -r line && exec \"$@\" > /dev/null", "sh"]);
        shell.arg(program.get_program()).args(program.get_args()).current_dir(&checkout.root);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn().expect("there is a shell");
        let mut there = [0; 6];
        let mut stdout = child.stdout.take().expect("it is a pipe");
        stdout.read_exact(&mut there).expect("the shell says a word");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids are small"));
        let options = ptrace::Options::PTRACE_O_TRACESYSGOOD
            | ptrace::Options::PTRACE_O_TRACEEXEC
            | ptrace::Options::PTRACE_O_EXITKILL;
        if let Err(error) = ptrace::seize(pid, options) {
            webtest::skip(&format!("tracing a process needs the right to do so: {error}"));
            child.kill().and_then(|()| child.wait()).expect("it is ours");
            return None;
        }
        child.stdin.take().expect("it is a pipe").write_all(b"\n").expect("the shell reads");
        let status = waitpid(pid, None).expect("it is ours");
        assert!(matches!(status, WaitStatus::PtraceEvent(..)), "{status:?}");
        Some(Stepped { child, pid, has_ended: false })
    }

    /// Continues to the next start or end of a system call.
    pub(crate) fn half_a_step(&mut self, signal: Option<Signal>) {
        ptrace::syscall(self.pid, signal).expect("it has stopped");
        match waitpid(self.pid, None).expect("it is ours") {
            WaitStatus::PtraceSyscall(_) => {}
            WaitStatus::Stopped(_, signal) => self.half_a_step(Some(signal)),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => self.has_ended = true,
            status => panic!("{status:?}"),
        }
    }

    /// Continues to the next system call. Returns whether there is one.
    pub(crate) fn step(&mut self) -> bool {
        for _ in 0..2 {
            if !self.has_ended {
                self.half_a_step(None);
            }
        }
        !self.has_ended
    }

    pub(crate) fn kill(mut self) {
        if !self.has_ended {
            self.child.kill().expect("it is ours");
            self.child.wait().expect("it is dead");
        }
    }

    /// Continues to the next system call with an outside effect: on files, processes, sockets. Returns whether there is one.
    pub(crate) fn step_to_change(&mut self) -> bool {
        loop {
            if !self.step() {
                return false;
            }
            if self.is_change() {
                return true;
            }
        }
    }

    /// Detaches from it.
    pub(crate) fn let_go(mut self) -> Child {
        self.has_ended = true;
        ptrace::detach(self.pid, None).expect("it has stopped");
        self.child
    }

    /// Whether its next system call changes something.
    fn is_change(&self) -> bool {
        let call = || fs::read_to_string(format!("/proc/{}/syscall", self.pid)).unwrap_or_default();
        // The kernel says this as long as the stopped process has not left its processor.
        let words =
            iter::repeat_with(call).find(|call| call.trim() != "running").expect("it repeats without end");
        let mut words = words.split_whitespace();
        let Some(number) = words.next().and_then(|number| number.parse::<i64>().ok()) else { return false };
        let argument = |at: usize| {
            let word = words.clone().nth(at).and_then(|word| word.strip_prefix("0x"));
            word.and_then(|word| i64::from_str_radix(word, 16).ok()).unwrap_or_default()
        };
        match number {
            libc::SYS_openat => argument(2) & i64::from(libc::O_CREAT | libc::O_WRONLY | libc::O_RDWR) != 0,
            libc::SYS_write | libc::SYS_fsync | libc::SYS_flock => true,
            libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_unlinkat | libc::SYS_mkdirat => true,
            libc::SYS_bind | libc::SYS_clone | libc::SYS_clone3 | libc::SYS_kill | libc::SYS_wait4 => true,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename | libc::SYS_unlink | libc::SYS_mkdir | libc::SYS_open | libc::SYS_vfork => true,
            _ => false,
        }
    }
}

//! `stage_worker` in a process of its own.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use testbed::Testbed;

/// The program, run with these arguments in this folder until it ends.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the worker can be run")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stage_worker"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A worker that runs; killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// A worker with a stage's modules.
    pub(crate) fn start(testbed: &Testbed, stage: &str) -> Process {
        Process::start_in(testbed, Path::new("."), &[stage])
    }

    /// The program with these arguments, in this folder.
    pub(crate) fn start_in(testbed: &Testbed, folder: &Path, arguments: &[&str]) -> Process {
        Process::spawn(command(folder, arguments), testbed)
    }

    /// The same, with its log in the file `log` of this folder.
    pub(crate) fn start_with_log(testbed: &Testbed, folder: &Path, arguments: &[&str]) -> Process {
        let mut command = command(folder, arguments);
        command.stderr(File::create(folder.join("log")).expect("a log file"));
        Process::spawn(command, testbed)
    }

    fn spawn(mut command: Command, testbed: &Testbed) -> Process {
        let child = command
            .env("TEMPORAL_ADDRESS", testbed.server_address())
            .env("ACCOUNT_API_URL", &testbed.bank_url)
            .spawn();
        Process(child.expect("the worker can be run"))
    }

    /// Ends it by this signal, or asks it to end.
    pub(crate) fn signal(&mut self, signal: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().expect("kill can be run");
        assert!(sent.success());
    }

    /// Whether it is gone.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child can be asked").is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

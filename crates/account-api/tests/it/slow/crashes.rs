//! What a crash leaves, wherever it strikes: a `kill -9` before any system call that changes a file, and a power
//! cut that takes any part of SQLite's log.

use std::fs;
use std::path::Path;

use account_api::Bank;
use contract::bank::{Entries, Entry, EntryKind};

use crate::ledger_file::assert_ledger_adds_up;
use crate::support::{Ask, Client, serve};

/// A day at the bank.
fn day(bank: &Client) -> Vec<Ask> {
    vec![
        bank.deposit("account_B", 1.0).key("salary"),
        bank.withdraw("account_A", 25.5).key("withdraw-1").run_of("transfer-1", "run-1"),
        bank.deposit("account_B", 25.5).key("deposit-1").run_of("transfer-1", "run-1"),
        bank.withdraw("account_C", 10.0).key("withdraw-2").run_of("transfer-2", "run-2"),
        bank.refund("account_C", 10.0).run_of("transfer-2", "run-2"),
    ]
}

/// What the day leaves in the ledger: accounts, kinds and amounts in cents.
const DAY: [(&str, EntryKind, i64); 5] = [
    ("account_B", EntryKind::Deposit, 100),
    ("account_A", EntryKind::Withdraw, 2550),
    ("account_B", EntryKind::Deposit, 2550),
    ("account_C", EntryKind::Withdraw, 1000),
    ("account_C", EntryKind::Refund, 1000),
];

/// The total after the day, in cents.
const TOTAL: i64 = 795_000 + 100;

/// All entries but those that opened the accounts.
async fn entries(bank: &Client) -> Vec<Entry> {
    let page: Entries = serde_json::from_value(bank.get("/entries").await.json).expect("entries");
    assert!(page.entries[..10].iter().all(|entry| entry.kind == EntryKind::Open), "{page:?}");
    page.entries[10..].to_vec()
}

/// Asserts that the ledger holds the begin of the day, from what was answered on, and nothing half; and that who got
/// no answer can ask again: in the end everything was done once.
async fn assert_begin_of_the_day(db: &Path, answered: usize, when: &str) {
    let bank = Bank::open(db).unwrap_or_else(|error| panic!("{when}: {error:#}"));
    let client = serve(bank.clone()).await;
    let done = entries(&client).await;
    let found: Vec<_> =
        done.iter().map(|entry| (entry.account_number.as_str(), entry.kind, entry.amount.cents())).collect();
    assert!(found.len() >= answered, "{when}: {answered} were answered, and there are {found:?}");
    assert_eq!(found, DAY[..found.len()], "{when}");
    assert_ledger_adds_up(db);

    let refunded = found.len() == DAY.len();
    for (number, ask) in day(&client).into_iter().enumerate() {
        let answer = ask.send().await;
        // The withdrawal of a run that its refund has closed.
        let status = if refunded && number == 3 { 409 } else { 200 };
        assert_eq!(answer.status, status, "{when}: {}", answer.json);
    }
    assert_eq!(entries(&client).await.len(), DAY.len(), "{when}");
    assert_eq!(client.total_cents().await, TOTAL, "{when}");
    bank.close().await;
    assert_ledger_adds_up(db);
}

/// Copies the ledger with its log, as a crash leaves them.
fn copy(from: &Path, to: &Path) {
    for name in ["bank.db", "bank.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("a copy");
        }
    }
}

/// Makes a ledger with a log that holds the day.
async fn ledger_with_a_log(folder: &Path) {
    let living = tempfile::tempdir().expect("a folder");
    let bank = Bank::open(living.path().join("bank.db")).expect("a bank");
    let client = serve(bank.clone()).await;
    for ask in day(&client) {
        assert_eq!(ask.send().await.status, 200);
    }
    copy(living.path(), folder);
    bank.close().await;
}

#[tokio::test]
async fn a_power_cut_that_takes_any_part_of_the_log_leaves_the_begin_of_the_day() {
    let crashed = tempfile::tempdir().expect("a folder");
    ledger_with_a_log(crashed.path()).await;
    let log = fs::read(crashed.path().join("bank.db-wal")).expect("a log");
    assert!(log.len() > 40_000, "{}", log.len());
    let again = tempfile::tempdir().expect("a folder");
    let db = again.path().join("bank.db");
    for cut in (0..=log.len()).step_by(1543) {
        let mut flipped = log.clone();
        if let Some(byte) = flipped.get_mut(cut) {
            *byte ^= 0x40;
        }
        for (what, log) in [("cut", &log[..cut]), ("flipped", &flipped)] {
            copy(crashed.path(), again.path());
            fs::write(again.path().join("bank.db-wal"), log).expect("a log");
            assert_begin_of_the_day(&db, 0, &format!("log {what} at {cut}")).await;
        }
    }
}

/// The program, stopped before each of its system calls that changes a file.
#[cfg(target_os = "linux")]
mod step_by_step {
    use std::io::{BufRead, BufReader, Write};
    use std::iter;
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::thread;

    use nix::libc;
    use nix::sys::ptrace::{self, Options};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    use super::*;

    /// Those that change the file that their first argument is.
    const CHANGE_A_FILE: [i64; 5] =
        [libc::SYS_write, libc::SYS_pwrite64, libc::SYS_ftruncate, libc::SYS_fsync, libc::SYS_fdatasync];
    /// Those that change a folder.
    const CHANGE_A_FOLDER: &[i64] = &[
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_unlink,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename,
    ];

    /// A running program all of whose threads stop at their system calls; killed with the test at the latest.
    struct Stepped {
        child: Child,
        pid: Pid,
        folder: PathBuf,
    }

    impl Stepped {
        /// Starts it, and stops it at its begin. `None` where the system does not let it be traced.
        fn start(folder: &Path) -> Option<(Stepped, BufReader<ChildStdout>)> {
            let mut shell = Command::new("sh");
            // It says that it is there, and waits to be traced.
            shell.args(["-c", "echo there && read -r line && exec \"$@\"", "sh"]);
            shell
                .arg(env!("CARGO_BIN_EXE_account-api"))
                .args(["--port", "0", "--db"])
                .arg(folder.join("bank.db"));
            // By its group, all its threads can be waited for, and no child of another test.
            shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = shell.spawn().expect("there is a shell");
            let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
            stdout.read_line(&mut String::new()).expect("the shell says a word");
            let pid = Pid::from_raw(child.id().try_into().expect("process ids are small"));
            let options = Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_EXITKILL;
            if let Err(error) = ptrace::seize(pid, options) {
                webtest::skip(&format!("tracing a process needs the right to do so: {error}"));
                child.kill().and_then(|()| child.wait()).expect("it is ours");
                return None;
            }
            child.stdin.take().expect("it is a pipe").write_all(b"\n").expect("the shell reads");
            let status = waitpid(pid, None).expect("it is ours");
            assert!(matches!(status, WaitStatus::PtraceEvent(..)), "{status:?}");
            ptrace::syscall(pid, None).expect("it has stopped");
            Some((Stepped { child, pid, folder: folder.to_owned() }, stdout))
        }

        /// Whether the system call that this thread is about to make changes a file of the folder.
        fn changes_a_file(&self, thread: Pid) -> bool {
            let call = || {
                let call = fs::read_to_string(format!("/proc/{}/task/{thread}/syscall", self.pid));
                call.expect("the thread has stopped")
            };
            // The kernel says this as long as the stopped thread has not left its processor.
            let call = iter::repeat_with(call)
                .find(|call| call.trim() != "running")
                .expect("it repeats without end");
            let mut words = call.split_whitespace();
            let number: i64 = words.next().and_then(|word| word.parse().ok()).expect("a number");
            let mut arguments =
                words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).expect("a number"));
            match number {
                libc::SYS_openat => arguments.nth(2).expect("flags") & libc::O_CREAT as u64 != 0,
                _ if CHANGE_A_FILE.contains(&number) => {
                    let file = arguments.next().expect("a file");
                    let file = fs::read_link(format!("/proc/{}/fd/{file}", self.pid));
                    file.is_ok_and(|file| file.starts_with(&self.folder))
                }
                _ => CHANGE_A_FOLDER.contains(&number),
            }
        }

        /// Lets it run until before the call of this number that changes a file, and kills it. Returns whether
        /// there was one.
        fn run_until(mut self, number: usize) -> bool {
            let mut seen = 0;
            loop {
                let group = Pid::from_raw(-self.pid.as_raw());
                let (thread, signal) = match waitpid(group, Some(WaitPidFlag::__WALL)).expect("it is ours") {
                    WaitStatus::PtraceSyscall(thread) => {
                        // A thread that is just dying has none.
                        let is_begin = ptrace::syscall_info(thread)
                            .is_ok_and(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY);
                        if is_begin && self.changes_a_file(thread) {
                            seen += 1;
                            if seen == number {
                                self.child.kill().expect("it is ours");
                                self.wait();
                                return true;
                            }
                        }
                        (thread, None)
                    }
                    WaitStatus::PtraceEvent(thread, ..) => (thread, None),
                    WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
                    WaitStatus::Exited(pid, code) if pid == self.pid => {
                        assert_eq!(code, 0, "it ends well");
                        return false;
                    }
                    WaitStatus::Exited(..) | WaitStatus::Signaled(..) => continue,
                    status => panic!("{status:?}"),
                };
                // It may have ended meanwhile.
                let _ = ptrace::syscall(thread, signal);
            }
        }

        /// Waits until it is gone, with all its threads.
        fn wait(&mut self) {
            let group = Pid::from_raw(-self.pid.as_raw());
            while waitpid(group, Some(WaitPidFlag::__WALL)).is_ok() {}
        }
    }

    /// Asks for all of this, one after the other, and then for the program's end. Returns how many were answered.
    async fn ask(pid: Pid, mut stdout: BufReader<ChildStdout>, script: fn(&Client) -> Vec<Ask>) -> usize {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it is a pipe");
        let Some(url) = line.trim_end().strip_prefix("account-api listens on ") else { return 0 };
        let mut answered = 0;
        for ask in script(&Client::new(url)) {
            match ask.try_send().await {
                Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.json),
                Err(_) => return answered,
            }
            answered += 1;
        }
        // Killed before its end, it does not hear this.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        answered
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// Kills the program before each system call that changes a file, while it answers this on what `prepare` has
    /// laid there.
    fn kill_everywhere(
        prepare: impl Fn(&Path),
        script: fn(&Client) -> Vec<Ask>,
        assert: impl AsyncFn(&Path, usize, &str),
    ) {
        for number in 1.. {
            let folder = tempfile::tempdir().expect("a folder");
            // As the system names it.
            let path = folder.path().canonicalize().expect("it is there");
            prepare(&path);
            let Some((program, stdout)) = Stepped::start(&path) else { return };
            let pid = program.pid;
            let asking = thread::spawn(move || runtime().block_on(ask(pid, stdout, script)));
            let is_killed = program.run_until(number);
            let answered = asking.join().expect("no panic");
            let when = format!("killed before change {number}, with {answered} answered");
            runtime().block_on(assert(&path.join("bank.db"), answered, &when));
            if !is_killed {
                assert!(number > 20, "only {number} system calls were seen");
                println!("{when} at the latest");
                return;
            }
        }
    }

    #[test]
    fn a_new_bank_and_its_first_day_can_be_killed_anywhere() {
        kill_everywhere(|_| {}, day, assert_begin_of_the_day);
    }

    /// A bank that was killed is started again, and reset.
    fn reset(bank: &Client) -> Vec<Ask> {
        vec![bank.ask("POST", "/reset"), bank.deposit("account_B", 1.0).key("salary")]
    }

    /// Asserts that all of the day is there, or nothing of it and its runs are closed.
    async fn assert_before_or_after_the_reset(db: &Path, answered: usize, when: &str) {
        let bank = Bank::open(db).unwrap_or_else(|error| panic!("{when}: {error:#}"));
        let client = serve(bank.clone()).await;
        assert_ledger_adds_up(db);
        let found = entries(&client).await;
        let is_before = found.len() == DAY.len();
        match answered {
            0 => assert!(is_before || found.len() <= 1, "{when}: {found:?}"),
            1 => assert!(found.len() <= 1, "{when}: {found:?}"),
            _ => assert_eq!(found.len(), 1, "{when}: {found:?}"),
        }
        let late = client.withdraw("account_A", 25.5).key("withdraw-1").run_of("transfer-1", "run-1");
        assert_eq!(late.send().await.status, if is_before { 200 } else { 409 }, "{when}");
        for ask in reset(&client) {
            assert_eq!(ask.send().await.status, 200, "{when}");
        }
        assert_eq!(client.total_cents().await, 795_000 + 100, "{when}");
        bank.close().await;
        assert_ledger_adds_up(db);
    }

    #[test]
    fn what_a_kill_left_can_be_killed_anywhere_while_it_is_recovered_and_reset() {
        let crashed = tempfile::tempdir().expect("a folder");
        runtime().block_on(ledger_with_a_log(crashed.path()));
        kill_everywhere(|folder| copy(crashed.path(), folder), reset, assert_before_or_after_the_reset);
    }
}

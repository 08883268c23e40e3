//! A disk that is full or takes no changes: the bank says so and what to do, and nothing is half done.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use account_api::Bank;
use serde_json::json;
use tempfile::TempDir;
use webtest::skip;

use crate::ledger_file::assert_ledger_adds_up;
use crate::program::{Program, account_api};
use crate::support::serve;

/// A folder that commands run in it find as a file system of their own, which nobody else sees.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// `None` where the system does not let one be had.
    fn new() -> Option<Disk> {
        let disk = Disk { folder: tempfile::tempdir().expect("a folder") };
        match disk.command("true", "true").output() {
            Ok(output) if output.status.success() => Some(disk),
            other => {
                skip(&format!("a file system of one's own needs unshare and the right to mount: {other:?}"));
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a program on two megabytes, after this shell script, which finds the folder as `$TMPDIR`.
    fn command(&self, script: &str, program: &str) -> Command {
        let script = format!("mount -t tmpfs -o size=2m none \"$TMPDIR\" && {script} && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh", program]);
        command.env("TMPDIR", self.path());
        command
    }
}

/// Makes a ledger, closed or as a kill leaves it.
async fn make_ledger(folder: &Path, is_killed: bool) {
    let living = tempfile::tempdir().expect("a folder");
    let bank = Bank::open(living.path().join("bank.db")).expect("a bank");
    let client = serve(bank.clone()).await;
    assert_eq!(client.deposit("account_B", 1.0).send().await.status, 200);
    if !is_killed {
        bank.close().await;
    }
    for name in ["bank.db", "bank.db-wal"] {
        if living.path().join(name).exists() {
            fs::copy(living.path().join(name), folder.join(name)).expect("a copy");
        }
    }
    bank.close().await;
}

#[tokio::test]
async fn ledgers_that_cannot_be_written_end_the_program_with_what_to_do() {
    let Some(disk) = Disk::new() else { return };
    let originals = tempfile::tempdir().expect("a folder");
    let from = originals.path().display();
    let db = disk.path().join("bank.db");
    let copy = format!("cp {from}/* \"$TMPDIR\"");
    for (what, is_killed, script) in [
        ("a folder without a ledger", None, "mount -o remount,bind,ro \"$TMPDIR\"".to_owned()),
        ("a closed ledger", Some(false), format!("{copy} && mount -o remount,bind,ro \"$TMPDIR\"")),
        (
            "the ledger of a killed bank",
            Some(true),
            format!("{copy} && mount -o remount,bind,ro \"$TMPDIR\""),
        ),
        (
            "a read-only file",
            Some(false),
            format!(
                "{copy} && cd \"$TMPDIR\" && mount --bind bank.db bank.db && mount -o remount,bind,ro bank.db"
            ),
        ),
    ] {
        if let Some(is_killed) = is_killed {
            make_ledger(originals.path(), is_killed).await;
        }
        let mut command = disk.command(&script, env!("CARGO_BIN_EXE_account-api"));
        command.args(["--port", "0", "--db"]).arg(&db);
        let Err(error) = Program::run(command) else { panic!("{what}: it was taken") };
        assert_eq!(error.lines().count(), 1, "{what}: {error}");
        for part in [
            &*db.to_string_lossy(),
            "left as it is",
            "give the bank write access to it and its folder",
            "--db",
        ] {
            assert!(error.contains(part), "{what}: {error}");
        }
    }
}

/// The same by permissions, where no file system can be mounted. Root may write in spite of them.
#[cfg(unix)]
#[tokio::test]
async fn ledgers_without_the_permission_to_write_are_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bank.db");
    make_ledger(folder.path(), false).await;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("it is ours");
    if File::options().write(true).open(&file).is_ok() {
        println!("skipped: root may write to any file; the test above has a file that root cannot write");
        return;
    }
    let bytes = fs::read(&file).expect("it can be read");
    let Err(error) = Bank::open(&file) else { panic!("a file that cannot be written was taken") };
    assert!(format!("{error:#}").contains("give the bank write access to it"), "{error:#}");
    assert!(fs::read(&file).expect("it can be read") == bytes, "the file has changed");
}

/// Runs the test below on a disk of two megabytes.
#[test]
fn a_full_disk_loses_nothing_that_was_answered_and_halves_nothing() {
    let Some(disk) = Disk::new() else { return };
    let this = std::env::current_exe().expect("a test has an executable");
    let mut command = disk.command("true", this.to_str().expect("cargo's paths are text"));
    command.args(["--exact", "disk::inside_a_small_file_system", "--ignored", "--nocapture"]);
    let output = command.output().expect("it ran before");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

#[tokio::test]
#[ignore = "fills its disk: run by the one above, on a disk of its own"]
async fn inside_a_small_file_system() {
    for left in 0.. {
        if begins_with_so_many_pages(left).await {
            println!("a new bank opens and takes a deposit with {left} pages left");
            break;
        }
    }
    let mut said = Vec::new();
    for left in [0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 21, 34, 55] {
        said.push(fills_up_after_so_many_pages(left).await);
    }
    println!("deposits until the disk was full: {said:?}");
    assert!(said.iter().any(|answered| *answered > 0), "{said:?}");
}

/// Fills the disk but for so many pages of 4096 bytes. Deleting the file makes room again.
fn fill(folder: &Path, pages: u64) -> PathBuf {
    let path = folder.join("full");
    let mut file = File::create(&path).expect("there is room for a name");
    let is_full = (0..10_000).any(|_| file.write_all(&[0; 4096]).is_err());
    assert!(is_full, "this is no small file system");
    let length = file.metadata().expect("it is open").len();
    file.set_len(length.saturating_sub(4096 * pages)).expect("it can be shortened");
    path
}

fn start(db: &Path) -> Result<Program, String> {
    let mut command = account_api();
    command.args(["--port", "0", "--db"]).arg(db);
    Program::run(command)
}

/// Asserts that a sentence says which file, why, and what to do.
fn assert_clear(sentence: &str, db: &Path) {
    assert!(sentence.contains(&*db.to_string_lossy()), "{sentence}");
    assert!(sentence.contains("full"), "{sentence}");
    assert!(
        sentence.contains("free some disk space") || sentence.contains("check whether its disk"),
        "{sentence}"
    );
}

/// Starts a new bank on a full disk. Whatever came of it, with room it is a good one.
async fn begins_with_so_many_pages(left: u64) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let full = fill(folder.path(), left);
    let mut made = 0;
    match start(&db) {
        Ok(program) => {
            let answer = program.client.deposit("account_B", 1.0).key("first").send().await;
            match answer.status {
                200 => made = 1,
                status => {
                    assert_eq!(status, 503, "{}", answer.json);
                    assert_clear(answer.error(), &db);
                }
            }
        }
        Err(error) => assert_clear(&error, &db),
    }
    fs::remove_file(full).expect("it was made");
    let program = Program::start(&db);
    let total = program.client.total_cents().await;
    assert_eq!(total, 795_000 + 100 * made, "{left} pages left");
    assert_eq!(program.client.deposit("account_B", 1.0).key("first").send().await.status, 200);
    assert_eq!(program.client.total_cents().await, 795_100, "{left} pages left");
    assert_ledger_adds_up(&db);
    made == 1
}

/// Fills the disk under an open bank, and asks until it cannot go on. Returns how many deposits it took.
async fn fills_up_after_so_many_pages(left: u64) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("bank.db");
    let mut program = Program::start(&db);
    let bank = program.client.clone();
    let withdraw = bank.withdraw("account_A", 25.5).key("withdraw").run_of("transfer", "run");
    assert_eq!(withdraw.send().await.status, 200);
    let full = fill(folder.path(), left);

    let mut answered = 0;
    let refused = loop {
        let answer = bank.deposit("account_B", 0.01).key(&answered.to_string()).send().await;
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered < 1000, "the disk does not fill up");
    };
    assert_eq!(refused.refusal(), (503, None));
    assert_clear(refused.error(), &db);
    assert!(refused.error().contains("nothing was changed"), "{}", refused.error());
    // Whatever else would write is refused as well; reading goes on, and shows what was answered.
    let refund = bank.refund("account_A", 25.5).run_of("transfer", "run").send().await;
    assert_eq!((refund.status, bank.ask("POST", "/reset").send().await.status), (503, 503));
    let total = 795_000 - 2550 + i64::try_from(answered).expect("a small number");
    assert_eq!(bank.total_cents().await, total, "{left} pages left");

    // Nor does its end on a full disk lose anything, nor a start that may fail.
    program.signal("TERM");
    assert_eq!(program.exit_code().await, Some(0));
    if let Err(error) = start(&db) {
        assert_clear(&error, &db);
    }
    fs::remove_file(full).expect("it was made");

    let program = Program::start(&db);
    let bank = program.client.clone();
    assert_eq!(bank.total_cents().await, total, "{left} pages left");
    // Those that were answered, and the one that was not.
    for key in 0..=answered {
        let answer = bank.deposit("account_B", 0.01).key(&key.to_string()).send().await;
        assert_eq!(answer.status, 200, "{}", answer.json);
    }
    assert_eq!(bank.total_cents().await, total + 1, "{left} pages left");
    let refund = bank.refund("account_A", 25.5).run_of("transfer", "run").send().await;
    assert_eq!((refund.status, &refund.json["amount_refunded"]), (200, &json!(25.5)));
    assert_ledger_adds_up(&db);
    answered
}

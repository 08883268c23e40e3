//! A learner's code is never lost: not if a command is killed at any point, not on a full disk, and not if an editor saves while a
//! command replaces the file.

use std::{
    env, fs,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use lab::{LIVE_ACTIVITIES, LIVE_WORKFLOW, STAGES};

use crate::{small_disk, support::Checkout};

const LIVE: [&str; 2] = [LIVE_WORKFLOW, LIVE_ACTIVITIES];
/// An existing backup.
const ID: &str = "20261122T120501Z-jerry";

/// The contents of both live modules.
type Modules = [Vec<u8>; 2];

/// A command that replaces both modules, and the new contents.
struct Swap {
    arguments: &'static [&'static str],
    modules: Modules,
}

fn stage(name: &str) -> &'static lab::Stage {
    lab::stage(name).expect("a stage of the table")
}

fn swaps() -> [Swap; 4] {
    let shipped = |stage: &lab::Stage| [stage.workflow.source.into(), stage.activities.source.into()];
    [
        Swap { arguments: &["stage", "fix-activity"], modules: shipped(stage("fix-activity")) },
        Swap { arguments: &["reset", "--yes"], modules: shipped(&STAGES[0]) },
        Swap { arguments: &["stage", "restore", ID], modules: text("what was saved before") },
        // The shipped code is in place only in between.
        Swap { arguments: &["stage", "fix-activity", "--keep"], modules: shipped(stage("fix-activity")) },
    ]
}

/// A learner's code, longer than a page of the disk.
fn text(what: &str) -> Modules {
    LIVE.map(|path| format!("// {path}: {what}\n").repeat(200).into_bytes())
}

/// Resets the checkout to this edit and one backup.
fn lay_out(checkout: &Checkout, edit: &Modules) {
    let _ = fs::remove_dir_all(checkout.path(".lab"));
    for (path, saved) in LIVE.iter().zip(text("what was saved before")) {
        let name = Path::new(path).file_name().expect("it is a file").to_str().expect("it is text");
        checkout.write(&format!(".lab/backup/{ID}/{name}"), saved);
    }
    for (path, edit) in LIVE.iter().zip(edit) {
        checkout.write(path, edit);
    }
}

/// The files in the subfolders of a folder.
fn in_folders_of(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let is_backup = |folder: &fs::DirEntry| !folder.file_name().to_string_lossy().starts_with('.');
    let folders = entries(folder).filter(is_backup);
    folders.flat_map(|folder| entries(&folder.path()).map(|file| file.path()).collect::<Vec<_>>()).collect()
}

/// Asserts that these texts are in the live files or in backups.
#[track_caller]
fn assert_kept(checkout: &Checkout, texts: &Modules, when: &str) {
    let live = LIVE.map(|path| checkout.path(path));
    let files: Vec<_> = in_folders_of(&checkout.path(".lab/backup")).into_iter().chain(live).collect();
    for (path, text) in LIVE.iter().zip(texts) {
        let is_kept = files.iter().any(|file| fs::read(file).is_ok_and(|content| content == *text));
        assert!(is_kept, "{when}: what was written to {path} is lost; there are {files:#?}");
    }
}

/// Asserts that each live module is completely one of these two.
#[track_caller]
fn assert_old_or_new(checkout: &Checkout, old: &Modules, new: &Modules, when: &str) {
    for (number, path) in LIVE.iter().enumerate() {
        let live = checkout.read(path);
        let is_whole = live == old[number] || live == new[number];
        assert!(is_whole, "{when}: {path} is neither the old nor the new one, but {} bytes", live.len());
    }
}

/// Asserts that the next command works and leaves nothing of a killed one.
#[track_caller]
fn assert_next_command_works(checkout: &Checkout, when: &str) {
    let next = checkout.run(&["stage", "fix-workflow"]);
    assert_eq!(next.code, Some(0), "{when}: {next:#?}");
    let stage = stage("fix-workflow");
    assert_eq!(checkout.read(LIVE_WORKFLOW), stage.workflow.source.as_bytes(), "{when}");
    assert_eq!(checkout.read(LIVE_ACTIVITIES), stage.activities.source.as_bytes(), "{when}");
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(checkout.path(folder)).expect("the folder is there").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("crates/worker/src").len(), 2, "{when}: {:?}", names("crates/worker/src"));
    let scratch = |name: &String| name.starts_with(".new") || name.starts_with(".stage.json");
    let left: Vec<_> = [names(".lab"), names(".lab/backup")].concat().into_iter().filter(scratch).collect();
    assert!(left.is_empty(), "{when}: {left:?}");
}

/// A random number generator, and its seed for failure messages.
fn random() -> (fastrand::Rng, u64) {
    let named = env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = named.unwrap_or_else(now);
    (fastrand::Rng::with_seed(seed), seed)
}

#[test]
fn a_killed_command_leaves_old_or_new_modules_and_every_edit() {
    let checkout = Checkout::without_server("sacred-random");
    let (mut random, seed) = random();
    for round in 0..150 {
        let swap = &swaps()[round % 4];
        let edit = text(&format!("an edit before kill {round}"));
        lay_out(&checkout, &edit);
        let spawn = || {
            let mut command = checkout.xtask(swap.arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program is there")
        };
        // Its current duration on a possibly busy machine.
        let begin = Instant::now();
        spawn().wait().expect("it ends");
        let took = begin.elapsed();
        lay_out(&checkout, &edit);
        let delay = took.mul_f64(random.f64());
        let mut command = spawn();
        thread::sleep(delay);
        command.kill().expect("it is ours");
        command.wait().expect("it is dead");

        let when = format!("{:?} killed after {delay:?} (SEED={seed}, round {round})", swap.arguments);
        assert_old_or_new(&checkout, &edit, &swap.modules, &when);
        assert_kept(&checkout, &edit, &when);
        assert_next_command_works(&checkout, &when);
        assert_kept(&checkout, &edit, &when);
        assert_kept(&checkout, &text("what was saved before"), &when);
    }
}

#[test]
fn a_save_while_stages_are_entered_is_in_the_file_or_in_a_backup() {
    let checkout = Checkout::without_server("sacred-editor");
    for round in 0..30 {
        lay_out(&checkout, &text(&format!("an edit before round {round}")));
        let is_over = AtomicBool::new(false);
        let last = thread::scope(|scope| {
            let editor = scope.spawn(|| {
                for number in 0.. {
                    let texts = text(&format!("save {number} of round {round}"));
                    save(&checkout, &texts, if number % 2 == 0 { How::InPlace } else { How::ByRename });
                    if is_over.load(Ordering::Relaxed) {
                        return texts;
                    }
                }
                unreachable!("the numbers do not end")
            });
            for swap in swaps() {
                checkout.run(swap.arguments).ok();
            }
            is_over.store(true, Ordering::Relaxed);
            editor.join().expect("it can write")
        });
        let when = format!("round {round}");
        assert_next_command_works(&checkout, &when);
        assert_kept(&checkout, &last, &when);
    }
}

/// How an editor saves.
#[derive(Clone, Copy, Debug)]
enum How {
    /// Truncates the file and writes to it.
    InPlace,
    /// Writes a new file and renames it.
    ByRename,
}

fn save(checkout: &Checkout, texts: &Modules, how: How) {
    for (path, text) in LIVE.iter().zip(texts) {
        match how {
            How::InPlace => fs::write(checkout.path(path), text).expect("it can be written"),
            How::ByRename => {
                checkout.write("beside", text);
                fs::rename(checkout.path("beside"), checkout.path(path)).expect("it can be renamed");
            }
        }
    }
}

/// Every moment at which a command can be interrupted: before each of its system calls, because it has no other effects.
#[cfg(target_os = "linux")]
mod slow {
    use super::*;
    use crate::stepped::Stepped;

    /// Continues for this many system calls, from the first that may change something.
    fn steps(command: &mut Stepped, checkout: &Checkout, number: usize) -> bool {
        // The start of the first one, so that each further step stops at a start.
        command.half_a_step(None);
        while !checkout.path(".lab/stage.lock").exists() && command.step() {}
        (1..number).all(|_| command.step())
    }

    /// Kills this command before each system call.
    fn kill_everywhere(name: &str, swap: &Swap) {
        let checkout = Checkout::without_server(name);
        for number in 1.. {
            let edit = text(&format!("an edit before kill {number}"));
            lay_out(&checkout, &edit);
            let Some(mut command) = Stepped::start(&checkout, &checkout.xtask(swap.arguments)) else {
                return;
            };
            let is_over = !steps(&mut command, &checkout, number);
            command.kill();
            let when = format!("{:?} killed before system call {number}", swap.arguments);
            assert_old_or_new(&checkout, &edit, &swap.modules, &when);
            assert_kept(&checkout, &edit, &when);
            assert_next_command_works(&checkout, &when);
            assert_kept(&checkout, &edit, &when);
            assert_kept(&checkout, &text("what was saved before"), &when);
            if is_over {
                assert!(number > 40, "only {number} system calls were seen");
                println!("{when} at the latest");
                return;
            }
        }
    }

    #[test]
    fn a_stage_can_be_killed_anywhere() {
        kill_everywhere("sacred-stage", &swaps()[0]);
    }

    #[test]
    fn a_reset_can_be_killed_anywhere() {
        kill_everywhere("sacred-reset", &swaps()[1]);
    }

    #[test]
    fn a_restore_can_be_killed_anywhere() {
        kill_everywhere("sacred-restore", &swaps()[2]);
    }

    #[test]
    fn keeping_can_be_killed_anywhere() {
        kill_everywhere("sacred-keep", &swaps()[3]);
    }

    /// Lets an editor save before each system call of a command, which then continues or is killed later.
    fn save_everywhere(
        name: &str,
        mut editor: impl FnMut(&Checkout, &Modules, &mut Stepped) -> Option<[File; 2]>,
    ) {
        let checkout = Checkout::without_server(name);
        let (mut random, seed) = random();
        let swap = &swaps()[0];
        for number in 1.. {
            lay_out(&checkout, &text(&format!("an edit before save {number}")));
            let saved = text(&format!("save {number}"));
            let Some(mut command) = Stepped::start(&checkout, &checkout.xtask(swap.arguments)) else {
                return;
            };
            let is_over = !steps(&mut command, &checkout, number);
            let open = editor(&checkout, &saved, &mut command);
            let more = random.bool().then(|| random.usize(..80));
            let _ = (0..more.unwrap_or(usize::MAX)).all(|_| command.step());
            command.kill();
            for (mut file, text) in open.into_iter().flatten().zip(&saved) {
                file.write_all(text).expect("it can be written");
            }
            let when = format!("saved before system call {number}, killed {more:?} later (SEED={seed})");
            checkout.run(&["stage", "restore"]).ok();
            assert_kept(&checkout, &saved, &when);
            assert_next_command_works(&checkout, &when);
            assert_kept(&checkout, &saved, &when);
            if is_over {
                println!("{when} at the latest");
                return;
            }
        }
    }

    #[test]
    fn an_editor_can_save_in_place_anywhere() {
        save_everywhere("sacred-in-place", |checkout, texts, _| {
            save(checkout, texts, How::InPlace);
            None
        });
    }

    #[test]
    fn an_editor_can_save_by_a_rename_anywhere() {
        save_everywhere("sacred-rename", |checkout, texts, _| {
            save(checkout, texts, How::ByRename);
            None
        });
    }

    #[test]
    fn an_editor_can_open_the_file_anywhere_and_write_after_the_command() {
        save_everywhere("sacred-open", |checkout, _, _| {
            Some(LIVE.map(|path| File::create(checkout.path(path)).expect("it can be opened")))
        });
    }

    #[test]
    fn an_editor_can_move_the_file_away_anywhere_and_write_another() {
        let mut gap = 0;
        save_everywhere("sacred-away", |checkout, texts, command| {
            for path in LIVE {
                // The command may have moved the file away at this moment.
                let _ = fs::rename(checkout.path(path), checkout.path("beside"));
            }
            gap = (gap + 1) % 4;
            let _ = (0..gap).all(|_| command.step());
            save(checkout, texts, How::InPlace);
            None
        });
    }
}

/// Runs the test below in a file system of one megabyte.
#[test]
fn a_full_disk_costs_no_edit() {
    let folder = env::temp_dir().join(format!("xtask-it-small-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("temporary files can be written");
    let mount = "mount -t tmpfs -o size=1m,nr_inodes=200 none \"$TMPDIR\"";
    small_disk::run("sacred::inside_a_small_file_system", mount, &folder);
    let _ = fs::remove_dir(folder);
}

/// Leaves fewer or more free pages, then files, until the command works.
#[test]
#[ignore = "fills its disk: run by the one above, on a disk of its own"]
fn inside_a_small_file_system() {
    let checkout = Checkout::without_server("sacred-full");
    let what_is_full: [(&str, &dyn Fn(usize)); 2] = [
        ("pages", &|pages| {
            let path = checkout.path("full");
            let mut file = File::create(&path).expect("there is room for a name");
            let is_full = (0..1000).any(|_| file.write_all(&[0; 4096]).is_err());
            assert!(is_full, "this is no small file system");
            let length = file.metadata().expect("it is open").len();
            file.set_len(length.saturating_sub(4096 * pages as u64)).expect("it can be shortened");
        }),
        ("files", &|files| {
            let path = checkout.path("full.");
            fs::create_dir(&path).expect("there is room for a folder");
            let made =
                (0..1000).take_while(|number| File::create(path.join(number.to_string())).is_ok()).count();
            for number in made.saturating_sub(files)..made {
                fs::remove_file(path.join(number.to_string())).expect("it was made");
            }
        }),
    ];
    for swap in swaps() {
        for (what, fill) in what_is_full {
            for left in 0.. {
                let edit = text(&format!("an edit before {left} {what}"));
                lay_out(&checkout, &edit);
                fill(left);
                let outcome = checkout.run(swap.arguments);
                let when = format!("{:?} with {left} {what} left: {outcome:?}", swap.arguments);
                assert_old_or_new(&checkout, &edit, &swap.modules, &when);
                assert_kept(&checkout, &edit, &when);
                let _ = fs::remove_file(checkout.path("full"));
                let _ = fs::remove_dir_all(checkout.path("full."));
                if outcome.code != Some(0) {
                    assert_eq!(outcome.code, Some(1), "{when}");
                    assert!(outcome.stderr.contains("error: "), "{when}");
                }
                assert_next_command_works(&checkout, &when);
                assert_kept(&checkout, &edit, &when);
                if outcome.code == Some(0) {
                    println!("{:?} works with {left} {what} left", swap.arguments);
                    break;
                }
            }
        }
    }
}

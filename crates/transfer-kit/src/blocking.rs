//! Notices Workflow and Activity code that blocks its thread, and finds out where.
//!
//! A thread that is blocked cannot report anything. So another one watches how long each poll of the learner's code takes. When one
//! takes too long, it sends that thread a signal, whose handler records the addresses on the stack. Their file and line are looked
//! up afterwards, outside of the handler.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use contract::Blocking;
use nix::sys::{
    pthread::{Pthread, pthread_kill, pthread_self},
    signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};

/// A poll that takes longer blocks: the Workflow Task Timeout of a transfer.
const LONGEST_POLL: Duration = Duration::from_secs(2);
/// How often the polls are looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long a thread has to run the handler.
const SAMPLED_WITHIN: Duration = Duration::from_millis(500);
/// The signal that asks for the stack. Nothing else in a worker uses it.
const SIGNAL: Signal = Signal::SIGUSR2;
/// So many frames of a stack are recorded.
const FRAMES: usize = 128;

/// What a poll runs for.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The transfer.
    pub(crate) workflow_id: String,
    /// The Activity Type; none for the Workflow itself.
    pub(crate) activity: Option<String>,
}

/// A poll in progress.
struct Poll {
    subject: Arc<Subject>,
    thread: Pthread,
    begin: Instant,
    /// Whether its stack was sampled, because it blocks.
    is_sampled: bool,
    /// Where it was then, if its stack tells.
    place: Option<String>,
}

static POLLS: Mutex<BTreeMap<u64, Poll>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The addresses on the stack of the thread that was sampled last, and how many; [`NOT_SAMPLED`] until the handler has run.
static STACK: [AtomicUsize; FRAMES] = [const { AtomicUsize::new(0) }; FRAMES];
static SAMPLED: AtomicUsize = AtomicUsize::new(NOT_SAMPLED);
const NOT_SAMPLED: usize = usize::MAX;

/// A poll that is watched until this is dropped.
pub(crate) struct Watch(u64);

/// Watches the poll that this thread begins.
pub(crate) fn watch(subject: &Arc<Subject>) -> Watch {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (subject, thread, begin) = (Arc::clone(subject), pthread_self(), Instant::now());
    polls().insert(number, Poll { subject, thread, begin, is_sampled: false, place: None });
    Watch(number)
}

impl Drop for Watch {
    fn drop(&mut self) {
        polls().remove(&self.0);
    }
}

fn polls() -> MutexGuard<'static, BTreeMap<u64, Poll>> {
    POLLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reports code that blocks in the worker's log and in this file, from now on.
pub(crate) fn report_to(file: PathBuf) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        thread::spawn(move || {
            let mut reported = None;
            loop {
                let blocking = now();
                if reported.as_ref() != Some(&blocking) {
                    // A report that cannot be written is in the log.
                    let report = Blocking::report(process::id(), &blocking).to_string();
                    let _ = files::replace(&file, report.as_bytes(), 0o600);
                    for news in
                        blocking.iter().filter(|one| !reported.iter().flatten().any(|old| old == *one))
                    {
                        crate::output::stdout_line(format_args!("{}", news.words()));
                    }
                    reported = Some(blocking);
                }
                thread::sleep(INTERVAL);
            }
        });
    });
}

/// What blocks at this moment, each with its place.
pub(crate) fn now() -> Vec<Blocking> {
    install_handler();
    let blocks = |poll: &Poll| poll.begin.elapsed() > LONGEST_POLL;
    let new: Vec<u64> = polls()
        .iter()
        .filter(|(_, poll)| blocks(poll) && !poll.is_sampled)
        .map(|(number, _)| *number)
        .collect();
    for number in new {
        let place = place_of(number);
        if let Some(poll) = polls().get_mut(&number) {
            (poll.is_sampled, poll.place) = (true, place);
        }
    }
    let blocking = |poll: &Poll| Blocking {
        workflow_id: poll.subject.workflow_id.clone(),
        activity: poll.subject.activity.clone(),
        place: poll.place.clone(),
    };
    polls().values().filter(|poll| blocks(poll)).map(blocking).collect()
}

/// Where the thread of this poll is in the project's own code.
fn place_of(number: u64) -> Option<String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    SAMPLED.store(NOT_SAMPLED, Ordering::Release);
    {
        let polls = polls();
        // The thread cannot end before its poll does, and the poll cannot end while this is locked.
        pthread_kill(polls.get(&number)?.thread, SIGNAL).ok()?;
    }
    let begin = Instant::now();
    while SAMPLED.load(Ordering::Acquire) == NOT_SAMPLED {
        if begin.elapsed() > SAMPLED_WITHIN {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let stack = stack();
    let interrupted = stack.iter().position(|address| is_handler(*address)).map(|handler| handler + 2);
    let place = |(at, address): (usize, &usize)| {
        // All others are return addresses, which belong to the instruction before them.
        own_place(if Some(at) == interrupted { address + 1 } else { *address })
    };
    stack.iter().enumerate().find_map(place)
}

/// The addresses that the handler has recorded, the innermost first.
fn stack() -> Vec<usize> {
    let frames = SAMPLED.load(Ordering::Acquire).min(FRAMES);
    STACK[..frames].iter().map(|address| address.load(Ordering::Relaxed)).collect()
}

/// Whether this is the handler's own frame. The next one is the system's, which called it, and then comes what was interrupted.
fn is_handler(address: usize) -> bool {
    let mut is_handler = false;
    backtrace::resolve(address as *mut _, |symbol| {
        is_handler |= symbol.name().is_some_and(|name| name.to_string().contains("record_stack"));
    });
    is_handler
}

/// The file, line and column of this address, if it belongs to the project and not to this crate.
fn own_place(address: usize) -> Option<String> {
    let mut place = None;
    backtrace::resolve(address as *mut _, |symbol| {
        let Some(file) = symbol.filename().and_then(Path::to_str).and_then(own_file) else { return };
        let Some(line) = symbol.lineno() else { return };
        let column = symbol.colno().map_or(String::new(), |column| format!(":{column}"));
        place.get_or_insert_with(|| format!("{file}:{line}{column}"));
    });
    place
}

/// The file relative to the project's folder. That folder's path is not asked for: a folder that was moved or copied has parts which
/// were compiled under another one.
fn own_file(path: &str) -> Option<&str> {
    const FOLDER: &str = "/crates/";
    let file = &path[path.rfind(FOLDER)? + 1..];
    (!file.starts_with("crates/transfer-kit/")).then_some(file)
}

#[allow(unsafe_code)]
fn install_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let action = SigAction::new(SigHandler::Handler(record_stack), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler does only what a signal handler may: see there.
        let installed = unsafe { sigaction(SIGNAL, &action) };
        debug_assert!(installed.is_ok(), "{installed:?}");
    });
}

/// Runs on the thread that blocks, wherever that was interrupted.
#[allow(unsafe_code)]
extern "C" fn record_stack(_: i32) {
    let errno = nix::errno::Errno::last_raw();
    let mut frames = 0;
    // SAFETY: unsynchronized is safe here because only one thread is sampled at a time, and it must be, since a lock could be held
    // by the code that was interrupted. The unwinder walks the stack without allocating, and the closure only stores numbers.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            STACK[frames].store(frame.ip() as usize, Ordering::Relaxed);
            frames += 1;
            frames < FRAMES
        });
    }
    SAMPLED.store(frames, Ordering::Release);
    nix::errno::Errno::set_raw(errno);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_file_of_the_project_is_named_from_the_projects_folder() {
        for (path, file) in [
            ("/home/a/crates/lab/crates/worker/src/workflow.rs", Some("crates/worker/src/workflow.rs")),
            ("/home/a/lab/crates/transfer-kit/src/bank.rs", None),
            ("/home/a/.cargo/registry/src/index.crates.io-1949cf8c/tokio-1.54.1/src/lib.rs", None),
            ("/rustc/5980/library/std/src/thread/mod.rs", None),
        ] {
            assert_eq!(own_file(path), file);
        }
    }

    #[test]
    fn a_thread_that_blocks_is_sampled_while_it_computes_and_while_it_sleeps() {
        static BLOCKS: AtomicBool = AtomicBool::new(true);
        install_handler();
        let subject = |id: &str| Arc::new(Subject { workflow_id: id.to_owned(), activity: None });
        let begin = |id: &'static str, step: fn()| {
            let subject = subject(id);
            thread::spawn(move || {
                let _watch = watch(&subject);
                while BLOCKS.load(Ordering::Relaxed) {
                    step();
                }
            })
        };
        let threads = [
            begin("computes", || drop(std::hint::black_box(vec![0_u8; 100]))),
            begin("sleeps", || thread::sleep(Duration::from_secs(1))),
        ];
        let stack_of = |id: &str| {
            let number = loop {
                let polls = polls();
                if let Some((number, _)) = polls.iter().find(|(_, poll)| poll.subject.workflow_id == id) {
                    break *number;
                }
                drop(polls);
                thread::yield_now();
            };
            // This crate's own frames are no place to report.
            assert_eq!(place_of(number), None);
            let mut names = Vec::new();
            for address in stack() {
                backtrace::resolve(address as *mut _, |symbol| {
                    names.extend(symbol.name().map(|name| name.to_string()));
                });
            }
            names.join("\n")
        };
        for id in ["computes", "sleeps"] {
            let stack = stack_of(id);
            assert!(stack.contains("a_thread_that_blocks_is_sampled"), "{id}: {stack}");
        }
        assert!(stack_of("sleeps").contains("sleep"));
        BLOCKS.store(false, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().expect("it survived the signal"));
        assert!(polls().is_empty());
    }
}

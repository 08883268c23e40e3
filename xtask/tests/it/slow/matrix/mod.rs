//! Every pair of what is killed and when: the table, and a check that it is complete. `pairs.rs` tests each pair.
//!
//! After each, the next command leaves no process and no port in use, the lab's folder and the sources are as expected, and the
//! next start and stop work. What the worker has a part in is tested with versions of the worker, too.

mod pairs;

/// The killed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The supervisor of a detached lab.
    Supervisor,
    /// `lab start`, which is the supervisor itself.
    Foreground,
    /// `lab start --detach`, which waits until the lab is ready.
    Start,
    Temporal,
    Bank,
    Worker,
    Page,
    /// The cargo that builds.
    Build,
    /// `stage NAME`.
    Stage,
}

/// The phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The CLI is asked for its version; no state is written yet.
    Version,
    /// The first build is running.
    Building,
    /// This service is started but not ready.
    TemporalStarts,
    BankStarts,
    WorkerStarts,
    PageStarts,
    /// All services are running.
    Ready,
    /// A build is running after an edit.
    Rebuilding,
    /// `stage NAME` has installed its modules, and waits for the build.
    Swapping,
    /// The lab is stopping, and its worker ignores TERM.
    Stopping,
}

use What::{Bank, Build, Foreground, Page, Stage, Start, Supervisor, Temporal, Worker};
use When::{
    BankStarts, Building, PageStarts, Ready, Rebuilding, Stopping, Swapping, TemporalStarts, Version,
    WorkerStarts,
};

/// The signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Int,
    Term,
    Hup,
    Kill,
    /// Ctrl-C twice.
    IntTwice,
}

use How::{Hup, Int, IntTwice, Kill, Term};

/// The expected outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Everything ends by itself.
    Ends,
    /// The next command cleans up.
    IsCleared,
    /// The lab keeps running, or becomes ready; a service is restarted.
    GoesOn,
}

use Then::{Ends, GoesOn, IsCleared};

/// A pair.
enum Pair {
    /// Tested with each of these signals.
    Try(&'static [(&'static [How], Then)]),
    /// The pair does not exist, because …
    No(&'static str),
}

use Pair::{No, Try};

const WHATS: [What; 9] = [Supervisor, Foreground, Start, Temporal, Bank, Worker, Page, Build, Stage];
const WHENS: [When; 10] = [
    Version,
    Building,
    TemporalStarts,
    BankStarts,
    WorkerStarts,
    PageStarts,
    Ready,
    Rebuilding,
    Swapping,
    Stopping,
];

/// The signals that ask a process to end.
const ASKED: &[How] = &[Int, Term, Hup, IntTwice];
const ALL: &[How] = &[Int, Term, Hup, IntTwice, Kill];

/// The test of each pair.
const fn pair(what: What, when: When) -> Pair {
    match (what, when) {
        (Supervisor, Version) => No("the starting command asks, before it starts the supervisor"),
        (Supervisor, BankStarts | PageStarts | TemporalStarts) => {
            Try(&[(&[Term], Ends), (&[Kill], IsCleared)])
        }
        // After the first signal; the second one ends everything at once.
        (Supervisor | Foreground, Stopping) => Try(&[(&[Int, Term, Hup], Ends), (&[Kill], IsCleared)]),
        (Supervisor, _) => Try(&[(ASKED, Ends), (&[Kill], IsCleared)]),

        (Foreground, Version) => Try(&[(ALL, Ends)]),
        (Foreground, BankStarts | PageStarts | TemporalStarts) => {
            Try(&[(&[Int], Ends), (&[Kill], IsCleared)])
        }
        (Foreground, _) => Try(&[(ASKED, Ends), (&[Kill], IsCleared)]),

        (Start, Version) => Try(&[(ALL, Ends)]),
        (Start, Building | WorkerStarts) => Try(&[(ASKED, Ends), (&[Kill], GoesOn)]),
        (Start, BankStarts | PageStarts | TemporalStarts) => Try(&[(&[Int], Ends), (&[Kill], GoesOn)]),
        (Start, Ready | Rebuilding | Swapping) => No("it has ended by then"),
        // It is being interrupted.
        (Start, Stopping) => Try(&[(&[Int, Term, Hup, Kill], Ends)]),

        (Temporal, Building | TemporalStarts) => Try(&[(&[Term, Kill], Ends)]),
        (Bank, BankStarts) | (Worker, WorkerStarts) | (Page, PageStarts) => Try(&[(&[Term, Kill], Ends)]),
        (Temporal | Bank | Worker | Page, Ready) => Try(&[(&[Int, Term, Hup, Kill], GoesOn)]),
        (Temporal | Bank | Worker | Page, Rebuilding | Swapping) => Try(&[(&[Kill], GoesOn)]),
        (Page, Stopping) => No("it is the first to end"),
        (Temporal | Bank | Worker, Stopping) => Try(&[(&[Kill], Ends)]),
        (Temporal | Bank | Worker | Page, Version) => No("nothing is started yet"),
        (Bank | Worker | Page, Building) => No("it is not built yet"),
        (Temporal | Bank | Worker | Page, _) => No("one service that is not ready is like another"),

        (Build, Building) => Try(&[(&[Int, Term, Hup, Kill], Ends)]),
        (Build, Rebuilding | Swapping) => Try(&[(&[Int, Term, Hup, Kill], GoesOn)]),
        (Build, Stopping) => No("it is ended before the services are"),
        (Build, _) => No("nothing is built then"),

        (Stage, Swapping) => Try(&[(ALL, GoesOn)]),
        (Stage, Stopping) => Try(&[(&[Int, Kill], Ends)]),
        (Stage, _) => No("it is over in a moment then; sacred.rs kills it before each of its system calls"),
    }
}

/// Prints the table: `cargo test -p xtask --test it matrix::the_table -- --nocapture`.
#[test]
fn the_table_is_complete() {
    let mut tried = 0;
    println!("| killed | when | how | then |\n| --- | --- | --- | --- |");
    for what in WHATS {
        for when in WHENS {
            match pair(what, when) {
                Try(tries) => {
                    for (hows, then) in tries {
                        println!("| {what:?} | {when:?} | {hows:?} | {then:?} |");
                        tried += hows.len();
                    }
                }
                No(why) => println!("| {what:?} | {when:?} | – | {why} |"),
            }
        }
        let is_tried = WHENS.iter().any(|&when| matches!(pair(what, when), Try(_)));
        assert!(is_tried, "{what:?} is never killed");
    }
    println!("{tried} kills");
}

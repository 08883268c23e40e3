//! Every pair of what is killed and when: the table, and that it has no gap. What is done for a pair is in `pairs.rs`.
//!
//! After each, no process and no port is left once the next command has run, the lab's folder and the sources hold what
//! they should, and the next start and stop work.

mod pairs;

/// What is killed.
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

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The CLI is asked for its version; no state is written down yet.
    Version,
    /// The first build is under way.
    Building,
    /// This service is started and not ready.
    TemporalStarts,
    BankStarts,
    WorkerStarts,
    PageStarts,
    /// Everything runs.
    Ready,
    /// A build is under way after an edit.
    Rebuilding,
    /// `stage NAME` has put its modules in place, and waits for the build.
    Swapping,
    /// The lab is ending, and its worker does not end at a TERM.
    Stopping,
}

use What::{Bank, Build, Foreground, Page, Stage, Start, Supervisor, Temporal, Worker};
use When::{
    BankStarts, Building, PageStarts, Ready, Rebuilding, Stopping, Swapping, TemporalStarts, Version,
    WorkerStarts,
};

/// By which signal.
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

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Everything ends by itself.
    Ends,
    /// The next command ends what is left.
    IsCleared,
    /// The lab goes on, or comes to be ready; a service is started again.
    GoesOn,
}

use Then::{Ends, GoesOn, IsCleared};

/// A pair.
enum Pair {
    /// Tried here, with each of these signals.
    Try(&'static [(&'static [How], Then)]),
    /// There is no such pair, since …
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

/// What is tried for each pair.
const fn pair(what: What, when: When) -> Pair {
    match (what, when) {
        (Supervisor, Version) => No("the starting command asks, before it starts the supervisor"),
        (Supervisor, BankStarts | PageStarts | TemporalStarts) => {
            Try(&[(&[Term], Ends), (&[Kill], IsCleared)])
        }
        // The first signal has come; the second one ends everything at once.
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

/// The table as docs/reliability.md has it: `cargo test -p xtask --test it matrix::the_table -- --nocapture`.
#[test]
fn the_table_has_no_gap() {
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

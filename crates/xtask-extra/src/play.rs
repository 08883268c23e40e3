//! `play`.

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::{INCIDENTS, Incident, STAGES, Stage, WITHOUT_TEMPORAL};
use lab_client::side_by_side;
use serde_json::{Value, json};

use checkout::project::Project;
use rehearsal::{
    play::{self, Failure},
    random::Seeded,
    shadow::Shadow,
};
use supervisor::{build, temporal_cli, toolchain};
use terminal::{stderrln, stdoutln};
use xtask::args::{example, flag, json_flag};
use xtask::{args, extra::about, remote_flags};

pub(crate) fn command() -> Command {
    Command::new("play")
        .about(about("play"))
        .arg(
            Arg::new("stage")
                .long("stage")
                .value_name("NAME")
                .value_parser(args::stage_name())
                .help("Play only this stage"),
        )
        .arg(
            Arg::new("shuffle")
                .long("shuffle")
                .value_name("SEED")
                .value_parser(value_parser!(u64))
                .conflicts_with("stage")
                .help("Play the stages in a random order with this seed"),
        )
        .arg(
            flag(
                "drills",
                "Play the incidents instead: have each hit transfers, and do what its explanation says",
            )
            .conflicts_with_all(["stage", "shuffle"]),
        )
        .arg(
            Arg::new("drill")
                .long("drill")
                .value_name("NAME")
                .value_parser(args::incident_name())
                .conflicts_with_all(["stage", "shuffle", "drills"])
                .help("Play only this incident"),
        )
        .arg(flag("keep", "Keep the lab's folder until the next play"))
        .args(remote_flags::flags())
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask play",
            "cargo xtask play --stage fix-workflow",
            "cargo xtask play --drills",
            "cargo xtask play --profile class --learner rehearsal",
        ]))
}

/// So many labs play drills at a time.
const LABS: usize = 3;

/// What is played, each in one lab.
enum Part {
    /// The text before the first stage: `play --stage` leaves it out.
    Introduction,
    Stage(&'static Stage),
    Drill(&'static Incident),
}

impl Part {
    fn name(&self) -> &'static str {
        match self {
            Part::Introduction => "without-temporal",
            Part::Stage(stage) => stage.name,
            Part::Drill(incident) => incident.stage.name,
        }
    }

    /// Follows its text, in a lab in which nothing was played yet or something was.
    fn follow(&self, shadow: &Shadow, is_first: bool) -> Result<(), Box<Failure>> {
        match self {
            Part::Introduction => play::follow_text(shadow, &WITHOUT_TEMPORAL),
            Part::Stage(stage) => play::follow(shadow, stage, is_first).map(drop),
            Part::Drill(incident) => play::drills::follow(shadow, incident),
        }
    }
}

/// What these arguments choose, and what it is called: one, and several.
fn chosen(arguments: &ArgMatches) -> (Vec<Part>, [&'static str; 2]) {
    let drill = args::text(arguments, "drill").and_then(lab::incident);
    if drill.is_some() || arguments.get_flag("drills") {
        let incidents = drill.map_or(INCIDENTS, std::slice::from_ref);
        return (incidents.iter().map(Part::Drill).collect(), ["drill", "drills"]);
    }
    let mut stages: Vec<&'static Stage> = match args::stage(arguments, "stage") {
        Some(stage) => vec![stage],
        None => STAGES.iter().collect(),
    };
    if let Some(&seed) = arguments.get_one::<u64>("shuffle") {
        Seeded::new(seed).shuffle(&mut stages);
    }
    let introduction = (stages.len() == STAGES.len()).then_some(Part::Introduction);
    (introduction.into_iter().chain(stages.into_iter().map(Part::Stage)).collect(), ["stage", "stages"])
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let as_json = arguments.get_flag("json");
    let (parts, [one, many]) = chosen(arguments);
    toolchain::check(project)?;
    let cli = temporal_cli::provide(project)?;
    let executables = build::build_for_play(project, &build::binaries_for_play())?;

    let begin = Instant::now();
    // Stages follow each other in one lab, as for a learner; drills mostly wait, so several labs play them at a time.
    let words = remote_flags::words(arguments);
    let labs = if one == "drill" && words.is_empty() { LABS.min(parts.len()) } else { 1 };
    let shadows = (0..labs)
        .map(|number| Shadow::make_one(project, "play", u16::try_from(number)?, &executables, cli.clone()));
    let shadows = shadows.collect::<Result<Vec<Shadow>>>()?;
    let starts = side_by_side::map(&shadows, |shadow| shadow.start(&words).map(|()| begin.elapsed()));
    let is_interrupted = || shadows.iter().any(Shadow::is_interrupted);
    let width = parts.iter().map(|part| part.name().len()).max().unwrap_or_default();
    let played = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let started = starts.into_iter().collect::<Result<Vec<Duration>>>();
    if started.is_ok() {
        side_by_side::map(&shadows, |shadow| {
            let mut is_first = true;
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begin = Instant::now();
                let failure = part.follow(shadow, is_first).err();
                if is_interrupted() {
                    return;
                }
                let counts = !matches!(part, Part::Introduction);
                is_first &= !counts;
                let result = Played { name: part.name(), counts, failure, took: begin.elapsed() };
                let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
                if !as_json {
                    report(&result, width);
                }
                played.push(result);
            }
        });
    }
    let results = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    if is_interrupted() {
        shadows.into_iter().try_for_each(Shadow::remove)?;
        bail!("interrupted; everything it started has ended");
    }
    let failed = results.iter().filter(|played| played.failure.is_some()).count();
    let folders: Vec<String> = shadows.iter().map(|shadow| project.display(&shadow.project.root)).collect();
    let keep = arguments.get_flag("keep") || started.is_err() || failed > 0;
    if keep {
        shadows.iter().try_for_each(Shadow::stop)?;
        stderrln!(
            "the lab's folder, with its logs in .lab/logs, is kept until the next play: {}",
            folders.join(", ")
        );
    } else {
        shadows.into_iter().try_for_each(Shadow::remove)?;
    }
    let started = started?.into_iter().max().unwrap_or_default();
    let total = begin.elapsed();
    if as_json {
        let played: Vec<Value> = results.iter().map(Played::to_json).collect();
        let folder = keep.then(|| folders[0].clone());
        stdoutln!(
            "{}",
            json!({ "ok": failed == 0, "seconds": total.as_secs_f64(), many: played, "folder": folder })
        );
    } else {
        let count = results.iter().filter(|played| played.counts).count();
        let what = if count == 1 { one } else { many };
        let outcome = if failed == 0 { String::new() } else { format!(", {failed} failed,") };
        let (total, started) = (seconds(total), seconds(started));
        let lab = if labs == 1 { "the lab".to_owned() } else { format!("{labs} labs") };
        stdoutln!("{count} {what} played{outcome} in {total}, including {started} to start {lab}");
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// The result of a part.
struct Played {
    name: &'static str,
    /// Whether it is a stage or a drill.
    counts: bool,
    took: Duration,
    failure: Option<Box<Failure>>,
}

impl Played {
    fn to_json(&self) -> Value {
        let lines = |(expected, printed)| json!({ "expected": expected, "printed": printed });
        let failure = self.failure.as_ref().map(|failure| {
            json!({
                "file": failure.file,
                "line": failure.line,
                "command": failure.typed,
                "says": failure.says,
                "expected": failure.expected,
                "printed": failure.printed,
                "differ": failure.differ.map(lines),
            })
        });
        json!({
            "name": self.name,
            "ok": failure.is_none(),
            "seconds": self.took.as_secs_f64(),
            "failure": failure,
        })
    }
}

fn report(Played { name, took, failure, .. }: &Played, width: usize) {
    let mark = if failure.is_some() { "FAIL" } else { "ok" };
    stdoutln!("{mark:<4} {name:<width$}  {:>6}", seconds(*took));
    let Some(failure) = failure else { return };
    let line = failure.line.map(|line| format!(":{line}")).unwrap_or_default();
    stdoutln!("  {}{line}: {}", failure.file, failure.says);
    if let Some(typed) = &failure.typed {
        stdoutln!("  $ {typed}");
    }
    if !failure.expected.is_empty() {
        stdoutln!("  the text says:");
        lines(&failure.expected, failure.differ.map(|(line, _)| line));
    }
    if !failure.printed.is_empty() {
        stdoutln!("  it printed:");
        lines(&failure.printed, failure.differ.map(|(_, line)| line));
    }
}

/// Prints lines, with a mark at the first difference.
fn lines(lines: &[String], differ: Option<usize>) {
    for (at, line) in lines.iter().enumerate() {
        stdoutln!("  {} {line}", if differ == Some(at) { '>' } else { ' ' });
    }
    if differ == Some(lines.len()) {
        stdoutln!("  > (end of output)");
    }
}

/// Seconds with one decimal, whatever the size.
fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

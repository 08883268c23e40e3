//! `play`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab::{INCIDENTS, Incident, STAGES, Stage, WITHOUT_TEMPORAL};
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

/// What is played, one part after the other in one lab.
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
    let shadow = Shadow::make(project, "play", &executables, cli)?;
    let started = shadow.start(&remote_flags::words(arguments)).map(|()| begin.elapsed());
    let width = parts.iter().map(|part| part.name().len()).max().unwrap_or_default();
    let mut results: Vec<Played> = Vec::new();
    for part in &parts {
        if started.is_err() || shadow.is_interrupted() {
            break;
        }
        let begin = Instant::now();
        let is_first = results.iter().all(|played| !played.counts);
        let failure = part.follow(&shadow, is_first).err();
        let counts = !matches!(part, Part::Introduction);
        let result = Played { name: part.name(), counts, failure, took: begin.elapsed() };
        if !as_json && !shadow.is_interrupted() {
            report(&result, width);
        }
        results.push(result);
    }
    if shadow.is_interrupted() {
        shadow.remove()?;
        bail!("interrupted; everything it started has ended");
    }
    let failed = results.iter().filter(|played| played.failure.is_some()).count();
    let folder = project.display(&shadow.project.root);
    let keep = arguments.get_flag("keep") || started.is_err() || failed > 0;
    if keep {
        shadow.stop()?;
        stderrln!("the lab's folder, with its logs in .lab/logs, is kept until the next play: {folder}");
    } else {
        shadow.remove()?;
    }
    let started = started?;
    let total = begin.elapsed();
    if as_json {
        let played: Vec<Value> = results.iter().map(Played::to_json).collect();
        let folder = keep.then_some(folder);
        stdoutln!(
            "{}",
            json!({ "ok": failed == 0, "seconds": total.as_secs_f64(), many: played, "folder": folder })
        );
    } else {
        let count = results.iter().filter(|played| played.counts).count();
        let what = if count == 1 { one } else { many };
        let outcome = if failed == 0 { String::new() } else { format!(", {failed} failed,") };
        let (total, started) = (seconds(total), seconds(started));
        stdoutln!("{count} {what} played{outcome} in {total}, including {started} to start the lab");
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

//! `lab start`, in the foreground or detached.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{self, IsTerminal, Read},
    process::{Command as Process, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use contract::PublicHosts;
use lab_client::{link::LinkReport, start_failure::StartFailure, supervisor::versions};
use nix::sys::signal::Signal;

use crate::{
    args::{example, flag},
    remote_flags,
};
use checkout::{modules, project::Project};
use lab_client::state::State;
use supervisor::{
    attach,
    build::{self, Output},
    control::{self, Request},
    log_tail::{Stream, Tail},
    logs,
    ports::PORTS,
    process, services, signals,
    supervise::{self, Options},
    temporal_cli, toolchain,
};
use terminal::{bold, duration, stderrln, stdoutln};

/// How often we poll the logs while we follow them.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) fn command() -> Command {
    with_options(Command::new("start"))
        .about("Builds and starts the lab; in the foreground until Ctrl-C or until its terminal is closed, or detached")
        .long_about(
            "Builds and starts the lab; in the foreground until Ctrl-C or until its terminal is closed, or detached.\n\n\
             If the worker's code does not compile, everything else starts, the last lines name the error, and the exit code of \
             a detached start is 0. The worker starts when the code compiles.",
        )
        .arg(flag("detach", "Return when the lab is ready, and leave it running"))
        .after_help(example(&[
            "cargo xtask lab start",
            "cargo xtask lab start --detach",
            "cargo xtask lab start --detach --fresh --temporal-port 7300",
        ]))
}

/// What `lab start --detach` starts: the supervisor in a session of its own.
pub(crate) fn supervise_command() -> Command {
    with_options(Command::new("supervise"))
        .hide(true)
        .about("Supervises a detached lab; started by `lab start --detach`")
        .after_help(example(&["cargo xtask lab start --detach"]))
}

fn with_options(command: Command) -> Command {
    let port = |row: &'static supervisor::ports::PortRow| {
        let flag = row.flag?;
        let default =
            row.default.map_or_else(String::new, |port| format!(" [default: {port}, or the next free one]"));
        Some(
            Arg::new(flag)
                .long(flag)
                .value_name("PORT")
                .value_parser(value_parser!(u16).range(1..))
                .help(format!("The port of {}{default}", row.what)),
        )
    };
    remote_flags::with_flags(command)
        .arg(flag("fresh", "Start with no transfers and the bank's initial balances"))
        .arg(flag(
            "no-watch",
            "Start with watch off: deploy edits only with `lab deploy`, not when you save them",
        ))
        .args(PORTS.iter().filter_map(port))
}

fn options(project: &Project, arguments: &ArgMatches, output: Output) -> Result<Options> {
    let port = |row: &supervisor::ports::PortRow| Some((row.name, *arguments.get_one::<u16>(row.flag?)?));
    Ok(Options {
        ports: PORTS.iter().filter_map(port).collect::<BTreeMap<_, _>>(),
        fresh: arguments.get_flag("fresh"),
        watch: !arguments.get_flag("no-watch"),
        output,
        remote_service: remote_flags::chosen(project, arguments)?,
    })
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    toolchain::check(project)?;
    // Before a download or a build that would be for nothing.
    PublicHosts::from_env()?;
    let service = remote_flags::chosen(project, arguments)?;
    remote_flags::require_own_settings(service.as_ref())?;
    remote_flags::tell_of_last(project, arguments, service.as_ref());
    if build::is_first(project) {
        stderrln!(
            "the first build takes a few minutes, and other cargo xtask commands block until it finishes"
        );
    }
    if arguments.get_flag("detach") { detach(project) } else { foreground(project, arguments) }
}

/// Supervises in this process, and shows all logs as one stream.
fn foreground(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    project.make_lab()?;
    let mut stream = Stream::of_all(project);
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let myself = process::identify(std::process::id());
    let has_terminal = io::stdout().is_terminal();
    let reader = thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            // A job in the background gets no signal when its terminal is closed.
            let is_closed = has_terminal && !io::stdout().is_terminal();
            if is_closed || stream.print_new().is_err() {
                // Nobody reads it any more, as after `| head`: the lab ends with its reader.
                if let Some(myself) = &myself {
                    process::signal(myself, Signal::SIGTERM);
                }
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        let _ = stream.print_new();
    });
    let begin = Instant::now();
    let result = supervise::run(project, &options(project, arguments, Output::Terminal)?, |state| {
        summarize(project, state, begin.elapsed(), &mut |line| {
            let _ = terminal::try_stdout_line(format_args!("{line}"));
        });
    });
    over.store(true, Ordering::Relaxed);
    let _ = reader.join();
    result.map(|()| ExitCode::SUCCESS)
}

/// Supervises in this process, which `lab start --detach` has started for it.
pub(crate) fn supervise(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    nix::unistd::setsid().context("could not leave the terminal's session")?;
    let result = options(project, arguments, Output::Log)
        .and_then(|options| supervise::run(project, &options, |_| {}));
    if let Err(error) = &result {
        // For the command that started it and may still wait: the log may be on a full disk, or deleted.
        let failure = StartFailure { error: format!("{error:#}") };
        let _ = terminal::try_stdout_line(format_args!("{}", failure.to_json()));
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// Has a process of its own supervise, and waits until the lab is ready or has failed to start.
fn detach(project: &Project) -> Result<ExitCode> {
    let begin = Instant::now();
    attach::attach(project)?;
    project.make_lab()?;
    // Here, where a download can show its progress, and where Ctrl-C still ends it like any program.
    let cli = temporal_cli::provide(project)?;
    // From here on it stops the whole start; the second time, at once.
    let interrupted = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&interrupted);
    signals::listen(move || {
        seen.fetch_add(1, Ordering::Relaxed);
    })?;
    let log = logs::open(project, logs::SUPERVISOR)?;
    let mut tails = [logs::SUPERVISOR, logs::BUILD].map(|name| Tail::from_end(project.log(name)));
    let mut relayed = BTreeSet::new();
    let mut relay = |failure: Option<&StartFailure>| {
        for line in tails.iter_mut().flat_map(Tail::new_lines) {
            let line = logs::without_time(&line).to_owned();
            stderrln!("{line}");
            relayed.insert(line);
        }
        // The log has it too, unless it is on a full disk, or deleted.
        for line in failure.iter().flat_map(|failure| failure.lines()) {
            if !relayed.contains(&line) {
                stderrln!("{line}");
            }
        }
    };
    let mut child = Process::new(env::current_exe().context("could not find the path of this program")?)
        .args(["lab", "supervise"])
        .args(
            env::args_os()
                .skip_while(|argument| argument != "start")
                .skip(1)
                .filter(|flag| flag != "--detach"),
        )
        .env(temporal_cli::CLI_VARIABLE, cli.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("could not start the supervisor")?;
    let supervisor = process::identify(child.id());
    let mut told_to_stop = 0;
    loop {
        relay(None);
        if let Some(status) = child.try_wait().context("could not wait for the supervisor")? {
            let mut outcome = String::new();
            if let Some(stdout) = &mut child.stdout {
                let _ = stdout.read_to_string(&mut outcome);
            }
            relay(StartFailure::parse(&outcome).as_ref());
            if told_to_stop > 0 {
                stderrln!("the start was interrupted; nothing is left running");
            }
            return Ok(ExitCode::from(
                status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1).max(1),
            ));
        }
        if interrupted.load(Ordering::Relaxed) > told_to_stop {
            told_to_stop += 1;
            if let Some(supervisor) = &supervisor {
                process::signal(supervisor, Signal::SIGTERM);
            }
        }
        if let Some(state) =
            State::read(&project.lab).filter(|state| state.ready && state.supervisor.pid == child.id())
        {
            relay(None);
            summarize(project, &state, begin.elapsed(), &mut |line| stdoutln!("{line}"));
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says that the lab is ready, where it is and what to type next; last, if the worker does not run, why.
fn summarize(project: &Project, state: &State, took: Duration, print: &mut dyn FnMut(&str)) {
    let stage = modules::current_stage(project);
    let status = control::ask(state, &Request::Status).unwrap_or_default();
    // Versions of the worker run whether or not the code in place compiles.
    let failure = status["build_error"].as_str().filter(|_| versions(&status).is_empty());
    let except = if failure.is_some() { ", except for the worker" } else { "" };
    print("");
    print(&bold(&format!("the lab is ready after {}{except}", duration(took.as_secs_f64()))));
    for (what, address) in supervise::addresses(state) {
        print(&format!("  {what:<16} {address}"));
    }
    print(&format!("  {:<16} {}", stage.kind(), stage.heading()));
    let gateway = state.remote_service.as_ref().map(|_| LinkReport::ask(&state.endpoints().temporal_http));
    let note = match gateway {
        None => services::SHORT_RETRIES_NOTE,
        Some(Ok(link)) if link.findings.short_retries => services::SHORT_RETRIES_NOTE,
        Some(_) => services::OWN_RETRIES_NOTE,
    };
    print(&format!("  {:<16} {note}", "note"));
    match failure {
        None if stage.incident().is_some() => {
            print(&format!("  {:<16} type: cargo xtask drill status", "next"));
        }
        None => print(&format!(
            "  {:<16} read {}, and type: cargo xtask transfer account_A account_B 25.50",
            "next", stage.text.file
        )),
        Some(failure) => {
            let deploy = if status["watch"] == false { "type: cargo xtask lab deploy" } else { "save" };
            print(&format!("  {:<16} {failure}", "worker"));
            print(&format!("  {:<16} fix it and {deploy}; the worker starts when the code compiles", ""));
        }
    }
    print("");
}

//! `class slides` and `class handout`.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use checkout::Project;
use clap::{Arg, ArgGroup, ArgMatches, Command, value_parser};
use classroom::{addresses::join_line, pages, serve::UI_PORT, served::Served};
use terminal::{stderrln, stdoutln};
use xtask::args::{example, flag, text};

pub(super) fn slides_command() -> Command {
    command("slides", "Writes the slides of a five-minute opening as one HTML file, with speaker notes")
        .after_help(example(&[
            "cargo xtask class slides --html slides.html",
            "cargo xtask class slides --html slides.html --address 192.168.0.7:7233",
        ]))
}

pub(super) fn handout_command() -> Command {
    command("handout", "Writes a page to print for each learner, as one HTML file").after_help(example(&[
        "cargo xtask class handout --html handout.html",
        "cargo xtask class handout --html handout.html --profile class",
    ]))
}

fn command(name: &'static str, about: &'static str) -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new(name)
        .about(about)
        .arg(value("html", "FILE", "The file to write").required(true).value_parser(value_parser!(PathBuf)))
        .arg(flag("force", "Replace an existing file"))
        .arg(
            value(
                "address",
                "HOST:PORT",
                "The server's address in the command to join [default: the class served here]",
            )
            .conflicts_with("profile"),
        )
        .arg(value("profile", "NAME", "The profile in the command to join"))
        .group(ArgGroup::new("where").args(["address", "profile"]))
        .arg(
            value("ui", "URL", "The Temporal UI in the command to join, as class serve prints it")
                .requires("where"),
        )
}

pub(super) fn slides(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    write(project, arguments, pages::slides)?;
    stderrln!("open it in a browser: the arrow keys move, N shows the notes, and a printout includes them");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn handout(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    write(project, arguments, pages::handout)?;
    stderrln!("open it in a browser and print it; it fits on one page");
    Ok(ExitCode::SUCCESS)
}

fn write(project: &Project, arguments: &ArgMatches, page: fn(Option<&str>) -> String) -> Result<()> {
    let Some(file) = arguments.get_one::<PathBuf>("html") else { return Ok(()) };
    let path = env::current_dir().context("could not find the current folder")?.join(file);
    if !arguments.get_flag("force") {
        files::refuse_existing(&path)?;
    }
    let join = join(project, arguments);
    if join.is_none() {
        stderrln!(
            "warning: this machine serves no class to the room, so the page has no command to join; add --address HOST:PORT \
             or --profile NAME"
        );
    }
    files::replace(&path, page(join.as_deref()).as_bytes(), 0o644)
        .with_context(|| format!("could not write {}; choose another file with --html", path.display()))?;
    stdoutln!("wrote {}", path.display());
    Ok(())
}

/// The command with which learners join: by the flags, else that of the class served from here.
fn join(project: &Project, arguments: &ArgMatches) -> Option<String> {
    let ui = text(arguments, "ui").map_or(String::new(), |ui| format!(" --ui {ui}"));
    let with =
        |flag: &str, value: &str| format!("cargo xtask lab start {flag} {value} --learner YOUR-NAME{ui}");
    if let Some(address) = text(arguments, "address") {
        return Some(with("--address", address));
    }
    if let Some(profile) = text(arguments, "profile") {
        return Some(with("--profile", profile));
    }
    let served = Served::find(project)?;
    // A class that listens on all addresses has recorded only the loopback address, which the room cannot use.
    let is_for_the_room = !["127.0.0.1", "[::1]"].contains(&&*served.host);
    is_for_the_room.then(|| join_line(&served.host, served.port, served.ui_port, UI_PORT))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_existing_page_is_replaced_only_with_force() {
        let root = env::temp_dir().join(format!("xtask-extra-pages-{}", std::process::id()));
        fs::create_dir_all(&root).expect("temporary folders can be made");
        let (project, file) =
            (Project { lab: root.join(".lab"), root: root.clone() }, root.join("slides.html"));
        let write = |flags: &[&str]| {
            let typed = ["slides", "--html"].map(Into::into).into_iter();
            let typed = typed.chain([file.clone().into_os_string()]).chain(flags.iter().map(Into::into));
            let arguments = slides_command().try_get_matches_from(typed).expect("it parses");
            slides(&project, &arguments)
        };
        write(&[]).expect("it is new");
        fs::write(&file, "mine").expect("it can be written");
        let refused = write(&[]).expect_err("it exists").to_string();
        assert!(refused.contains("replace it with --force"), "{refused}");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "mine");
        write(&["--force"]).expect("it can be replaced");
        assert!(fs::read_to_string(&file).expect("it is there").starts_with("<!"));
        fs::remove_dir_all(root).expect("it is there");
    }
}

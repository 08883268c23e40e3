//! `class announce`.

use std::process::ExitCode;

use anyhow::Result;
use checkout::Project;
use clap::{Arg, ArgMatches, Command};
use lab_client::{
    class::notices::{Announcement, LONGEST_ANNOUNCEMENT},
    time,
};
use terminal::{Usage, stdoutln};
use xtask::args::{example, flag, json_flag};

use super::{board::service_flags, change::change};

pub(super) fn command() -> Command {
    Command::new("announce")
        .about("Shows a line on every learner's page and in their terminals; it replaces the previous one")
        .arg(
            Arg::new("text")
                .value_name("TEXT")
                // Several words, in case the quotes were forgotten.
                .num_args(1..)
                .required_unless_present("clear")
                .help("What to tell the room"),
        )
        .arg(flag("clear", "Remove the announcement").conflicts_with("text"))
        .args(service_flags())
        .arg(json_flag())
        .after_help(example(&[
            "cargo xtask class announce \"A break until 11:00; leave your lab running\"",
            "cargo xtask class announce --clear",
        ]))
}

pub(super) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let announcement = match arguments.get_many::<String>("text") {
        None => None,
        Some(words) => Some(announcement(&words.cloned().collect::<Vec<_>>().join(" "))?),
    };
    let is_cleared = announcement.is_none();
    let notices = change(project, arguments, |notices| notices.announcement.clone_from(&announcement))?;
    if arguments.get_flag("json") {
        stdoutln!("{}", notices.to_json());
    } else if is_cleared {
        stdoutln!("the announcement is removed");
    } else {
        stdoutln!("announced; every running lab shows it within a few seconds");
        stdoutln!("to remove it: cargo xtask class announce --clear");
    }
    Ok(ExitCode::SUCCESS)
}

/// An announcement made now.
fn announcement(text: &str) -> Result<Announcement> {
    let length = text.trim().chars().count();
    if length > LONGEST_ANNOUNCEMENT {
        let error = format!(
            "the announcement has {length} characters, but at most {LONGEST_ANNOUNCEMENT} fit; write a shorter one"
        );
        return Err(Usage(error).into());
    }
    match Announcement::new(text, &time::rfc3339(time::unix_now())) {
        Some(announcement) => Ok(announcement),
        None => Err(Usage("write the announcement: cargo xtask class announce \"...\"".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_has_words_and_fits() {
        assert!(announcement(" \n").expect_err("no words").is::<Usage>());
        assert_eq!(announcement("a break\nuntil 11:00").expect("words").text, "a break until 11:00");
        announcement(&"ä".repeat(LONGEST_ANNOUNCEMENT)).expect("it just fits");
        let long = announcement(&"x".repeat(LONGEST_ANNOUNCEMENT + 1)).expect_err("too long");
        assert!(long.is::<Usage>() && long.to_string().contains("at most 300"), "{long}");
    }
}

//! What the flags and the help of several commands have in common.

use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};

/// The flag `--json`.
pub fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Report as JSON, for a program")
}

/// A flag without a value.
pub fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// A text that was given for that argument.
pub fn text<'a>(arguments: &'a ArgMatches, name: &str) -> Option<&'a str> {
    arguments.get_one::<String>(name).map(String::as_str)
}

/// The help's last part.
pub fn example(lines: &[&str]) -> String {
    let heading = if lines.len() == 1 { "Example" } else { "Examples" };
    let lines: String = lines.iter().map(|line| format!("\n  {line}")).collect();
    format!("{heading}:{lines}")
}

/// The names of the stages, as the values of an argument: clap suggests the nearest for a mistyped one.
pub fn stage_name() -> PossibleValuesParser {
    PossibleValuesParser::new(lab::STAGES.iter().map(|stage| stage.name))
}

/// The stage that was given for that argument.
pub fn stage(arguments: &ArgMatches, name: &str) -> Option<&'static lab::Stage> {
    lab::stage(text(arguments, name)?)
}

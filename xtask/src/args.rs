//! Flags and help that several commands share.

use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser};

/// The flag `--json`.
pub fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, for programs")
}

/// A flag without a value.
pub fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// The text that was given for this argument.
pub fn text<'a>(arguments: &'a ArgMatches, name: &str) -> Option<&'a str> {
    arguments.get_one::<String>(name).map(String::as_str)
}

/// The examples at the end of a command's help.
pub fn example(lines: &[&str]) -> String {
    let heading = if lines.len() == 1 { "Example" } else { "Examples" };
    let lines: String = lines.iter().map(|line| format!("\n  {line}")).collect();
    format!("{heading}:{lines}")
}

/// The stages' names as the values of an argument, so that clap suggests the nearest for a mistyped one.
pub fn stage_name() -> PossibleValuesParser {
    PossibleValuesParser::new(lab::STAGES.iter().map(|stage| stage.name))
}

/// The incidents' names in the same way.
pub fn incident_name() -> PossibleValuesParser {
    PossibleValuesParser::new(lab::INCIDENTS.iter().map(|incident| incident.stage.name))
}

/// The stage or incident that was given for this argument.
pub fn stage(arguments: &ArgMatches, name: &str) -> Option<&'static lab::Stage> {
    lab::stage(text(arguments, name)?)
}

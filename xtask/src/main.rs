//! `cargo xtask`: see the library of this package.

use std::process::ExitCode;

use xtask::commands;

fn main() -> ExitCode {
    xtask::delegate().unwrap_or_else(|| xtask::main(commands::command_line(), commands::run))
}

//! The `keyline` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyline_station::command::run(std::env::args_os()).into()
}

//! The `silverback` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A name that is not UTF-8 ends as a file that is not found, not as a panic.
    let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    silverback::commands::run(args)
}

//! Commands beside serving: `silverback whisper …`, `silverback import …` and others.
//!
//! Their flags are clap's own, unlike go-carbon's, which [`crate::flags`] reads.

use super::backup::{self, Backup};
use super::compact::{self, Compact};
use super::convert::{self, Convert};
use super::delete::{self, Delete};
use super::export::{self, Export};
use super::import::{self, Import};
use super::migrate::{self, Migrate};
use super::restore::{self, Restore};
use super::snapshot::{self, Snapshot};
use super::verify::{self, Verify};
use super::whisper::{self, CommandError, WhisperCommand, complain};
use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;

/// Exit code of a command line that cannot be obeyed.
pub(super) const USAGE: u8 = 2;

/// Names of the commands.
pub(super) const COMMANDS: [&str; 11] = [
    "whisper", "convert", "import", "export", "migrate", "verify", "compact", "delete", "snapshot",
    "backup", "restore",
];

/// A command and its arguments.
#[derive(Debug, Parser)]
#[command(name = "silverback", disable_help_subcommand = true)]
enum Tool {
    /// Look into whisper files of both kinds, make and change them
    #[command(subcommand)]
    Whisper(WhisperCommand),
    Convert(Convert),
    Import(Import),
    Export(Export),
    Migrate(Migrate),
    Verify(Verify),
    Compact(Compact),
    Delete(Delete),
    Snapshot(Snapshot),
    Backup(Backup),
    Restore(Restore),
}

/// Whether the arguments that follow the program's name begin with a command.
pub(super) fn is_command(first: Option<&str>) -> bool {
    first.is_some_and(|first| COMMANDS.contains(&first))
}

/// Does what the arguments say, a command and what follows it.
pub(super) fn run(args: Vec<String>) -> ExitCode {
    let name = std::iter::once("silverback".to_owned());
    let tool = match Tool::try_parse_from(name.chain(args)) {
        Ok(tool) => tool,
        Err(error) => {
            // Nobody is left to be told when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    let mut out = io::stdout().lock();
    let outcome = match &tool {
        Tool::Whisper(command) => whisper::run(command, &mut out),
        Tool::Convert(options) => convert::run(options, &mut out),
        Tool::Import(command) => import::run(command, &mut out),
        Tool::Export(command) => export::run(command, &mut out),
        Tool::Migrate(command) => migrate::run(command, &mut out),
        Tool::Verify(command) => verify::run(command, &mut out),
        Tool::Compact(command) => compact::run(command, &mut out),
        Tool::Delete(command) => delete::run(command, &mut out),
        Tool::Snapshot(command) => snapshot::run(command, &mut out),
        Tool::Backup(command) => backup::run(command, &mut out),
        Tool::Restore(command) => restore::run(command, &mut out),
    };
    match outcome.and_then(|sound| Ok(out.flush().map(|()| sound)?)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // As with other programs whose reader has seen enough, nothing is said.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&error);
            match error {
                CommandError::Usage(_) => ExitCode::from(USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

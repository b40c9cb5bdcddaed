//! Commands on whisper files of both kinds: what Python's whisper scripts do, and more.
//!
//! | module | command or part |
//! |---|---|
//! | `info`, `fetch`, `dump`, `verify` | reading |
//! | `create`, `update`, `resize` | writing |
//! | `file`, `disk`, `contents` | a file of either kind; all that it holds |
//! | `replace` | a file written whole or not at all |
//! | `walk` | many files |
//! | `printf`, `time` | numbers and times as the scripts print them |

pub(crate) mod alone;
pub(crate) mod contents;
mod create;
pub(crate) mod disk;
mod dump;
pub(crate) mod error;
mod fetch;
pub(crate) mod file;
mod info;
mod printf;
pub(crate) mod replace;
mod resize;
mod time;
mod update;
mod verify;
pub(crate) mod walk;

pub(crate) use create::Create;
pub(crate) use dump::Dump;
pub(crate) use error::CommandError;
pub(crate) use fetch::Fetch;
pub(crate) use info::Info;
pub(crate) use resize::Resize;
pub(crate) use update::Update;
pub(crate) use verify::Verify;

use clap::Subcommand;
use silverback_engine::clock::{Clock, SystemClock};
use silverback_formats::whisper::{AggregationMethod, Dialect, Retention, Rules};
use std::io::{self, Write};

/// What to do with whisper files.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub(crate) enum WhisperCommand {
    /// Print what a file says of itself
    Info(Info),
    /// Print the values of a stretch of time
    Fetch(Fetch),
    /// Print every slot of every archive
    Dump(Dump),
    /// Make a new file
    Create(Create),
    /// Write points to a file
    Update(Update),
    /// Give a file other archives
    Resize(Resize),
    /// Check files and folders of files for damage
    Verify(Verify),
}

/// Does what the command says. Whether all files are as they should be.
pub(super) fn run(command: &WhisperCommand, out: &mut dyn Write) -> Result<bool, CommandError> {
    match command {
        WhisperCommand::Info(command) => command.run(out),
        WhisperCommand::Fetch(command) => command.run(out),
        WhisperCommand::Dump(command) => command.run(out),
        WhisperCommand::Create(command) => command.run(out),
        WhisperCommand::Update(command) => command.run(out),
        WhisperCommand::Resize(command) => command.run(out),
        WhisperCommand::Verify(command) => command.run(out),
    }
}

/// Whose meaning the aggregation codes 6 to 8 have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DialectName {
    /// `avg_zero`, `absmax`, `absmin`.
    Python,
    /// `first`, and those of compressed files.
    Go,
}

impl DialectName {
    /// Silverback's rules with these codes.
    pub(crate) const fn rules(self) -> Rules {
        let dialect = match self {
            Self::Python => Dialect::Python,
            Self::Go => Dialect::Go,
        };
        Rules { dialect, ..Rules::SILVERBACK }
    }
}

/// The clock's Unix seconds.
pub(crate) fn now_s() -> i64 {
    SystemClock.now_s()
}

/// Prints what went wrong with one of many files, or why the program ends.
pub(crate) fn complain(error: &CommandError) {
    // Nobody is left to be told when the terminal is gone.
    let _ = writeln!(io::stderr(), "{error}");
}

/// The archives that the arguments describe, each one or several with commas.
fn retentions(texts: &[String]) -> Result<Vec<Retention>, CommandError> {
    let lists = texts.iter().map(|text| Retention::parse_list(text));
    let lists: Result<Vec<_>, _> = lists.collect();
    let mut retentions = lists.map_err(|error| CommandError::Usage(error.to_string()))?.concat();
    retentions.sort_by_key(|retention| retention.step_s);
    Ok(retentions)
}

/// Reads the name of an aggregation method that a file can be made with.
fn method(name: &str) -> Result<AggregationMethod, String> {
    let is_offered = |method: &AggregationMethod| method.is_whole();
    AggregationMethod::from_name(name).filter(is_offered).ok_or_else(|| {
        let offered = AggregationMethod::ALL.into_iter().filter(is_offered);
        format!(
            "allowed are {}",
            offered.map(AggregationMethod::name).collect::<Vec<_>>().join(", ")
        )
    })
}

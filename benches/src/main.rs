//! Measures Silverback: `silverback-bench ingest`, `query`, `whisper`, `engine`, `index`,
//! `codec`, `compression`.
//!
//! Processor time and not elapsed time is what counts in every figure that has "cpu" in its
//! name, so that a busy machine spoils a run less. Each figure is taken in several runs and shown
//! as median, least and most.
//!
//! | module | what |
//! |---|---|
//! | [`ingest`] | lines over loopback into a server process, and into its peers |
//! | [`query`] | questions to a server over HTTP, and to its peers |
//! | [`whisper`] | lines over loopback into whisper files, and into those of go-carbon |
//! | [`engine`] | the database without sockets |
//! | [`index`] | names, and finding them |
//! | [`codec`] | Gorilla over recorded series |
//! | [`compression`] | our chunks and their rivals over recorded series |
//! | [`lines`] | what senders say |
//! | [`sender`] | how they say it |
//! | [`node`], [`peer`], [`go_carbon`] | the servers that are measured |
//! | [`http`] | questions to them |
//! | [`counting`] | files, with the bytes written counted |
//! | [`process`] | time and memory of a process |
//! | [`report`] | figures → table or JSON |

mod codec;
mod compression;
mod counting;
mod engine;
mod error;
mod go_carbon;
mod http;
mod index;
mod ingest;
mod lines;
mod node;
mod peer;
mod process;
mod query;
mod report;
mod sender;
mod whisper;

use clap::{Parser, Subcommand};
use report::{Format, Report};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures Silverback and prints a table.
#[derive(Debug, Parser)]
#[command(name = "silverback-bench")]
struct Flags {
    #[command(subcommand)]
    bench: Bench,
    /// Print one JSON object a figure instead of a table
    #[arg(long, global = true)]
    json: bool,
    /// Runs of which the median is taken
    #[arg(long, global = true, default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Lines over loopback into a server process of its own
    Ingest(ingest::Flags),
    /// Questions over HTTP to a server process of its own
    Query(query::Flags),
    /// Lines over loopback into whisper files, by a server process of its own
    Whisper(whisper::Flags),
    /// The database in this process, without sockets
    Engine(engine::Flags),
    /// Names, and finding them
    Index(index::Flags),
    /// Gorilla over recorded series
    Codec(codec::Flags),
    /// Bytes and time a point, in our chunks and their rivals, over recorded series
    Compression(compression::Flags),
    /// Make a new file of an index; what `index` measures
    #[command(hide = true)]
    Merge {
        /// The file to make it of
        old: PathBuf,
        /// The new one
        new: PathBuf,
    },
    /// Run the server itself; what `ingest`, `query` and `whisper` start
    #[command(hide = true)]
    Serve {
        /// Configuration file
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let Flags { bench, json, runs } = Flags::parse();
    let mut report = Report::default();
    let measured = match &bench {
        Bench::Ingest(flags) => ingest::run(flags, runs, &mut report),
        Bench::Query(flags) => query::run(flags, runs, &mut report),
        Bench::Whisper(flags) => whisper::run(flags, runs, &mut report),
        Bench::Engine(flags) => engine::run(flags, runs, &mut report),
        Bench::Index(flags) => index::run(flags, runs, &mut report),
        Bench::Codec(flags) => codec::run(flags, runs, &mut report),
        Bench::Compression(flags) => compression::run(flags, runs, json),
        Bench::Merge { old, new } => index::merge_files(old, new),
        Bench::Serve { config } => {
            return silverback::commands::run(["-config".into(), config.display().to_string()]);
        }
    };
    let format = if json { Format::JsonLines } else { Format::Table };
    match measured.and_then(|()| report.print(format)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("silverback-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

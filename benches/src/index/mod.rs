//! `index`: what names cost to keep and to find.
//!
//! The names of a file, one a line, in the order of the file: entered into a live index by one
//! thread and by two, sealed into a file, and found by the patterns of another file, one a line
//! as `CLASS<TAB>PATTERN`. The patterns are asked of the sealed index alone, and of one that has a
//! twentieth of the names in memory. Every answer is counted, so that two programs, or
//! two runs, can be compared by their counts.
//!
//! | module | what |
//! |---|---|
//! | [`build`] | live and sealed index: time and bytes |
//! | [`find`] | patterns by class |
//! | [`beside`] | inserts, and points, while the heaviest pattern is found |
//! | [`tags`] | names with tags, made up: what they cost, and questions about them |
//! | [`restart`] | a whole database with these names, opened again by this process and by a server |
//! | [`files`] | a server over a whisper file for each name, started again |

mod beside;
mod build;
mod files;
mod find;
mod restart;
mod tags;

pub(crate) use build::merge_files;

use crate::error::{BenchError, Trying};
use crate::report::Report;
use silverback_engine::SeriesId;
use std::path::{Path, PathBuf};

/// Which names, and what is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// File of names, one a line, each once
    #[arg(long, required_unless_present = "tagged", requires = "queries")]
    names: Option<PathBuf>,
    /// File of patterns, a line as `CLASS`, tab, `PATTERN`
    #[arg(long, requires = "names")]
    queries: Option<PathBuf>,
    /// So many names with tags, which are made up, and questions about tags
    #[arg(long)]
    tagged: Option<usize>,
    /// Also create a series of each name in a database, and open it again
    #[arg(long)]
    restart: bool,
    /// Also start a server over a folder with a whisper file for each name, twice: the files are
    /// links, which take their folders on the disk
    #[arg(long)]
    restart_whisper: bool,
}

/// Runs all of it `runs` times.
pub(crate) fn run(flags: &Flags, runs: u16, report: &mut Report) -> Result<(), BenchError> {
    if let Some(series) = flags.tagged {
        (0..runs).try_for_each(|_| tags::run(series, report))?;
    }
    let (Some(names), Some(queries)) = (&flags.names, &flags.queries) else { return Ok(()) };
    let names = Names::read(names)?;
    let queries = find::Queries::read(queries)?;
    for _ in 0..runs {
        build::live(&names, 2, report)?;
        build::live(&names, 1, report)?;
        let folder = crate::process::temporary_folder()?;
        let sealed = build::sealed(&names, folder.path(), report)?;
        find::run("sealed", &sealed, &queries, report)?;
        drop(sealed);
        let mixed = build::mixed(&names, folder.path(), report)?;
        find::run("mixed", &mixed, &queries, report)?;
        beside::run(&mixed, names.len(), report)?;
        drop(mixed);
        build::merge(folder.path(), report)?;
        if flags.restart {
            restart::run(&names, folder.path(), report)?;
        }
        if flags.restart_whisper {
            files::run(&names, folder.path(), report)?;
        }
    }
    Ok(())
}

/// All names, with the ids of their order.
struct Names(Vec<u8>, Vec<usize>);

impl Names {
    fn read(path: &Path) -> Result<Self, BenchError> {
        let bytes = std::fs::read(path).trying(path.display().to_string())?;
        let is_end = |(_, byte): &(usize, &u8)| **byte == b'\n';
        let ends = bytes.iter().enumerate().filter(is_end).map(|(end, _)| end).collect();
        Ok(Self(bytes, ends))
    }

    fn len(&self) -> usize {
        self.1.len()
    }

    fn get(&self, at: usize) -> (&[u8], SeriesId) {
        let start = if at == 0 { 0 } else { self.1[at - 1] + 1 };
        (&self.0[start..self.1[at]], SeriesId(at as u32))
    }

    fn of(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = (&[u8], SeriesId)> {
        range.map(|at| self.get(at))
    }
}

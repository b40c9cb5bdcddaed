//! `compression`: bytes and time a point takes, in each codec, over recorded series.
//!
//! Every series is cut into stretches of so many slots, and each codec writes and reads every
//! stretch: a block's worth of slots, as they are sealed, and a cold chunk's worth, as they rest. A
//! codec that gives other bits back than it got fails the run.
//!
//! | module | what |
//! |---|---|
//! | [`set`] | series and stretches of them |
//! | [`read`] | files → sets: recorded series, whisper files, CSV |
//! | [`codecs`] | the codecs |
//! | [`measure`] | a set and a codec → bytes and times |
//! | [`victoria`] | the same set in VictoriaMetrics, on disk |
//! | [`summary`] | results → means, and JSON |
//! | [`tables`] | results → Markdown |
//! | [`page`], [`plots`] | results → HTML, with pictures |

mod codecs;
mod measure;
mod page;
mod plots;
mod read;
mod set;
mod summary;
mod tables;
mod victoria;

pub(crate) use read::sets;
pub(crate) use set::Set;

use crate::error::{BenchError, Trying};
use crate::peer::VictoriaMetrics;
use measure::Effort;
use std::io::Write;
use std::path::{Path, PathBuf};
use summary::{Results, SetResults};

/// Which series, and how they are cut.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Recorded series (NAME.series.zst, NAME.series), CSV, a whisper file, or folders of them;
    /// a few recorded series of the project when not given
    paths: Vec<PathBuf>,
    /// Slots of a stretch, as they are sealed
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(2..=8192))]
    block: u32,
    /// Slots of a stretch, as they rest
    #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u32).range(2..=8192))]
    cold: u32,
    /// Only these codecs
    #[arg(long = "codec", value_name = "NAME")]
    codecs: Vec<String>,
    /// Values that a pass takes at least, so that small sets are measured too
    #[arg(long, default_value_t = 500_000)]
    values: usize,
    /// Load every set into VictoriaMetrics too, and take what it is on disk
    #[arg(long)]
    peers: bool,
    /// Write report.md and report.html into this folder
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Runs all sets, and prints a table or JSON.
pub(crate) fn run(flags: &Flags, runs: u16, json: bool) -> Result<(), BenchError> {
    let mut codecs = codecs::all();
    if !flags.codecs.is_empty() {
        let known: Vec<_> = codecs.iter().map(|codec| codec.name()).collect();
        if let Some(name) = flags.codecs.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(BenchError::UnknownCodec { name: name.clone(), known: known.join(", ") });
        }
        codecs.retain(|codec| flags.codecs.iter().any(|name| name == codec.name()));
    }
    let effort = Effort { runs, values: flags.values };
    let mut results = Results::new(&codecs, flags.block, flags.cold);
    for set in read::sets(&paths(flags))? {
        eprintln!("{}: {} series, {} points", set.name, set.series.len(), set.points());
        let result = one(&set, &mut codecs, flags, effort)?;
        if json {
            print(&results.json_lines(&result))?;
        }
        results.sets.push(result);
    }
    if !json {
        print(&tables::markdown(&results))?;
    }
    flags.report.as_deref().map_or(Ok(()), |folder| write_report(&results, folder))
}

/// One set in all codecs.
fn one(
    set: &Set,
    codecs: &mut [Box<dyn codecs::Codec>],
    flags: &Flags,
    effort: Effort,
) -> Result<SetResults, BenchError> {
    let mut result = SetResults::new(set);
    for (slots, figures) in [(flags.block, &mut result.block), (flags.cold, &mut result.cold)] {
        let stretches = set.stretches(slots);
        for codec in &mut *codecs {
            figures.push(measure::figures(&set.name, codec.as_mut(), &stretches, effort)?);
        }
    }
    if flags.peers {
        result.victoria = victoria::bytes_per_point(set)?;
        if result.victoria.is_none() {
            eprintln!("{}", VictoriaMetrics::MISSING);
        }
    }
    Ok(result)
}

/// The paths that were given, or the project's own.
fn paths(flags: &Flags) -> Vec<PathBuf> {
    if flags.paths.is_empty() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/metrics");
        return vec![own];
    }
    flags.paths.clone()
}

fn print(text: &str) -> Result<(), BenchError> {
    std::io::stdout().write_all(text.as_bytes()).trying("standard output")
}

fn write_report(results: &Results, folder: &Path) -> Result<(), BenchError> {
    let what = |path: &Path| path.display().to_string();
    std::fs::create_dir_all(folder).trying(what(folder))?;
    for (name, text) in
        [("report.md", tables::markdown(results)), ("report.html", page::html(results)?)]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).trying(what(&path))?;
    }
    Ok(())
}

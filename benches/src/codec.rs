//! `codec`: Gorilla over recorded series.
//!
//! A data set is a text compressed with zstd: a line `@ name step start slots` begins a series,
//! and a line each follows for its slots: the value, or `-` where there is none. Slots without a
//! value are left out, since blocks note them aside.

use crate::error::{BenchError, Trying};
use crate::process::cpu_of;
use crate::report::Report;
use silverback_formats::gorilla::{Encoder, decode_into};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Values of one stream, as a block of two hours at a step of a minute has them.
const CHUNK_VALUES: usize = 120;

/// Values that are coded at least, so that a small set is measured too.
const VALUES_MIN: usize = 2_000_000;

/// Which data sets.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Data sets, each a file NAME.series.zst, or folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Runs all data sets `runs` times.
pub(crate) fn run(flags: &Flags, runs: u16, report: &mut Report) -> Result<(), BenchError> {
    for path in files(&flags.paths)? {
        let series = read(&path)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.trim_end_matches(".series.zst");
        for _ in 0..runs {
            once(name, &series, report)?;
        }
    }
    Ok(())
}

fn once(name: &str, series: &[Vec<f64>], report: &mut Report) -> Result<(), BenchError> {
    let chunks: Vec<&[f64]> =
        series.iter().flat_map(|series| series.chunks(CHUNK_VALUES)).collect();
    let values: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let times = VALUES_MIN.div_ceil(values.max(1));
    let count = (values * times) as f64;
    let (streams, cost) = cpu_of(|| {
        (1..times).for_each(|_| drop(std::hint::black_box(encode(&chunks))));
        encode(&chunks)
    })?;
    let bytes: usize = streams.iter().map(|(_, stream)| stream.len()).sum();
    report.add(name, "gorilla", "B/point", bytes as f64 / values as f64);
    report.add(name, "push", "ns/point", cost.as_secs_f64() * 1e9 / count);
    let (decoded, cost) = cpu_of(|| {
        (1..times).for_each(|_| _ = std::hint::black_box(decode(&streams)));
        decode(&streams)
    })?;
    assert_eq!(decoded, values, "every value comes back");
    report.add(name, "decode", "ns/point", cost.as_secs_f64() * 1e9 / count);
    Ok(())
}

fn encode(chunks: &[&[f64]]) -> Vec<(u32, Vec<u8>)> {
    let encode = |chunk: &&[f64]| {
        let mut encoder = Encoder::new();
        chunk.iter().for_each(|value| encoder.push(*value));
        let mut stream = Vec::with_capacity(encoder.payload_len());
        encoder.payload_into(&mut stream);
        (encoder.count(), stream)
    };
    chunks.iter().map(encode).collect()
}

fn decode(streams: &[(u32, Vec<u8>)]) -> usize {
    let mut values = Vec::new();
    let decode = |(count, stream): &(u32, Vec<u8>)| {
        values.clear();
        decode_into(stream, *count, &mut values).expect("it was just encoded");
        std::hint::black_box(&values).len()
    };
    streams.iter().map(decode).sum()
}

/// The files themselves, and those in folders, sorted.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, BenchError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let what = || path.display().to_string();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).trying(what())? {
            let file = entry.trying(what())?.path();
            if file.to_string_lossy().ends_with(".series.zst") {
                found.push(file);
            }
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// Values of each series.
fn read(path: &Path) -> Result<Vec<Vec<f64>>, BenchError> {
    let what = || path.display().to_string();
    let file = File::open(path).trying(what())?;
    let text = ruzstd::decoding::StreamingDecoder::new(BufReader::new(file))
        .map_err(std::io::Error::other)
        .trying(what())?;
    let mut all: Vec<Vec<f64>> = Vec::new();
    for (at, line) in BufReader::new(text).lines().enumerate() {
        let line = line.trying(what())?;
        let problem =
            |problem| BenchError::DataSet { path: path.to_owned(), line: at + 1, problem };
        if line.starts_with('@') {
            all.push(Vec::new());
        } else if line != "-" {
            let value = line.parse().map_err(|_| problem("not a number"))?;
            let series =
                all.last_mut().ok_or_else(|| problem("a value before the first series"))?;
            series.push(value);
        }
    }
    if all.iter().all(Vec::is_empty) {
        return Err(BenchError::DataSet { path: path.to_owned(), line: 1, problem: "no values" });
    }
    Ok(all)
}

//! Recorded series: a text, mostly compressed with zstd.
//!
//! A line `@ name step start slots` begins a series, and a line each follows for its slots: the
//! value, or `-` where there is none. Starts are taken back to a multiple of the step.

use crate::compression::set::Series;
use crate::error::{BenchError, Trying};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The series of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Series>, BenchError> {
    let what = || path.display().to_string();
    let file = BufReader::new(File::open(path).trying(what())?);
    let text: Box<dyn Read> = if path.extension().is_some_and(|ending| ending == "zst") {
        let decoder = ruzstd::decoding::StreamingDecoder::new(file);
        Box::new(decoder.map_err(std::io::Error::other).trying(what())?)
    } else {
        Box::new(file)
    };
    let mut all: Vec<Series> = Vec::new();
    for (at, line) in BufReader::new(text).lines().enumerate() {
        let line = line.trying(what())?;
        let problem =
            |problem| BenchError::DataSet { path: path.to_owned(), line: at + 1, problem };
        if let Some(head) = line.strip_prefix("@ ") {
            all.push(series(head).ok_or_else(|| problem("not `@ name step start slots`"))?);
            continue;
        }
        let value = match line.as_str() {
            "-" => None,
            text => Some(text.parse().map_err(|_| problem("not a number"))?),
        };
        let value = value.filter(|value: &f64| !value.is_nan());
        let series = all.last_mut().ok_or_else(|| problem("a value before the first series"))?;
        series.values.push(value);
    }
    if !all.iter().all(Series::ends_in_time) {
        let problem = "a series ends after 2106";
        return Err(BenchError::DataSet { path: path.to_owned(), line: 0, problem });
    }
    if all.iter().all(|series| series.values.iter().flatten().count() == 0) {
        return Err(BenchError::DataSet { path: path.to_owned(), line: 1, problem: "no values" });
    }
    Ok(all)
}

fn series(head: &str) -> Option<Series> {
    let mut fields = head.split(' ');
    let name = fields.next()?.to_owned();
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (step_s, start_s) = (number()?, number()?);
    let start_s = start_s / step_s.max(1) * step_s;
    (step_s > 0).then(|| Series { name, step_s, start_s, values: Vec::new() })
}

//! `whisper fetch`: the values of a stretch of time.

use super::error::{CommandError, FileError};
use super::file::{Kind, WhisperFile, open_sidecar};
use super::time::TimeStyle;
use super::{DialectName, now_s};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use silverback_formats::whisper::Fetched;
use std::io::Write;
use std::path::PathBuf;

/// Seconds of the stretch that is asked for unless said otherwise.
const DAY_S: i64 = 86_400;

/// Values that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LeaveOut {
    /// Zeros.
    Zeroes,
    /// Missing values.
    Nulls,
    /// Both.
    Empty,
}

/// Arguments of `whisper fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:\n  \
    silverback whisper fetch load.wsp\n  \
    silverback whisper fetch --from 1700000000 --until 1700003600 --json load.wsp\n  \
    silverback whisper fetch --archive 1 --drop nulls --pretty load.wsp")]
pub(crate) struct Fetch {
    /// The file
    file: PathBuf,
    /// Unix seconds before the first value; a day before --now unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    from: Option<i64>,
    /// Unix seconds of the last value; --now unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    until: Option<i64>,
    /// Unix seconds that the archives reach back from; the clock's unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    now: Option<i64>,
    /// Ask this archive, 0 being the finest, not the one that reaches back far enough
    #[arg(long, value_name = "N")]
    archive: Option<usize>,
    /// Leave values out
    #[arg(long)]
    drop: Option<LeaveOut>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    style: TimeStyle,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
}

impl Fetch {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        let fetched = self.fetch()?.ok_or_else(|| FileError::NoData.at(&self.file))?;
        let values = fetched.values.iter().enumerate().map(|(index, &value)| {
            (fetched.start_s + index as i64 * i64::from(fetched.step_s), value)
        });
        let kept = values.filter(|(_, value)| !self.drops(*value));
        if self.json {
            let shown = |(_, value): (i64, f64)| json!(value);
            let values: Vec<Value> = kept.map(shown).collect();
            let Fetched { start_s, until_s, step_s, .. } = fetched;
            let object =
                json!({ "start": start_s, "end": until_s, "step": step_s, "values": values });
            writeln!(out, "{object}")?;
            return Ok(true);
        }
        for (time_s, value) in kept {
            let time = self.style.show(time_s);
            if value.is_nan() {
                writeln!(out, "{time}\tNone")?;
            } else {
                writeln!(out, "{time}\t{value:.6}")?;
            }
        }
        Ok(true)
    }

    fn fetch(&self) -> Result<Option<Fetched>, CommandError> {
        let at = |error: FileError| error.at(&self.file);
        let now_s = self.now.unwrap_or_else(now_s);
        let until_s = self.until.unwrap_or(now_s);
        let from_s = self.from.unwrap_or_else(|| now_s.saturating_sub(DAY_S));
        let rules = self.dialect.rules();
        let file = WhisperFile::open_path(&self.file, rules).map_err(at)?;
        let archives = file.archives().len();
        if let Some(archive) = self.archive.filter(|&archive| archive >= archives) {
            return Err(CommandError::Usage(format!(
                "--archive is {archive}, the file has 0 to {}",
                archives.saturating_sub(1)
            )));
        }
        let late = match file.kind() {
            Kind::Whisper => None,
            Kind::Cwhisper => open_sidecar(&self.file, rules).map_err(at)?,
        };
        file.fetch(late.as_ref(), self.archive, (from_s, until_s, now_s)).map_err(at)
    }

    fn drops(&self, value: f64) -> bool {
        let (zero, null) = (value == 0.0, value.is_nan());
        match self.drop {
            None => false,
            Some(LeaveOut::Zeroes) => zero,
            Some(LeaveOut::Nulls) => null,
            Some(LeaveOut::Empty) => zero || null,
        }
    }
}

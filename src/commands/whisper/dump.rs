//! `whisper dump`: every slot of every archive.

use super::DialectName;
use super::contents::late_points;
use super::disk::Disk;
use super::error::{CommandError, FileError};
use super::file::{Kind, WhisperFile, open_sidecar};
use super::printf::general;
use super::time::TimeStyle;
use clap::Args;
use silverback_formats::whisper::{Point, Whisper};
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Digits of a value: more than enough for all of its bits.
const DIGITS: usize = 35;

/// Arguments of `whisper dump`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Of compressed files the points of each archive are printed, oldest first, late\n\
    ones from the .ooo file beside it included.\n\n\
    Examples:\n  \
    silverback whisper dump load.wsp\n  \
    silverback whisper dump --raw load.wsp | grep -v ^0: | silverback whisper update copy.wsp"
)]
pub(crate) struct Dump {
    /// The file
    file: PathBuf,
    /// Points alone, in the form that `whisper update` reads
    #[arg(short, long)]
    raw: bool,
    /// One JSON object
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    #[command(flatten)]
    style: TimeStyle,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
}

impl Dump {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        let at = |error: FileError| error.at(&self.file);
        let file = WhisperFile::open_path(&self.file, self.dialect.rules()).map_err(at)?;
        let late = match file.kind() {
            Kind::Whisper => None,
            Kind::Cwhisper => open_sidecar(&self.file, self.dialect.rules()).map_err(at)?,
        };
        let mut out = BufWriter::new(out);
        if self.json {
            write!(out, "{{\"archives\":[")?;
        } else if !self.raw {
            header(&file, &mut out)?;
        }
        for (level, archive) in file.archives().iter().enumerate() {
            if self.json {
                let comma = if level == 0 { "" } else { "," };
                let step_s = archive.step_s;
                write!(out, "{comma}{{\"secondsPerPoint\":{step_s},\"points\":[")?;
            } else if !self.raw {
                writeln!(out, "Archive {level} data:")?;
            }
            self.archive(&file, late.as_ref(), level, &mut out).map_err(at)?;
            if self.json {
                write!(out, "]}}")?;
            }
        }
        if self.json {
            writeln!(out, "]}}")?;
        }
        out.flush()?;
        Ok(true)
    }

    fn archive<F: silverback_formats::whisper::FileBytes>(
        &self,
        file: &WhisperFile<F>,
        late: Option<&Whisper<Disk>>,
        level: usize,
        out: &mut impl Write,
    ) -> Result<(), FileError> {
        match file {
            WhisperFile::Standard(file) => {
                let mut printed = Ok(());
                file.visit_slots(level, |slot, point| {
                    if printed.is_ok() {
                        printed = self.slot(slot, point, out);
                    }
                })?;
                Ok(printed?)
            }
            WhisperFile::Compressed(compressed) => {
                let step_s = file.archives()[level].step_s;
                let late = late.map_or(Ok(Vec::new()), |late| late_points(late, step_s))?;
                let points = with_late(compressed.archive_points(level)?, late, step_s);
                for (number, point) in (0..).zip(points) {
                    self.slot(number, point, out)?;
                }
                Ok(())
            }
        }
    }

    fn slot(&self, slot: u64, point: Point, out: &mut impl Write) -> io::Result<()> {
        let Point { time_s, value } = point;
        if self.json {
            let comma = if slot == 0 { "" } else { "," };
            return write!(out, "{comma}[{time_s},{}]", serde_json::json!(value));
        }
        let value = general(value, DIGITS);
        if self.raw {
            writeln!(out, "{time_s}:{value}")
        } else {
            writeln!(out, "{slot}: {}, {value:>10}", self.style.show(time_s.into()))
        }
    }
}

/// The points of an archive, and late ones of the slots that have none.
fn with_late(mut points: Vec<Point>, late: Vec<(u32, f64)>, step_s: u32) -> Vec<Point> {
    let taken: HashSet<u32> = points.iter().map(|point| point.time_s / step_s).collect();
    let free = late.into_iter().filter(|(time_s, _)| !taken.contains(&(time_s / step_s)));
    points.extend(free.map(|(time_s, value)| Point { time_s, value }));
    points.sort_by_key(|point| point.time_s);
    points
}

fn header<F: silverback_formats::whisper::FileBytes>(
    file: &WhisperFile<F>,
    out: &mut impl Write,
) -> io::Result<()> {
    let factor = general(f64::from(file.x_files_factor()), 6);
    writeln!(out, "Meta data:")?;
    writeln!(out, "  aggregation method: {}", file.method().name())?;
    writeln!(out, "  max retention: {}", file.max_retention_s())?;
    writeln!(out, "  xFilesFactor: {factor}\n")?;
    for (number, (archive, size)) in file.archives().iter().zip(file.archive_bytes()).enumerate() {
        writeln!(out, "Archive {number} info:")?;
        writeln!(out, "  offset: {}", archive.offset)?;
        writeln!(out, "  seconds per point: {}", archive.step_s)?;
        writeln!(out, "  points: {}", archive.points)?;
        writeln!(out, "  retention: {}", archive.reach_s())?;
        writeln!(out, "  size: {size}\n")?;
    }
    Ok(())
}

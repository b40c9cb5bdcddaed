//! One `[[logging]]` entry: which lines, in which look, to which sink.

use std::path::PathBuf;
use tracing::level_filters::LevelFilter;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    None,
    /// A file, appended to.
    File(PathBuf),
}

/// Look of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `[time] LEVEL [logger] message {json}`.
    Mixed,
    /// One JSON object.
    Json,
    /// Time, level, logger, message and JSON, separated by tabs.
    Console,
}

/// Look of the time in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeStyle {
    /// `2026-01-02T03:04:05.678Z`.
    Iso8601,
    /// Unix seconds with a fraction.
    Epoch,
    /// Unix milliseconds with a fraction.
    Millis,
    /// Unix nanoseconds.
    Nanos,
}

/// One output of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Part of the server; empty for the parts that have no output of their own.
    pub logger: String,
    /// Where lines go.
    pub target: Target,
    /// Least important level that is let through.
    pub level: LevelFilter,
    /// Look of a line.
    pub encoding: Encoding,
    /// Look of its time.
    pub time_style: TimeStyle,
}

impl Default for Output {
    /// What is used without any `[[logging]]`.
    fn default() -> Self {
        Self {
            logger: String::new(),
            target: Target::Stdout,
            level: LevelFilter::INFO,
            encoding: Encoding::Console,
            time_style: TimeStyle::Iso8601,
        }
    }
}

/// The texts of a `[[logging]]` entry.
#[derive(Debug, Clone, Default)]
pub struct OutputText {
    /// Part of the server.
    pub logger: String,
    /// `stdout`, `stderr`, `none` or a path, with settings after a `?`.
    pub file: String,
    /// Level by name.
    pub level: String,
    /// Look of a line.
    pub encoding: String,
    /// Look of its time.
    pub encoding_time: String,
}

impl Output {
    /// Reads an entry. Settings behind a `?` in `file` win over the entry's own.
    ///
    /// # Errors
    /// What is wrong with a setting, and what is allowed.
    pub fn parse(text: &OutputText) -> Result<Self, String> {
        let mut text = text.clone();
        let (file, query) = text.file.split_once('?').unwrap_or((&text.file, ""));
        let (file, query) = (file.to_owned(), query.to_owned());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "level" => text.level = value.into_owned(),
                "encoding" => text.encoding = value.into_owned(),
                "encoding-time" => text.encoding_time = value.into_owned(),
                // Known to go-carbon; our lines carry no durations without a unit.
                "encoding-duration" => {}
                other => {
                    return Err(format!(
                        "unknown setting {other:?} behind the ?: allowed are level, encoding, \
                         encoding-time and encoding-duration"
                    ));
                }
            }
        }
        Ok(Self {
            logger: text.logger,
            target: match file.as_str() {
                "stdout" => Target::Stdout,
                "" | "stderr" => Target::Stderr,
                "none" => Target::None,
                path => Target::File(PathBuf::from(path)),
            },
            level: level(&text.level).ok_or_else(|| {
                format!(
                    "level {:?}: allowed are debug, info, warn, error, dpanic, panic and fatal",
                    text.level
                )
            })?,
            encoding: encoding(&text.encoding)?,
            time_style: time_style(&text.encoding_time)?,
        })
    }

    /// The one output that go-carbon's old `logfile` and `log-level` ask for.
    #[must_use]
    pub fn deprecated(file: &str, level_name: &str) -> Self {
        let target = match file {
            "" | "stdout" => Target::Stdout,
            "stderr" | "-" => Target::Stderr,
            "none" => Target::None,
            path => Target::File(PathBuf::from(path)),
        };
        let level = level(level_name).unwrap_or(LevelFilter::INFO);
        Self { target, level, ..Self::default() }
    }
}

/// The level of this name in lower or upper case.
#[must_use]
pub fn level(name: &str) -> Option<LevelFilter> {
    let lower = name.to_ascii_lowercase();
    if name != lower && name != name.to_ascii_uppercase() {
        return None;
    }
    match lower.as_str() {
        "debug" => Some(LevelFilter::DEBUG),
        "info" => Some(LevelFilter::INFO),
        "warn" | "warning" => Some(LevelFilter::WARN),
        // The levels above error only differ in what go-carbon does after the line.
        "error" | "dpanic" | "panic" | "fatal" => Some(LevelFilter::ERROR),
        _ => None,
    }
}

fn encoding(name: &str) -> Result<Encoding, String> {
    match name {
        "mixed" => Ok(Encoding::Mixed),
        "json" => Ok(Encoding::Json),
        "console" => Ok(Encoding::Console),
        other => Err(format!("encoding {other:?}: allowed are mixed, json and console")),
    }
}

fn time_style(name: &str) -> Result<TimeStyle, String> {
    match name {
        "iso8601" | "" => Ok(TimeStyle::Iso8601),
        "epoch" => Ok(TimeStyle::Epoch),
        "millis" => Ok(TimeStyle::Millis),
        "nanos" => Ok(TimeStyle::Nanos),
        other => {
            Err(format!("encoding-time {other:?}: allowed are iso8601, millis, nanos and epoch"))
        }
    }
}

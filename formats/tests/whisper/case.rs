//! The recorded cases: what was done to a file, what it became, what was read of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use silverback_formats::whisper::Point;

/// One recorded case.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) writers: Vec<String>,
    pub(crate) files: Vec<Recorded>,
    pub(crate) ops: Vec<Op>,
    pub(crate) fetch: Vec<Read>,
}

/// A file that a writer left.
#[derive(Deserialize)]
pub(crate) struct Recorded {
    pub(crate) path: String,
    /// `both`, or the name of one.
    pub(crate) writer: String,
}

/// Something done to the file; which fields there are depends on `op`.
#[derive(Deserialize)]
pub(crate) struct Op {
    pub(crate) op: String,
    pub(crate) retentions: Option<Vec<(u32, u32)>>,
    pub(crate) aggregation: Option<String>,
    pub(crate) xff: Option<Number>,
    #[serde(default)]
    pub(crate) sparse: bool,
    pub(crate) hex: Option<String>,
    pub(crate) now: Option<i64>,
    pub(crate) lag: Option<i64>,
    pub(crate) size: Option<usize>,
    pub(crate) call: Option<String>,
    pub(crate) points: Option<Vec<(u32, Number)>>,
    pub(crate) run: Option<Run>,
    pub(crate) source: Option<String>,
    pub(crate) aggregate: Option<bool>,
    pub(crate) only: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) outcome: BTreeMap<String, Outcome>,
}

/// Values at a step; those that are `null` are left out.
#[derive(Deserialize)]
pub(crate) struct Run {
    start: u32,
    step: u32,
    values: Vec<Option<Number>>,
}

/// How an operation went for one writer.
#[derive(Deserialize)]
pub(crate) struct Outcome {
    #[serde(default)]
    pub(crate) errors: Vec<(usize, String)>,
}

/// A read of the final file, and what it answered.
#[derive(Deserialize)]
pub(crate) struct Read {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) now: i64,
    pub(crate) archive_step: Option<u32>,
    result: Option<Box<RawValue>>,
    result_go: Option<Box<RawValue>>,
    result_python: Option<Box<RawValue>>,
    by_file: Option<BTreeMap<String, Answers>>,
}

/// What a read of one file answered, where the files differ.
#[derive(Deserialize)]
struct Answers {
    result: Option<Box<RawValue>>,
    result_go: Option<Box<RawValue>>,
    result_python: Option<Box<RawValue>>,
}

/// What a read answers.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// An error, whatever it says.
    Error,
    /// The file has no such time.
    None,
    /// Start, end, step and the bits of the known values.
    Values(i64, i64, u32, Vec<Option<u64>>),
}

impl Answer {
    pub(crate) fn values(from: i64, until: i64, step: u32, values: &[f64]) -> Self {
        let bits = |value: &f64| (!value.is_nan()).then_some(value.to_bits());
        Self::Values(from, until, step, values.iter().map(bits).collect())
    }

    fn parse(text: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Window {
            error: Option<String>,
            from: Option<i64>,
            until: Option<i64>,
            step: Option<u32>,
            values: Option<Vec<Option<Number>>>,
        }
        let window: Window = serde_json::from_str(text.get()).unwrap();
        if window.error.is_some() {
            return Self::Error;
        }
        let values: Vec<f64> =
            window.values.unwrap().iter().map(|v| v.as_ref().map_or(f64::NAN, |v| v.0)).collect();
        Self::values(window.from.unwrap(), window.until.unwrap(), window.step.unwrap(), &values)
    }
}

impl Read {
    /// The answer for a file: where programs differ Python's, unless it cannot read the file.
    pub(crate) fn answer(&self, file: &str) -> Answer {
        let (result, python, go) = match &self.by_file {
            Some(files) => {
                let answers = &files[file];
                (&answers.result, &answers.result_python, &answers.result_go)
            }
            None => (&self.result, &self.result_python, &self.result_go),
        };
        let unreadable = |text: &RawValue| text.get().contains("CorruptWhisperFile");
        let python = python.as_deref().filter(|text| !unreadable(text));
        let chosen = result.as_deref().or(python).or(go.as_deref());
        chosen.map_or(Answer::None, Answer::parse)
    }
}

/// A double by its shortest decimal, or the name of one that has none. Kept as text until it is
/// parsed, for `serde_json` does not promise the last bit.
#[derive(Clone, Copy)]
pub(crate) struct Number(pub(crate) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        match text.get().trim_matches('"') {
            "NaN" => Ok(Self(f64::from_bits(0x7ff8_0000_0000_0000))),
            "Infinity" => Ok(Self(f64::INFINITY)),
            "-Infinity" => Ok(Self(f64::NEG_INFINITY)),
            number => number.parse().map(Self).map_err(D::Error::custom),
        }
    }
}

impl Op {
    /// Its points, whichever way they are written down.
    pub(crate) fn points(&self) -> Vec<Point> {
        match (&self.points, &self.run) {
            (Some(points), None) => {
                points.iter().map(|&(time_s, value)| Point { time_s, value: value.0 }).collect()
            }
            (None, Some(run)) => {
                let times = (0..).map(|index| run.start + index * run.step);
                let points = times.zip(&run.values);
                points.filter_map(|(time_s, v)| Some(Point { time_s, value: (*v)?.0 })).collect()
            }
            _ => panic!("{} needs either points or a run", self.op),
        }
    }
}

/// The folder of the cases.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/whisper/standard")
}

/// All cases by name.
pub(crate) fn cases() -> BTreeMap<String, Case> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let read = |path: PathBuf| {
        let case: Case = serde_json::from_slice(&fs::read(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (case.name.clone(), case)
    };
    json.map(read).collect()
}

//! The recorded cases: what was done to a file, what it became, what was read of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use silverback_formats::whisper::compressed::Summary;
use silverback_formats::whisper::{AggregationMethod, Fetched, Point, Retention};

/// One recorded case.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) files: Vec<Recorded>,
    pub(crate) ops: Vec<Op>,
    pub(crate) fetch: Vec<Read>,
    pub(crate) structure: Structure,
}

/// A file that the writer left.
#[derive(Deserialize)]
pub(crate) struct Recorded {
    pub(crate) path: String,
}

/// What the writer says of the file.
#[derive(Deserialize)]
pub(crate) struct Structure {
    /// `ok`, or what is wrong.
    pub(crate) integrity: Option<String>,
    pub(crate) compressed: Option<bool>,
}

/// Something done to the file; which fields there are depends on `op`.
#[derive(Deserialize)]
pub(crate) struct Op {
    pub(crate) op: String,
    retentions: Option<Vec<(u32, u32)>>,
    aggregation: Option<String>,
    pub(crate) xff: Option<Number>,
    #[serde(default)]
    pub(crate) compressed: bool,
    pub(crate) points_per_block: Option<u32>,
    pub(crate) point_size: Option<Number>,
    #[serde(default)]
    mix_specs: Vec<Spec>,
    pub(crate) now: Option<i64>,
    pub(crate) lag: Option<i64>,
    pub(crate) size: Option<usize>,
    points: Option<Vec<(u32, Number)>>,
    run: Option<Run>,
    #[serde(default)]
    pub(crate) outcome: BTreeMap<String, Outcome>,
}

/// Values at a step; those that are `null` are left out.
#[derive(Deserialize)]
struct Run {
    start: u32,
    step: u32,
    values: Vec<Option<Number>>,
}

/// How an operation went.
#[derive(Deserialize, Default, Clone)]
pub(crate) struct Outcome {
    #[serde(default)]
    pub(crate) extended_after_call: Vec<usize>,
    #[serde(default)]
    pub(crate) discarded: u32,
}

/// How a coarser archive of a mixed file is made.
#[derive(Deserialize)]
pub(crate) struct Spec {
    method: String,
    percentile: Option<Number>,
}

impl Spec {
    pub(crate) fn summary(&self) -> Summary {
        match AggregationMethod::from_name(&self.method).unwrap() {
            AggregationMethod::Percentile => {
                Summary::Percentile(self.percentile.as_ref().unwrap().0 as f32)
            }
            method => Summary::from_method(method).unwrap(),
        }
    }
}

/// A read of the final file, and what it answered.
#[derive(Deserialize)]
pub(crate) struct Read {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) now: i64,
    pub(crate) spec: Option<Spec>,
    result: Option<Box<RawValue>>,
    result_go: Option<Box<RawValue>>,
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
    pub(crate) fn of(fetched: &Fetched) -> Self {
        let bits = |value: &f64| (!value.is_nan()).then_some(value.to_bits());
        let values = fetched.values.iter().map(bits).collect();
        Self::Values(fetched.start_s, fetched.until_s, fetched.step_s, values)
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
        let value = |value: &Option<Number>| value.as_ref().map_or(f64::NAN, |value| value.0);
        Self::of(&Fetched {
            start_s: window.from.unwrap(),
            until_s: window.until.unwrap(),
            step_s: window.step.unwrap(),
            values: window.values.unwrap().iter().map(value).collect(),
        })
    }
}

impl Read {
    /// What go-whisper answered.
    pub(crate) fn answer(&self) -> Answer {
        let answer = self.result.as_deref().or(self.result_go.as_deref());
        answer.map_or(Answer::None, Answer::parse)
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

/// A point as the cases write it.
pub(crate) fn point(&(time_s, value): &(u32, Number)) -> Point {
    Point { time_s, value: value.0 }
}

impl Op {
    /// Its points, whichever way they are written down.
    pub(crate) fn points(&self) -> Vec<Point> {
        match (&self.points, &self.run) {
            (Some(points), None) => points.iter().map(point).collect(),
            (None, Some(run)) => {
                let times = (0..).map(|index| run.start + index * run.step);
                let points = times.zip(&run.values);
                points.filter_map(|(time_s, v)| Some(Point { time_s, value: (*v)?.0 })).collect()
            }
            _ => panic!("{} needs either points or a run", self.op),
        }
    }

    pub(crate) fn retentions(&self) -> Vec<Retention> {
        let retentions = self.retentions.as_ref().unwrap().iter();
        retentions.map(|&(step_s, points)| Retention { step_s, points }).collect()
    }

    pub(crate) fn method(&self) -> AggregationMethod {
        AggregationMethod::from_name(self.aggregation.as_deref().unwrap()).unwrap()
    }

    pub(crate) fn mix(&self) -> Vec<Summary> {
        self.mix_specs.iter().map(Spec::summary).collect()
    }

    /// How go-whisper fared.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.values().next().cloned().unwrap_or_default()
    }
}

/// The folder of the recorded files.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/whisper")
}

/// A file of JSON.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All cases by name.
pub(crate) fn cases() -> BTreeMap<String, Case> {
    let files = fs::read_dir(folder().join("compressed")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let cases = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    cases.map(|path| json::<Case>(&path)).map(|case| (case.name.clone(), case)).collect()
}

/// The file that a case left.
pub(crate) fn recorded(case: &Case) -> Vec<u8> {
    fs::read(folder().join("compressed").join(&case.files[0].path)).unwrap()
}

/// The bytes that pairs of hexadecimal digits stand for.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

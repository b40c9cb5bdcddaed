//! What the recorded cases of standard files and those of compressed ones have in common.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use silverback_formats::whisper::{Fetched, Point, Retention};

/// The folder of the recorded files.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/whisper")
}

/// A file of JSON.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All cases in a folder.
pub(crate) fn cases<C: DeserializeOwned>(folder: &Path) -> impl Iterator<Item = C> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let cases = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    cases.map(|path| json(&path))
}

/// The bytes that pairs of hexadecimal digits stand for.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
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

/// Archives as the cases write them.
pub(crate) fn retentions(archives: &[(u32, u32)]) -> Vec<Retention> {
    archives.iter().map(|&(step_s, points)| Retention { step_s, points }).collect()
}

/// A point as the cases write it.
pub(crate) fn point(&(time_s, value): &(u32, Number)) -> Point {
    Point { time_s, value: value.0 }
}

/// Values at a step; those that are `null` are left out.
#[derive(Deserialize)]
pub(crate) struct Run {
    start: u32,
    step: u32,
    values: Vec<Option<Number>>,
}

/// The points of an operation, whichever of the two ways they are written down in.
pub(crate) fn points(points: Option<&[(u32, Number)]>, run: Option<&Run>) -> Vec<Point> {
    match (points, run) {
        (Some(points), None) => points.iter().map(point).collect(),
        (None, Some(run)) => {
            let times = (0..).map(|index| run.start + index * run.step);
            let points = times.zip(&run.values);
            points.filter_map(|(time_s, v)| Some(Point { time_s, value: (*v)?.0 })).collect()
        }
        _ => panic!("an operation needs either points or a run"),
    }
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

    pub(crate) fn parse(text: &RawValue) -> Self {
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

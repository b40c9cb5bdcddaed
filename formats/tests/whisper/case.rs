//! The recorded cases: what was done to a file, what it became, what was read of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;
use silverback_formats::whisper::Point;

use crate::recorded::{self, Answer, Number, Run};

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
    points: Option<Vec<(u32, Number)>>,
    run: Option<Run>,
    pub(crate) source: Option<String>,
    pub(crate) aggregate: Option<bool>,
    pub(crate) only: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) outcome: BTreeMap<String, Outcome>,
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

impl Op {
    pub(crate) fn points(&self) -> Vec<Point> {
        recorded::points(self.points.as_deref(), self.run.as_ref())
    }
}

/// The folder of the cases.
pub(crate) fn folder() -> PathBuf {
    recorded::folder().join("standard")
}

/// All cases by name.
pub(crate) fn cases() -> BTreeMap<String, Case> {
    recorded::cases(&folder()).map(|case: Case| (case.name.clone(), case)).collect()
}

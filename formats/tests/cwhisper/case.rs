//! The recorded cases: what was done to a file, what it became, what was read of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;
use silverback_formats::whisper::compressed::Summary;
use silverback_formats::whisper::{AggregationMethod, Point, Retention};

use crate::recorded::{self, Answer, Number, Run};

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

impl Read {
    /// What go-whisper answered.
    pub(crate) fn answer(&self) -> Answer {
        let answer = self.result.as_deref().or(self.result_go.as_deref());
        answer.map_or(Answer::None, Answer::parse)
    }
}

impl Op {
    pub(crate) fn points(&self) -> Vec<Point> {
        recorded::points(self.points.as_deref(), self.run.as_ref())
    }

    pub(crate) fn retentions(&self) -> Vec<Retention> {
        recorded::retentions(self.retentions.as_ref().unwrap())
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

/// The folder of the cases.
fn folder() -> PathBuf {
    recorded::folder().join("compressed")
}

/// All cases by name.
pub(crate) fn cases() -> BTreeMap<String, Case> {
    recorded::cases(&folder()).map(|case: Case| (case.name.clone(), case)).collect()
}

/// The file that a case left.
pub(crate) fn recorded(case: &Case) -> Vec<u8> {
    fs::read(folder().join(&case.files[0].path)).unwrap()
}

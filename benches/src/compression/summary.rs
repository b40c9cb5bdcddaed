//! Results → means, and JSON.

use super::codecs::Codec;
use super::measure::{Figures, Times};
use super::set::Set;
use crate::peer::VictoriaMetrics;
use serde_json::{Value, json};

/// What was found.
#[derive(Debug)]
pub(super) struct Results {
    /// Name of each codec, and what it is.
    pub(super) codecs: Vec<(&'static str, &'static str)>,
    /// Slots of a block's stretch.
    pub(super) block_slots: u32,
    /// Slots of a cold stretch.
    pub(super) cold_slots: u32,
    pub(super) sets: Vec<SetResults>,
}

/// What was found for one set.
#[derive(Debug)]
pub(super) struct SetResults {
    pub(super) name: String,
    pub(super) series: usize,
    pub(super) points: usize,
    /// By codec.
    pub(super) block: Vec<Figures>,
    /// By codec.
    pub(super) cold: Vec<Figures>,
    /// Bytes a point on disk, where it was asked.
    pub(super) victoria: Option<f64>,
}

/// The two lengths of stretches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Block,
    Cold,
}

impl SetResults {
    pub(super) fn new(set: &Set) -> Self {
        Self {
            name: set.name.clone(),
            series: set.series.len(),
            points: set.points(),
            block: Vec::new(),
            cold: Vec::new(),
            victoria: None,
        }
    }

    /// By codec.
    pub(super) fn figures(&self, length: Length) -> &[Figures] {
        match length {
            Length::Block => &self.block,
            Length::Cold => &self.cold,
        }
    }
}

impl Results {
    pub(super) fn new(codecs: &[Box<dyn Codec>], block_slots: u32, cold_slots: u32) -> Self {
        let codecs = codecs.iter().map(|codec| (codec.name(), codec.about())).collect();
        Self { codecs, block_slots, cold_slots, sets: Vec::new() }
    }

    /// Slots of a stretch.
    pub(super) fn slots(&self, length: Length) -> u32 {
        match length {
            Length::Block => self.block_slots,
            Length::Cold => self.cold_slots,
        }
    }

    /// A figure of a codec in all sets.
    pub(super) fn of(
        &self,
        length: Length,
        codec: usize,
        figure: impl Fn(&Figures) -> f64,
    ) -> Vec<f64> {
        self.sets.iter().map(|set| figure(&set.figures(length)[codec])).collect()
    }

    /// VictoriaMetrics' bytes a point in all sets, if all were asked for.
    pub(super) fn victoria(&self) -> Option<Vec<f64>> {
        self.sets.iter().map(|set| set.victoria).collect::<Option<Vec<_>>>()
    }

    /// An object for each codec, a line each.
    pub(super) fn json_lines(&self, set: &SetResults) -> String {
        let head = |codec: &str| json!({ "set": set.name, "codec": codec, "series": set.series, "points": set.points });
        let mut lines = String::new();
        for (at, (codec, _)) in self.codecs.iter().enumerate() {
            let mut line = head(codec);
            line["block"] = object(self.block_slots, &set.block[at]);
            line["cold"] = object(self.cold_slots, &set.cold[at]);
            lines += &format!("{line}\n");
        }
        if let Some(bytes_per_point) = set.victoria {
            let mut line = head(VictoriaMetrics::PROGRAM);
            line["cold"] = json!({ "bytes_per_point": bytes_per_point });
            lines += &format!("{line}\n");
        }
        lines
    }
}

fn object(slots: u32, figures: &Figures) -> Value {
    let times = |times: &Times| json!({ "min": times.least_ns, "median": times.median_ns });
    json!({
        "slots": slots,
        "bytes_per_point": figures.bytes_per_point,
        "encode_ns": times(&figures.encode),
        "decode_ns": times(&figures.decode),
    })
}

/// The geometric mean.
pub(super) fn geometric_mean(numbers: &[f64]) -> f64 {
    (numbers.iter().map(|number| number.ln()).sum::<f64>() / numbers.len() as f64).exp()
}

/// The one in the middle; the upper of two.
pub(super) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

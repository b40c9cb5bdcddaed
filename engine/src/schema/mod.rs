//! Rules that decide how a series is kept: `storage-schemas.conf` and
//! `storage-aggregation.conf`, read as go-carbon reads them.

use std::sync::Arc;

/// One archive: a step and how many points of it are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Seconds per point.
    pub step_s: u32,
    /// Points kept.
    pub points: u32,
}

impl Retention {
    /// Seconds that the archive reaches back.
    #[must_use]
    pub fn reach_s(self) -> i64 {
        i64::from(self.step_s) * i64::from(self.points)
    }
}

/// How points of a finer archive become one of a coarser one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AggregationMethod {
    /// Mean of the known points.
    #[default]
    Average,
    /// Their sum.
    Sum,
    /// The newest.
    Last,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// How one series is kept. Series with equal rules share one `Policy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Archives, finest first; never empty.
    pub archives: Vec<Retention>,
    /// How a coarser archive is computed.
    pub method: AggregationMethod,
    /// Least share of known points for a coarser point to be known.
    pub x_files_factor: f32,
}

impl Policy {
    /// Seconds that the longest archive reaches back.
    #[must_use]
    pub fn reach_s(&self) -> i64 {
        self.archives.iter().map(|archive| archive.reach_s()).max().unwrap_or(0)
    }
}

/// All rules of a database.
#[derive(Debug, Clone)]
pub struct Schema {
    fallback: Arc<Policy>,
}

impl Schema {
    /// The rules used without configuration files.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            fallback: Arc::new(Policy {
                archives: vec![Retention { step_s: 60, points: 43_200 }],
                method: AggregationMethod::Average,
                x_files_factor: 0.5,
            }),
        }
    }

    /// The policy of a series, or `None` when no schema rule matches its name.
    #[must_use]
    pub fn policy(&self, _name: &[u8]) -> Option<Arc<Policy>> {
        Some(Arc::clone(&self.fallback))
    }
}

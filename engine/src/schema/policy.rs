//! How one series is kept: the outcome of both rule files.

use super::aggregation::AggregationMethod;
use super::extra::ExtraRollUps;
use super::retention::Retention;

/// How one series is kept. Series with equal rules share one `Policy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Archives, finest first; never empty, each step a multiple of the one before.
    pub archives: Vec<Retention>,
    /// How a coarser archive is computed.
    pub method: AggregationMethod,
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub x_files_factor: f32,
    /// What coarser archives tell beside that.
    pub extra: ExtraRollUps,
}

impl Policy {
    /// Seconds that the longest archive reaches back.
    #[must_use]
    pub fn reach_s(&self) -> i64 {
        self.archives.iter().map(|archive| archive.reach_s()).max().unwrap_or(0)
    }

    /// Index of the archive that answers for points of this age: the finest that reaches back
    /// so far, or the last when none does.
    #[must_use]
    pub fn archive_for(&self, age_s: i64) -> usize {
        self.archives
            .iter()
            .position(|archive| archive.reach_s() >= age_s)
            .unwrap_or(self.archives.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_archive_that_reaches_back_answers() {
        let policy = Policy {
            archives: Retention::parse_list("10s:1m,60s:1h").unwrap(),
            method: AggregationMethod::Sum,
            x_files_factor: 0.0,
            extra: ExtraRollUps::NONE,
        };
        let found: Vec<_> =
            [-5, 0, 60, 61, 3600, 3601].map(|age_s| policy.archive_for(age_s)).into();
        assert_eq!(found, [0, 0, 0, 1, 1, 1]);
        assert_eq!(policy.reach_s(), 3600);
    }
}

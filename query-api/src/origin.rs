//! Which archives a series of an answer was made from.
//!
//! Told as Metrictank tells it when a request asks with `meta=true`: Grafana shows from it that
//! a panel is rolled up. Without that parameter nothing is traced, and every origin is empty.

use silverback_engine::schema::{AggregationMethod, Policy, Retention};
use std::sync::Arc;

/// Series read from one archive of one policy.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) policy: Arc<Policy>,
    /// Index in the archives of the policy.
    pub(crate) archive: usize,
    /// How a point of a coarser archive is made of finer ones.
    pub(crate) method: AggregationMethod,
    /// Points that became one because the series stood on other steps.
    pub(crate) normalized: i64,
    /// How many series.
    pub(crate) series: usize,
}

impl Read {
    fn archive(&self) -> Retention {
        self.policy.archives[self.archive]
    }

    fn is_like(&self, other: &Self) -> bool {
        self.policy == other.policy
            && (self.archive, self.method) == (other.archive, other.method)
            && self.normalized == other.normalized
    }

    /// Seconds between points of the archive.
    pub(crate) fn step_s(&self) -> i64 {
        i64::from(self.archive().step_s)
    }

    /// The archives as Metrictank writes them: `interval:retention:chunkspan:numchunks:ready`.
    /// There are no chunks to tell of.
    pub(crate) fn retentions(&self) -> String {
        let of_one =
            |archive: &Retention| format!("{}s:{}s:0:0:true", archive.step_s, archive.reach_s());
        self.policy.archives.iter().map(of_one).collect::<Vec<_>>().join(",")
    }

    /// What made a point of a coarser archive of finer ones.
    pub(crate) fn roll_up(&self) -> &'static str {
        match self.method {
            AggregationMethod::Average => "AverageConsolidator",
            AggregationMethod::Sum => "SumConsolidator",
            AggregationMethod::Last => "LastConsolidator",
            AggregationMethod::Max => "MaximumConsolidator",
            AggregationMethod::Min => "MinimumConsolidator",
        }
    }
}

/// All that one series was made from; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin(Option<Arc<Vec<Read>>>);

impl Origin {
    /// A series as it was read: by the method of its policy, or by an extra one.
    pub(crate) fn read(
        policy: Arc<Policy>,
        archive: usize,
        extra: Option<AggregationMethod>,
    ) -> Self {
        let method = extra.unwrap_or(policy.method);
        Self(Some(Arc::new(vec![Read { policy, archive, method, normalized: 1, series: 1 }])))
    }

    /// What was read, each archive once.
    pub(crate) fn reads(&self) -> &[Read] {
        self.0.as_ref().map_or(&[], |reads| reads)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reads().is_empty()
    }

    /// What a series has that was made from all of `origins`.
    pub(crate) fn joined<'a>(origins: impl Iterator<Item = &'a Self>) -> Self {
        let mut joined: Vec<Read> = Vec::new();
        for read in origins.flat_map(Self::reads) {
            match joined.iter_mut().find(|known| known.is_like(read)) {
                Some(known) => known.series += read.series,
                None => joined.push(read.clone()),
            }
        }
        if joined.is_empty() {
            return Self::default();
        }
        let steps = || joined.iter().map(|read| read.step_s() * read.normalized);
        let common_s = steps().try_fold(1, least_common_multiple);
        if let Some(common_s) = common_s {
            joined.iter_mut().for_each(|read| read.normalized = common_s / read.step_s());
        }
        Self(Some(Arc::new(joined)))
    }
}

fn least_common_multiple(a: i64, b: i64) -> Option<i64> {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a.checked_mul(b / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use silverback_engine::schema::ExtraRollUps;

    fn policy(archives: &str) -> Arc<Policy> {
        let archives = Retention::parse_list(archives).unwrap();
        let (method, extra) = (AggregationMethod::Max, ExtraRollUps::NONE);
        Arc::new(Policy { archives, method, x_files_factor: 0.0, extra })
    }

    #[test]
    fn equal_archives_are_counted_and_others_listed() {
        let (fine, coarse) = (policy("20s:1d,5m:30d"), policy("30s:1d"));
        let origins =
            [(&fine, 0), (&coarse, 0), (&fine, 0)].map(|(p, at)| Origin::read(p.clone(), at, None));
        let joined = Origin::joined(origins.iter());
        let told: Vec<_> =
            joined.reads().iter().map(|r| (r.step_s(), r.normalized, r.series)).collect();
        assert_eq!(told, [(20, 3, 2), (30, 2, 1)]);
        let rolled_up = Origin::read(fine.clone(), 1, None);
        assert_eq!(rolled_up.reads()[0].retentions(), "20s:86400s:0:0:true,300s:2592000s:0:0:true");
        assert_eq!(rolled_up.reads()[0].roll_up(), "MaximumConsolidator");
        let extra = Origin::read(fine, 1, Some(AggregationMethod::Sum));
        assert_eq!(extra.reads()[0].roll_up(), "SumConsolidator");
        assert_eq!(Origin::joined([rolled_up, extra].iter()).reads().len(), 2);
        assert!(Origin::joined([Origin::default()].iter()).is_empty());
    }
}

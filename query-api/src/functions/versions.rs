//! `timeShiftByMetric`: releases of a program drawn over each other.

use super::FunctionError;
use super::args::Call;
use super::registry::{Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;
use std::collections::BTreeMap;

pub(super) const FUNCTIONS: [Function; 1] = [Function::new(
    &["timeShiftByMetric"],
    Group::Transform,
    &[
        SERIES_LIST,
        Param::required("markSource", Kind::SeriesList),
        Param::required("versionRankIndex", Kind::Integer),
    ],
    "Moves series of older versions, named by a node such as 64_1 or 64, so that their marks lie \
     on that of the newest version. A mark is the last value of a series whose last node is its \
     version; of one major version the highest minor one counts.",
    time_shift_by_metric,
)];

/// Where the newest minor version of a major one is marked.
struct Mark {
    minor: u64,
    /// Its node, such as `64_1`.
    node: String,
    time_s: i64,
}

fn time_shift_by_metric(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let rank = usize::try_from(call.integer(2)).unwrap_or(usize::MAX);
    let mut marks: BTreeMap<u64, Mark> = BTreeMap::new();
    for series in &call.take_series(1) {
        let Some((major, mark)) = mark(series) else { continue };
        if marks.get(&major).is_none_or(|known| known.minor < mark.minor) {
            marks.insert(major, mark);
        }
    }
    let newest_s = match marks.last_key_value() {
        Some((_, newest)) if marks.len() > 1 => newest.time_s,
        _ => {
            let reason = "timeShiftByMetric() needs marks of two versions, named like 64_1";
            return Err(FunctionError::input(reason));
        }
    };
    let shifted = call.take_series(0).into_iter().filter_map(|series| {
        let name = series.tags.get("name").unwrap_or(&series.name);
        let node = name.split('.').nth(rank)?;
        let mark = marks.values().rev().find(|mark| mark.node.starts_with(node))?;
        let shift_s = newest_s - mark.time_s;
        let name = format!("timeShiftByMetric({})", series.name);
        let (start_s, end_s) = (series.start_s + shift_s, series.end_s + shift_s);
        Some(Series { name, start_s, end_s, ..series })
    });
    Ok(shifted.collect())
}

/// The major version that a series marks, and the mark.
fn mark(series: &Series) -> Option<(u64, Mark)> {
    let name = series.tags.get("name").unwrap_or(&series.name);
    let node = name.rsplit('.').next()?;
    let (major, minor) = node.split_once('_')?;
    let index = series.values.iter().rposition(|v| !v.is_nan())?;
    let time_s = series.start_s + index as i64 * series.step_s;
    let mark = Mark { minor: minor.parse().ok()?, node: node.to_owned(), time_s };
    Some((major.parse().ok()?, mark))
}

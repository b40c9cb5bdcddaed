//! `/admin/delete`: series are removed for good, or named with `dryRun=true`.

use super::{failed, flag, json};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::selection::{Selection, SelectionError};
use serde_json::json;
use silverback_engine::{FindError, SeriesId};

/// Names in an answer that does not ask for another number of them.
const NAMES: usize = 1000;
/// How people write the parameter that keeps all as it is.
pub(super) const DRY_RUN: &[&str] = &["dryRun", "dryrun", "dry-run", "dry_run"];
/// All that is read here.
pub(super) const PARAMETERS: &[&str] =
    &["match", "match[]", "tags", "tags[]", "names", "dryRun", "dryrun", "dry-run", "dry_run"];
/// Series deleted between two looks whether the caller is still there.
const BATCH_SERIES: usize = 4096;

/// Deletes the series that parameters `match` (globs) and `tags` (calls of `seriesByTag`) select.
/// Answers how many they are, how many were deleted, and the first `names` of them.
///
/// # Errors
/// When nothing is selected, on malformed patterns and expressions, when the log cannot be
/// written, and when the caller goes away before the end: then some are deleted and some are not.
pub fn delete(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let params = &request.params;
    let selection = Selection::parse(&params.all("match"), &params.all("tags"))?;
    let (dry_run, limit) = (flag(request, DRY_RUN)?, names_wanted(request)?);
    let limits = request.find_limits(api);
    let series = selection.series(&api.db, &limits).map_err(|error| match error {
        SelectionError::Find(error @ FindError::Memory { .. }) => Refusal::find(error, &api.limits),
        error => error.into(),
    })?;
    let mut deleted = 0;
    if !dry_run {
        let ids: Vec<SeriesId> = series.iter().map(|(_, id)| *id).collect();
        for ids in ids.chunks(BATCH_SERIES) {
            request.check(api.limits.request_timeout)?;
            deleted += api.db.delete(ids).map_err(failed)?;
        }
        tracing::info!(deleted, selected = series.len(), "series were deleted on demand");
    }
    let names = series.iter().take(limit).map(|(name, _)| String::from_utf8_lossy(name));
    Ok(json(&json!({
        "dryRun": dry_run,
        "series": series.len(),
        "deleted": deleted,
        "names": names.collect::<Vec<_>>(),
    })))
}

fn names_wanted(request: &Request) -> Result<usize, Refusal> {
    let Some(value) = request.params.last("names") else { return Ok(NAMES) };
    let refused = || Refusal::parameters(format!("names = {value:?}: allowed is a whole number"));
    value.parse().map_err(|_| refused())
}

impl From<SelectionError> for Refusal {
    fn from(error: SelectionError) -> Self {
        Self::parameters(error)
    }
}

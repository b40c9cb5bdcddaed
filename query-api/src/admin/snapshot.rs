//! `/admin/snapshot` and `/admin/snapshot/remove`: the database as it is now, as another folder.

use super::{failed, json};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use serde_json::json;
use silverback_engine::SnapshotError;

/// Takes a snapshot of the name in parameter `name`, and says where it is.
///
/// # Errors
/// Without a name, with one that is taken or unusable, and when a file cannot be written.
pub fn take(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let snapshot = api.db.snapshot(name(request)?).map_err(refusal)?;
    // A folder given relative to where the server was started means nothing to who asks.
    let path = std::path::absolute(&snapshot.path).unwrap_or(snapshot.path);
    tracing::info!(path = %path.display(), files = snapshot.files, "a snapshot was taken");
    Ok(json(&json!({
        "path": path.to_string_lossy(),
        "files": snapshot.files,
        "bytes": snapshot.bytes,
        "lacksOldFiles": snapshot.lacks_old_files,
    })))
}

/// Removes the snapshot of the name in parameter `name`.
///
/// # Errors
/// When there is none, and when a file cannot be removed.
pub fn remove(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let name = name(request)?;
    api.db.remove_snapshot(name).map_err(refusal)?;
    Ok(json(&json!({ "removed": name })))
}

fn name(request: &Request) -> Result<&str, Refusal> {
    let name = request.params.last("name");
    name.ok_or_else(|| Refusal::parameters("name is not given"))
}

fn refusal(error: SnapshotError) -> Refusal {
    match error {
        SnapshotError::Io { .. } | SnapshotError::Closed => failed(error),
        error => Refusal::parameters(error),
    }
}

//! `/admin/compact`: blocks are merged now, wherever two can become one.

use super::{failed, json};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use serde_json::json;
use silverback_engine::Db;

/// Merges until nothing can be merged, and says what there was and what there is.
///
/// # Errors
/// When a file cannot be written.
pub fn compact(api: &Api, _: &Request) -> Result<Reply, Refusal> {
    let before = BlockSizes::of(&api.db);
    let merges = api.db.compact().map_err(failed)?;
    let after = BlockSizes::of(&api.db);
    tracing::info!(merges, files = after.files, bytes = after.bytes, "compacted on demand");
    Ok(json(&json!({
        "merges": merges,
        "filesBefore": before.files, "filesAfter": after.files,
        "bytesBefore": before.bytes, "bytesAfter": after.bytes,
    })))
}

/// What the blocks of a database take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSizes {
    /// How many there are.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl BlockSizes {
    /// The blocks of `db` as they are now.
    #[must_use]
    pub fn of(db: &Db) -> Self {
        let counters = db.counters();
        let value = |wanted: &str| {
            let found = counters.iter().find(|(name, _)| *name == wanted);
            found.map_or(0, |(_, value)| *value as u64)
        };
        Self { files: value("block.files"), bytes: value("block.bytes") }
    }
}

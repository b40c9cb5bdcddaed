//! Whose backups a place holds: the id of the database, in `backups/DATABASE`.
//!
//! The first backup puts it there, unless somebody else just did. So two databases are never mixed
//! up in one place, where `--keep` of one would remove the backups of the other.

use super::listing::LISTINGS;
use super::place::Place;
use crate::commands::whisper::CommandError;
use silverback_engine::storage::DiskStorage;
use silverback_engine::{DatabaseId, database_id};
use std::path::Path;

const NAME: &str = "DATABASE";

/// Sees to it that the place is that of the database whose snapshot is in `folder`; with
/// `take_over` whoever it belonged to.
pub(super) fn claim(place: &Place, folder: &Path, take_over: bool) -> Result<(), CommandError> {
    let id = database_id(&DiskStorage, folder).map_err(|error| {
        CommandError::Database(format!(
            "{}: {error}; remove ID from the folder of the database, which gets another one then, \
             and take its place of backups over with --take-over",
            folder.join("ID").display()
        ))
    })?;
    // A server that does not know of ids yet.
    let Some(id) = id else { return Ok(()) };
    let key = format!("{LISTINGS}/{NAME}");
    let line = format!("{id}\n");
    if take_over {
        return place.put(&key, line.as_bytes());
    }
    if place.create(&key, line.as_bytes())? {
        return Ok(());
    }
    let reason = match DatabaseId::decode(&place.read(&key)?) {
        Ok(other) => format!(
            "the backups here are of another database, {other}, and this one is {id}: choose \
             another place, or add its backups to those with --take-over"
        ),
        Err(error) => format!(
            "{error}, so it cannot be told whether the backups here are of this database, {id}: \
             if they are, write it anew with --take-over"
        ),
    };
    Err(place.wrong(&key, &reason))
}

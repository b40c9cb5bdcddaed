//! Which database this is: its id, in file `ID`.
//!
//! It is made at the first snapshot, so that databases older than this file get one too, and is in
//! every snapshot from then on: who keeps copies of several databases can tell them apart. A copy
//! has the id of what it is a copy of.

use crate::error::FileError;
use crate::storage::Storage;
use silverback_formats::database_id::{DatabaseId, RANDOM_BYTES};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "ID";
const UNFINISHED: &str = "ID.tmp";

/// The id of the database in `dir`; none before its first snapshot.
///
/// # Errors
/// `InvalidData` when the file is damaged; else what the system says.
pub fn database_id(storage: &dyn Storage, dir: &Path) -> io::Result<Option<DatabaseId>> {
    let bytes = match storage.read_through(&path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let id = DatabaseId::decode(&bytes);
    id.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Where the id of the database in `dir` is.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Makes the file unless there is one, damaged perhaps: that is for people to decide about.
pub(crate) fn ensure(storage: &dyn Storage, dir: &Path) -> Result<(), FileError> {
    let (new, path) = (dir.join(UNFINISHED), path(dir));
    match storage.len_bytes(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        len => return len.map(drop).map_err(|source| FileError { path, source }),
    }
    let write = || {
        let file = storage.create(&new)?;
        file.append(format!("{}\n", chosen()).as_bytes())?;
        file.sync()?;
        storage.rename(&new, &path)?;
        storage.sync_dir(dir)
    };
    write().map_err(|source| FileError { path: new.clone(), source })
}

/// A new id: the system's randomness is behind the keys of hash maps.
fn chosen() -> DatabaseId {
    let random = RandomState::new();
    let numbers = [0, 1].map(|number: u8| random.hash_one(number).to_le_bytes());
    let mut bytes = [0; RANDOM_BYTES];
    for (byte, chosen) in bytes.iter_mut().zip(numbers.into_iter().flatten()) {
        *byte = chosen;
    }
    DatabaseId::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::{database_id, ensure, path};
    use crate::storage::{Fault, FaultyStorage, MemoryStorage};
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn it_is_made_once_and_whole() {
        let dir = Path::new("/db");
        for changes in 0.. {
            let memory = MemoryStorage::new();
            let storage = FaultyStorage::new(Arc::new(memory.clone()));
            assert_eq!(database_id(&memory, dir).unwrap(), None);
            storage.set_after(changes, Fault::Killed { torn_bytes: 3 });
            let made = ensure(&storage, dir).is_ok();
            let after = memory.after_power_cut(0);
            let found = database_id(&after, dir).unwrap();
            assert!(found.is_some() || !made);
            ensure(&after, dir).unwrap();
            let id = database_id(&after, dir).unwrap();
            assert!(id.is_some() && (found.is_none() || found == id));
            ensure(&after, dir).unwrap();
            assert_eq!(database_id(&after, dir).unwrap(), id);
            if made {
                assert!(changes > 3, "{changes}");
                break;
            }
        }
    }

    #[test]
    fn each_has_its_own_and_a_damaged_one_is_none() {
        let (one, other, dir) = (MemoryStorage::new(), MemoryStorage::new(), Path::new("/db"));
        for storage in [&one, &other] {
            ensure(storage, dir).unwrap();
        }
        let id = database_id(&one, dir).unwrap();
        assert_ne!(database_id(&other, dir).unwrap(), id);
        one.damage(&path(dir), |bytes| bytes[3] ^= 1);
        let error = database_id(&one, dir).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        ensure(&one, dir).unwrap();
        assert!(database_id(&one, dir).is_err());
    }
}

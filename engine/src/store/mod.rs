//! Where samples go from the head, and where they are read afterwards.
//!
//! | store | files |
//! |---|---|
//! | [`BlockStore`] | immutable blocks of many series, listed by the manifest |
//! | [`WhisperStore`] | one whisper file a series, in a folder that other programs know |
//!
//! Names, WAL and head are the same above every store. A seal takes the head's samples out, gives
//! them to the store ([`Store::seal`]), commits what it made to the manifest together with the
//! WAL segment from which on the log is still needed, and then shows it to readers
//! ([`Store::publish`]).

mod blocks;
mod whisper;

pub(crate) use blocks::{BlockStore, Eagerness};
pub(crate) use whisper::{FoundAtStart, Waited, WhisperStore, is_marked};

use crate::block::Block;
use crate::counters::Metric;
use crate::error::{Damage, FetchError, FileError};
use crate::fetch::{FetchRange, Fetched};
use crate::head::{FullChunk, Held, Taken};
use crate::import::{Gathered, ImportError, OldFiles};
use crate::inner::Inner;
use crate::options::WhisperOptions;
use crate::schema::{AggregationMethod, Policy, Schema};
use crate::series::SeriesId;
use crossbeam_channel::Receiver;
use silverback_formats::block::BlockKind;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// See the module.
pub(crate) trait Store: Debug + Send + Sync {
    /// Values of a series over a range: what the head holds over what is stored.
    fn fetch(
        &self,
        db: &Inner,
        id: SeriesId,
        range: FetchRange,
    ) -> Result<Option<Fetched>, FetchError>;

    /// As [`fetch`](Self::fetch), with coarser archives by `method` where the rules have extra
    /// roll-ups for it; a store without them answers as without.
    fn fetch_by(
        &self,
        db: &Inner,
        id: SeriesId,
        range: FetchRange,
        method: AggregationMethod,
    ) -> Result<Option<Fetched>, FetchError> {
        let _ = method;
        self.fetch(db, id, range)
    }

    /// Values of one archive of a series in `(from, until]` (Unix seconds), whatever its age;
    /// `None` when the rules have no such archive, or the store answers by age only.
    fn fetch_archive(
        &self,
        db: &Inner,
        id: SeriesId,
        archive: usize,
        range_s: (i64, i64),
    ) -> Result<Option<Fetched>, FetchError> {
        let _ = (db, id, archive, range_s);
        Ok(None)
    }

    /// Stretches of time after `now_s` that cover all samples of a series that are later: first
    /// and last second of each, in order. None when the store answers by age only.
    fn ahead(&self, db: &Inner, id: SeriesId, now_s: i64) -> Vec<(i64, i64)> {
        let _ = (db, id, now_s);
        Vec::new()
    }

    /// How many slots of a series, of all steps, have a sample at `until_s` (Unix seconds) or
    /// before.
    fn too_old(&self, db: &Inner, id: SeriesId, until_s: i64) -> u64 {
        let _ = (db, id, until_s);
        0
    }

    /// The rules that a series is kept by; `name` is its own.
    fn policy(&self, db: &Inner, id: SeriesId, name: &[u8]) -> Option<Arc<Policy>>;

    /// What a series is kept by that is not known and that no rule matches, when it has a file all
    /// the same; `name` is its own.
    fn unlisted(&self, schema: &Schema, name: &[u8]) -> Option<Arc<Policy>> {
        let _ = (schema, name);
        None
    }

    /// Takes samples of the WAL that would go to other archives were they taken with the newest of
    /// it, and so are not in the head: by series, in order of arrival.
    fn wait_with(&self, samples: Vec<(u32, Waited)>) {
        debug_assert!(samples.is_empty(), "others have no such samples");
    }

    /// Stores what was taken from the head: durable when this returns. The same is given again
    /// after a failure. It is in the segments `log` of the WAL, and so is all before that was stored
    /// and was not durable yet.
    fn seal(&self, db: &Inner, taken: &[Arc<Taken>], log: Range<u64>) -> Result<Sealed, FileError>;

    /// Writes the samples that were given to the store, and are in no file yet, to the WAL again,
    /// durably, from `segment` on, which was just begun.
    fn log_waiting(&self, db: &Inner, segment: u64) -> Result<(), FileError> {
        let _ = (db, segment);
        Ok(())
    }

    /// Whether there are such samples of a series, or some that an import has gathered.
    fn holds(&self, id: SeriesId) -> bool {
        let _ = id;
        false
    }

    /// How many those are, and the memory that they take.
    fn waiting_size(&self) -> Held {
        Held::default()
    }

    /// Shows readers what was sealed. The head still holds it.
    fn publish(&self, sealed: Sealed);

    /// Notes that an import gathers samples of a series.
    fn begin_import(&self, id: SeriesId) {
        let _ = id;
    }

    /// Notes that it has none of these series any more, each once for each time that it began.
    fn end_import(&self, ids: &[SeriesId]) {
        let _ = ids;
    }

    /// Takes over chunks, sorted by series and time: durable and visible when this returns.
    fn import(&self, db: &Inner, chunks: &[Gathered]) -> Result<(), ImportError> {
        let _ = (db, chunks);
        Err(ImportError::NoBlocks)
    }

    /// Whether the values of `chunks` were taken over, or others received, for each of their
    /// slots.
    fn has_slots(&self, id: SeriesId, step_s: u32, kind: BlockKind, chunks: &[FullChunk]) -> bool {
        let _ = (id, step_s, kind, chunks);
        false
    }

    /// Whisper files that are on their way into the store.
    fn old_files(&self) -> Option<Arc<OldFiles>> {
        None
    }

    /// None of those is left.
    fn forget_old_files(&self) {}

    /// Whether files hold a sample of a series that may be of `since_s` (Unix seconds) or later, by
    /// the end of its slot, or cannot tell.
    fn has_since(&self, db: &Inner, id: SeriesId, since_s: i64) -> bool;

    /// Deletes files that hold nothing within retention any more, after what is to be kept of them
    /// is stored elsewhere, and says how many.
    fn expire(&self, db: &Inner, is_stopped: &dyn Fn() -> bool) -> Result<usize, FileError>;

    /// Removes what is stored of a series that is being deleted, where that is a matter of its
    /// own: otherwise its samples are out of reach and go when their files do.
    fn remove(&self, name: &[u8]) -> Result<(), FileError> {
        let _ = name;
        Ok(())
    }

    /// Applies other settings, where they are for this store.
    fn configure(&self, options: WhisperOptions, tags: bool) {
        let _ = (options, tags);
    }

    /// Works in the background until `stop` is closed.
    fn work(&self, db: &Inner, stop: &Receiver<()>);

    /// The head is over its budget.
    fn call_for_seal(&self) {}

    /// What is to be done before the database is closed in good order: the last of the work that
    /// goes on in the background.
    fn finish(&self, db: &Inner) {
        let _ = db;
    }

    /// Numbers of the blocks that are listed, and whose file was put aside or is gone.
    fn lost(&self) -> Vec<u64> {
        Vec::new()
    }

    /// What was found damaged since the database was opened.
    fn damage(&self) -> Vec<Damage>;

    /// Merges files once, if there are any to be merged. Whether there may be more to do.
    fn compact(
        &self,
        db: &Inner,
        eagerness: Eagerness,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<bool, FileError> {
        let _ = (db, eagerness, is_stopped);
        Ok(false)
    }

    /// Puts files with damaged parts aside and keeps what is good of them. Says how many.
    fn repair(&self, db: &Inner) -> Result<usize, FileError> {
        let _ = db;
        Ok(0)
    }

    /// Reads everything against its checksums and says what is damaged.
    fn verify(&self) -> Vec<Damage>;

    /// What the store counts and measures.
    fn metrics(&self) -> Vec<Metric>;
}

/// What a seal made.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// New blocks, for the manifest to list.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// Whether all samples are in files: none waits in the store.
    pub(crate) is_whole: bool,
}

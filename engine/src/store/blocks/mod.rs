//! The native store: immutable blocks of many series.

mod ahead;
mod compact;
mod expire;
mod import;
mod passed;
mod repair;
mod seals;
mod sources;
mod too_old;

use compact::Compacting;
pub(crate) use compact::Eagerness;
use seals::Call;

use super::{Sealed, Store};
use crate::block::{Block, BlockSet, OpenBlockError, discard};
use crate::counters::{Metric, add};
use crate::error::{Damage, FetchError, FileError};
use crate::fetch::{FetchRange, Fetched, Window};
use crate::head::{FullChunk, Taken};
use crate::import::{Gathered, ImportError, ImportSeries, OldFiles};
use crate::inner::Inner;
use crate::policies::Entry;
use crate::schema::{Aggregate, AggregationMethod, Instead, Policy};
use crate::seal;
use crate::series::SeriesId;
use crate::storage::Storage;
use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use silverback_formats::block::BlockKind;
use silverback_formats::manifest::BlockEntry;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// See the module.
#[derive(Debug)]
pub(crate) struct BlockStore {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    blocks: ArcSwap<BlockSet>,
    /// Listed blocks whose file is damaged or gone.
    lost: ArcSwap<Vec<BlockEntry>>,
    /// Number of the next block.
    next_block: AtomicU64,
    /// Below all blocks: files that are not in blocks yet.
    old: ArcSwapOption<OldFiles>,
    /// Held while blocks are merged or expire.
    compacting: Mutex<Compacting>,
    /// Blocks that were to be merged when that was last looked for.
    waiting: AtomicUsize,
    /// Blocks, by number, that are past their time, and until when (Unix seconds) they stay.
    held: Mutex<BTreeMap<u64, i64>>,
    /// Series of which imports have gathered samples, and how often.
    importing: Mutex<BTreeMap<SeriesId, u32>>,
    /// Calls for a seal.
    call: Call,
}

impl BlockStore {
    /// The store of `blocks`, which lie in `dir`, and of those that are lost; new ones are
    /// numbered from `next_block` on.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        (blocks, lost): (Vec<Arc<Block>>, Vec<BlockEntry>),
        next_block: u64,
        old: Option<OldFiles>,
    ) -> Self {
        let blocks = ArcSwap::from_pointee(BlockSet::new(blocks));
        let (old, compacting) = (ArcSwapOption::new(old.map(Arc::new)), Mutex::default());
        let (lost, next_block) = (ArcSwap::from_pointee(lost), AtomicU64::new(next_block));
        let (waiting, held, importing) = (AtomicUsize::new(0), Mutex::default(), Mutex::default());
        let call = Call::new();
        Self {
            storage,
            dir,
            blocks,
            lost,
            next_block,
            old,
            compacting,
            waiting,
            held,
            importing,
            call,
        }
    }

    /// Values by the main roll-ups.
    fn read(&self, db: &Inner, id: SeriesId, window: Window, entry: &Entry) -> Fetched {
        let sources = self.sources(db, id);
        let mut answer = sources.read(db, window, entry, None);
        answer.damaged |= self.misses(window.span_s());
        answer
    }

    /// Values by other roll-ups, and by the main ones where those know nothing: they are kept
    /// since the rules ask for them.
    fn read_instead(
        &self,
        db: &Inner,
        id: SeriesId,
        window: Window,
        (entry, instead): (&Entry, Instead),
    ) -> Fetched {
        let sources = self.sources(db, id);
        let mut answer = sources.read(db, window, entry, None);
        answer.damaged |= self.misses(window.span_s());
        let mut damaged = false;
        let mut read = |extra| {
            let extra = sources.read(db, window, entry, Some(extra));
            damaged |= extra.damaged;
            extra.values
        };
        let values = match instead {
            Instead::Of(extra) => read(extra),
            Instead::Mean { sums } => {
                let sums = sums.map_or_else(|| answer.values.clone(), &mut read);
                sums.into_iter().zip(read(Aggregate::Count)).map(|(sum, n)| sum / n).collect()
            }
        };
        let known = answer.values.iter_mut().zip(values).filter(|(_, value)| !value.is_nan());
        known.for_each(|(cell, value)| *cell = value);
        answer.damaged |= damaged;
        answer
    }

    /// What a file that is not in blocks yet says of a series.
    fn read_old(&self, db: &Inner, id: SeriesId) -> Result<Option<ImportSeries>, ImportError> {
        let old = self.old.load();
        let Some(old) = &*old else { return Ok(None) };
        let mut name = Vec::new();
        let is_here = db.index.path_into(id, &mut name);
        if is_here { old.series(&name, db.options.clock.now_s()) } else { Ok(None) }
    }

    /// Lets readers see new blocks; called with the lock of the manifest.
    fn show(&self, blocks: Vec<Arc<Block>>) {
        self.blocks.store(Arc::new(self.blocks.load().edited(blocks, &[])));
    }

    /// Whether a lost block had samples of these seconds (Unix).
    fn misses(&self, (start_s, stop_s): (i64, i64)) -> bool {
        self.lost.load().iter().any(|lost| {
            let end_s = i64::from(lost.max_s) + i64::from(lost.step_s);
            i64::from(lost.min_s) < stop_s && end_s > start_s
        })
    }

    /// Lost blocks that the manifest does not list any more are not looked for.
    fn forget_lost(&self, removed: &[u64]) {
        let lost = self.lost.load();
        if !lost.is_empty() {
            let left = lost.iter().filter(|lost| !removed.contains(&lost.number)).copied();
            self.lost.store(Arc::new(left.collect()));
        }
    }

    /// Opens blocks that were just made, and are to be listed; after an error there are none.
    fn open_made(&self, adds: &[BlockEntry]) -> Result<Vec<Arc<Block>>, FileError> {
        let opened: Result<_, _> = adds.iter().map(|entry| self.open(*entry)).collect();
        if opened.is_err() {
            discard(&*self.storage, &self.dir, adds);
        }
        opened
    }

    fn open(&self, entry: BlockEntry) -> Result<Arc<Block>, FileError> {
        let block = Block::open(&*self.storage, &self.dir, entry);
        block.map(Arc::new).map_err(|error| match error {
            OpenBlockError::Io(error) => error,
            OpenBlockError::Damaged(Damage { path, reason, .. }) => {
                FileError { path, source: std::io::Error::other(reason) }
            }
        })
    }
}

impl Store for BlockStore {
    fn fetch(
        &self,
        db: &Inner,
        id: SeriesId,
        range: FetchRange,
    ) -> Result<Option<Fetched>, FetchError> {
        let entry = entry(db, id)?;
        Ok(Window::of(range, &entry).map(|window| self.read(db, id, window, &entry)))
    }

    fn fetch_by(
        &self,
        db: &Inner,
        id: SeriesId,
        range: FetchRange,
        method: AggregationMethod,
    ) -> Result<Option<Fetched>, FetchError> {
        let entry = entry(db, id)?;
        let read = |window| match entry.policy.instead(method) {
            Some(instead) => self.read_instead(db, id, window, (&entry, instead)),
            None => self.read(db, id, window, &entry),
        };
        Ok(Window::of(range, &entry).map(read))
    }

    fn fetch_archive(
        &self,
        db: &Inner,
        id: SeriesId,
        archive: usize,
        range_s: (i64, i64),
    ) -> Result<Option<Fetched>, FetchError> {
        let entry = entry(db, id)?;
        let window = Window::of_archive(archive, range_s.0, range_s.1, &entry);
        Ok(window.map(|window| self.read(db, id, window, &entry)))
    }

    fn ahead(&self, db: &Inner, id: SeriesId, now_s: i64) -> Vec<(i64, i64)> {
        self.stretches_ahead(db, id, now_s)
    }

    fn too_old(&self, db: &Inner, id: SeriesId, until_s: i64) -> u64 {
        self.slots_until(db, id, until_s)
    }

    fn policy(&self, db: &Inner, id: SeriesId, _name: &[u8]) -> Option<Arc<Policy>> {
        Some(db.policies.entry(db.policy(id)?).policy)
    }

    fn seal(
        &self,
        db: &Inner,
        taken: &[Arc<Taken>],
        _log: Range<u64>,
    ) -> Result<Sealed, FileError> {
        let policies = db.policies.snapshot();
        let (storage, dir, now_s) = (&self.storage, &self.dir, db.options.clock.now_s());
        let adds = seal::seal(storage, dir, taken, &policies, &self.next_block, now_s)?;
        Ok(Sealed { blocks: self.open_made(&adds)?, is_whole: true })
    }

    fn publish(&self, sealed: Sealed) {
        self.show(sealed.blocks);
    }

    fn import(&self, db: &Inner, chunks: &[Gathered]) -> Result<(), ImportError> {
        self.import_chunks(db, chunks)
    }

    fn old_files(&self) -> Option<Arc<OldFiles>> {
        self.old.load_full()
    }

    fn forget_old_files(&self) {
        self.old.store(None);
    }

    fn remove(&self, name: &[u8]) -> Result<(), FileError> {
        self.old.load().as_ref().map_or(Ok(()), |old| old.remove(name))
    }

    fn compact(
        &self,
        db: &Inner,
        eagerness: Eagerness,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<bool, FileError> {
        let merged = self.compact_once(db, eagerness, is_stopped);
        add(&db.counters.compaction_errors, usize::from(merged.is_err()));
        merged
    }

    fn repair(&self, db: &Inner) -> Result<usize, FileError> {
        self.salvage(db)
    }

    fn holds(&self, id: SeriesId) -> bool {
        self.importing.lock().contains_key(&id)
    }

    fn begin_import(&self, id: SeriesId) {
        *self.importing.lock().entry(id).or_insert(0) += 1;
    }

    fn end_import(&self, ids: &[SeriesId]) {
        let mut importing = self.importing.lock();
        for id in ids {
            if let Some(times) = importing.get_mut(id).filter(|times| **times > 1) {
                *times -= 1;
            } else {
                importing.remove(id);
            }
        }
    }

    fn has_slots(&self, id: SeriesId, step_s: u32, kind: BlockKind, chunks: &[FullChunk]) -> bool {
        self.find_slots(id, step_s, kind, chunks)
    }

    fn expire(&self, db: &Inner, is_stopped: &dyn Fn() -> bool) -> Result<usize, FileError> {
        let expired = self.expire_blocks(db, is_stopped);
        add(&db.counters.expire_errors, usize::from(expired.is_err()));
        expired
    }

    fn has_since(&self, db: &Inner, id: SeriesId, since_s: i64) -> bool {
        // As everywhere the old files first: what a seal moves is then seen in one of them.
        if self.read_old(db, id).map_or(true, |old| old.is_some()) {
            return true;
        }
        self.blocks.load().iter().any(|block| block.has_since(id.0, since_s))
    }

    fn work(&self, db: &Inner, stop: &Receiver<()>) {
        seals::work(db, &self.call, stop);
    }

    fn call_for_seal(&self) {
        self.call.now();
    }

    fn lost(&self) -> Vec<u64> {
        self.lost.load().iter().map(|lost| lost.number).collect()
    }

    fn damage(&self) -> Vec<Damage> {
        self.blocks.load().iter().flat_map(|block| block.damage()).collect()
    }

    fn verify(&self) -> Vec<Damage> {
        self.blocks.load().iter().flat_map(|block| block.verify()).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let blocks = self.blocks.load();
        let entries = blocks.iter().map(|block| block.entry());
        let (bytes, chunks) =
            entries.fold((0, 0), |(b, c), entry| (b + entry.len_bytes, c + entry.chunks));
        let mut metrics = vec![
            Metric::gauge("block.files", blocks.iter().len() as f64),
            Metric::gauge("block.bytes", bytes as f64),
            Metric::gauge("block.chunks", chunks as f64),
            Metric::gauge("compact.waiting", self.waiting.load(Ordering::Relaxed) as f64),
        ];
        metrics.extend(self.old.load().iter().flat_map(|old| old.metrics()));
        metrics
    }
}

/// The rules of a series.
fn entry(db: &Inner, id: SeriesId) -> Result<Entry, FetchError> {
    let policy = db.policy(id).ok_or(FetchError::UnknownSeries(id.0))?;
    Ok(db.policies.entry(policy))
}

//! The sealed index as a file: most names of the database, written anew from time to time.
//!
//! New names are in the live index, in memory, and from a seal on in the series log. When they
//! are many, or a day old, a new file of all names is written beside the old one, and the manifest
//! says that it counts. At the next start it is compared with its checksums and mapped, and of the
//! series log only what it says since is read. Names that came and went count like those that
//! stay: their ids take memory, and the log tells of them, until a new file is made.
//!
//! The series log is the truth: a file that is damaged is put aside, and made again from the log.
//!
//! 1. Under the locks of files and of creation: the index closes its live part, and the place in
//!    the series log and the next id are taken down. What the log says before that place is in
//!    the parts that are closed now, and names with ids below that one are too.
//! 2. What the log does not say yet is appended to it.
//! 3. The file is written under another name, synced, renamed; then one of the tags of its names in
//!    the same way; and their folder is synced.
//! 4. The manifest says that it counts; readers get it; the old one is removed.
//!
//! What fails is tried again, with the same parts; but for names that do not fit the format, which
//! fail again each time: these wait for somebody to ask for it, or for the next start.
//!
//! The names are the truth about their tags: where the file of tags is missing, as older programs
//! leave it, or damaged, they are read from the names.

use crate::clock::monotonic;
use crate::counters::add;
use crate::error::{Damage, FileError, SealError};
use crate::index::{SealedIndex, Sealing, TagFile, WriteTagsError};
use crate::inner::{Inner, quarantine};
use crate::series::SeriesId;
use crate::storage::Storage;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use silverback_formats::index::PushError;
use silverback_formats::manifest::IndexEntry;
use silverback_formats::tags::{TagsError, mark_of};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(1);
/// Most ticks between two attempts of what keeps failing.
const BACK_OFF_TICKS_MAX: u64 = 60;
/// New names beyond this share of the sealed ones are worth a new file.
const SHARE_OF_SEALED: usize = 20;
/// Age at which a file is made anew however little is new.
const AGE_MAX: Duration = Duration::from_secs(86_400);
/// Name under which a file is written.
const UNFINISHED: &str = "index.tmp";

/// Where the making of a new file stands.
#[derive(Debug, Default)]
pub(crate) enum BaseWork {
    /// None is being made.
    #[default]
    Idle,
    /// One was begun; its length is not known yet.
    Begun(IndexEntry),
    /// The same, and the names did not fit the format.
    Full(IndexEntry),
    /// The file that counts was found damaged: the next start makes a new one of the series log.
    Damaged(Damage),
}

/// Why a file could not be opened.
#[derive(Debug)]
pub(crate) enum OpenBaseError {
    Io(FileError),
    Damaged(Damage),
}

/// Path of a file in `dir`.
pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.index"))
}

/// Path of the tags of its names.
pub(crate) fn tags_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.tags"))
}

/// Opens the tags of the names in the file that counts; `None` where there are none.
pub(crate) fn open_tags(
    storage: &dyn Storage,
    dir: &Path,
    number: u64,
    base: &SealedIndex,
) -> Result<Option<TagFile>, OpenBaseError> {
    let path = tags_path(dir, number);
    let bytes = match storage.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenBaseError::Io(FileError { path, source })),
    };
    match TagFile::open(&path, bytes, base.bytes()) {
        Ok(tags) => Ok(Some(tags)),
        Err(error @ TagsError::Version { .. }) => {
            Err(OpenBaseError::Io(FileError::newer(&path, &error)))
        }
        Err(TagsError::Damaged { offset, fault }) => {
            Err(OpenBaseError::Damaged(Damage { path, offset, reason: fault.to_string() }))
        }
        Err(error) => {
            let reason = error.to_string();
            Err(OpenBaseError::Damaged(Damage { path, offset: 0, reason }))
        }
    }
}

/// Opens the file that counts.
pub(crate) fn open(
    storage: &dyn Storage,
    dir: &Path,
    entry: &IndexEntry,
) -> Result<SealedIndex, OpenBaseError> {
    let path = path(dir, entry.number);
    let damaged =
        |reason: String| OpenBaseError::Damaged(Damage { path: path.clone(), offset: 0, reason });
    let bytes = match storage.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged("it is missing".to_owned()));
        }
        Err(source) => return Err(OpenBaseError::Io(FileError { path, source })),
    };
    if bytes.len() as u64 != entry.len_bytes {
        return Err(damaged(format!("it has {} bytes, not {}", bytes.len(), entry.len_bytes)));
    }
    if let Err(error) = bytes.check_readable(0..bytes.len()) {
        return Err(damaged(format!("it cannot be read: {error}")));
    }
    // All of it is read once: an index that does not find a name would give it another id, and
    // hide what is stored under the first one.
    match SealedIndex::open(bytes).and_then(|base| base.check().map(|()| base)) {
        Ok(base) => Ok(base),
        Err(error @ silverback_formats::index::IndexError::Version { .. }) => {
            Err(OpenBaseError::Io(FileError::newer(&path, &error)))
        }
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// Enters the tags of the names in the logs, and in the file where it has none, and makes new files
/// when they are wanted, until `stop` is closed.
pub(crate) fn work(inner: &Inner, stop: &Receiver<()>) {
    let is_closed = || inner.closed.load(Ordering::Acquire);
    make_files(inner, stop, &is_closed);
    // Questions that come still do not wait for this thread.
    inner.index.load_tags(|| true);
}

fn make_files(inner: &Inner, stop: &Receiver<()>, is_closed: &dyn Fn() -> bool) {
    inner.index.load_tags(is_closed);
    inner.loading.wait();
    let (mut tick, mut not_before, mut failures) = (0_u64, 0, 0);
    // How old a file is that was found at the start is not known: it is taken for new.
    let mut made = monotonic();
    while stop.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        tick += 1;
        // Should the file of them have been found damaged.
        inner.index.load_tags(is_closed);
        if tick < not_before || !inner.wants_base(made.elapsed()) {
            continue;
        }
        match inner.seal_index() {
            Ok(()) => {
                failures = 0;
                made = monotonic();
            }
            Err(SealError::Closed) => return,
            Err(error) => {
                if inner.is_base_full() {
                    tracing::error!("cannot seal the index: {error}; {UNTIL_THERE_IS_ROOM}");
                    continue;
                }
                failures += 1;
                let ticks = (1 << failures.min(6)).min(BACK_OFF_TICKS_MAX);
                not_before = tick + ticks;
                tracing::error!("cannot seal the index: {error}; tried again in {ticks} s");
            }
        }
    }
}

impl Inner {
    /// Names that came, went, or both since the file was made.
    pub(crate) fn unsealed(&self) -> usize {
        let next_id = *self.next_id.lock();
        self.index.unsealed(SeriesId(next_id))
    }

    /// Whether so much is new, or what is new so old, that a new file should be made; the last
    /// one was made so long ago.
    fn wants_base(&self, age: Duration) -> bool {
        if let BaseWork::Damaged(_) | BaseWork::Full(_) = *self.base_work.lock() {
            return false;
        }
        let sealed = self.index.base().map_or(0, |base| base.len());
        let enough = self.options.index_seal_names.max(sealed / SHARE_OF_SEALED);
        let unsealed = self.unsealed();
        self.index.is_sealing() || unsealed > enough || unsealed > 0 && age >= AGE_MAX
    }

    fn is_base_full(&self) -> bool {
        matches!(*self.base_work.lock(), BaseWork::Full(_))
    }

    /// See [`Db::seal_index`](crate::Db::seal_index).
    pub(crate) fn seal_index(&self) -> Result<(), SealError> {
        let mut work = self.base_work.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(SealError::Closed);
        }
        let started = monotonic();
        let made = self.make_base(&mut work);
        match &made {
            Ok(entry) => {
                let (len_bytes, ms) = (entry.len_bytes, started.elapsed().as_millis());
                tracing::info!("sealed the index: {len_bytes} bytes, in {ms} ms");
                add(&self.counters.index_seals, 1);
            }
            Err(_) if self.closed.load(Ordering::Acquire) => return Err(SealError::Closed),
            Err(_) => add(&self.counters.index_seal_errors, 1),
        }
        Ok(made.map(drop)?)
    }

    fn make_base(&self, work: &mut BaseWork) -> Result<IndexEntry, FileError> {
        let begun = match work {
            BaseWork::Idle => self.begin_base(),
            BaseWork::Begun(entry) | BaseWork::Full(entry) => *entry,
            BaseWork::Damaged(Damage { path, reason, .. }) => {
                let source = std::io::Error::other(reason.clone());
                return Err(FileError { path: path.clone(), source });
            }
        };
        *work = BaseWork::Begun(begun);
        let sealing = self.index.begin_seal(SeriesId(begun.next_id));
        if let Some(damage) = self.damage_of_base(&sealing) {
            tracing::error!("{damage}; the next start makes a new one of the series log");
            self.disk.lock().manifest.commit_index(None)?;
            let source = std::io::Error::other(damage.reason.clone());
            let path = damage.path.clone();
            let _ = quarantine(&*self.options.storage, &self.folders.quarantine, &path);
            *work = BaseWork::Damaged(damage);
            return Err(FileError { path, source });
        }
        self.name_series()?;
        let (base, entry) = self.write_base(&sealing, begun).map_err(|error| {
            if let WriteError::Full(_) = error {
                *work = BaseWork::Full(begun);
                add(&self.counters.index_full, 1);
            }
            error.about(self.folders.index.join(UNFINISHED))
        })?;
        let old = {
            let mut disk = self.disk.lock();
            let old = disk.manifest.state().index;
            disk.manifest.commit_index(Some(entry))?;
            old
        };
        self.index.finish_seal(base);
        *work = BaseWork::Idle;
        if let Some(old) = old {
            let dir = &self.folders.index;
            for path in [path(dir, old.number), tags_path(dir, old.number)] {
                match self.options.storage.remove(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        tracing::warn!("{}: {error}; removed at the next start", path.display());
                    }
                    _ => {}
                }
            }
        }
        Ok(entry)
    }

    fn begin_base(&self) -> IndexEntry {
        let disk = self.disk.lock();
        let next_id = self.next_id.lock();
        self.index.begin_seal(SeriesId(*next_id));
        let before = disk.manifest.state().index;
        IndexEntry {
            number: before.map_or(0, |before| before.number + 1),
            next_id: *next_id,
            log_bytes: disk.series_log.end(),
            len_bytes: 0,
        }
    }

    /// What is wrong with the file that the new one is made of: its mistakes must not be written
    /// down under good checksums.
    fn damage_of_base(&self, sealing: &Sealing) -> Option<Damage> {
        let reason = sealing.base()?.check().err()?.to_string();
        let index = self.disk.lock().manifest.state().index;
        let path = path(&self.folders.index, index.map_or(0, |index| index.number));
        Some(Damage { path, offset: 0, reason })
    }

    fn write_base(
        &self,
        sealing: &Sealing,
        begun: IndexEntry,
    ) -> Result<(SealedIndex, IndexEntry), WriteError> {
        let (storage, dir) = (&*self.options.storage, &self.folders.index);
        let path = path(dir, begun.number);
        self.write_file(&path, |append| sealing.write(&mut |bytes: &[u8]| append(bytes)))?;
        let base = SealedIndex::open(storage.read(&path)?);
        let base = base.map_err(|error| WriteError::Other(error.to_string()))?;
        let tags = self.write_tags(sealing, begun.number, &base)?;
        storage.sync_dir(dir)?;
        let entry = IndexEntry { len_bytes: base.len_bytes() as u64, ..begun };
        Ok((base.with_tags(tags), entry))
    }

    /// Writes the tags of the new base's names, of those of the parts that it is made of.
    fn write_tags(
        &self,
        sealing: &Sealing,
        number: u64,
        base: &SealedIndex,
    ) -> Result<TagFile, WriteError> {
        let (storage, mark) = (&*self.options.storage, mark_of(base.bytes()));
        let path = tags_path(&self.folders.index, number);
        loop {
            // At most twice: what was entered from the names is not found damaged.
            if !self.index.load_tags(|| self.closed.load(Ordering::Acquire)) {
                return Err(WriteError::closed());
            }
            let written = self.write_file(&path, |append| {
                match sealing.write_tags(mark, &mut |bytes: &[u8]| append(bytes)) {
                    Ok(()) => Ok(true),
                    Err(WriteTagsError::NotLoaded) => Ok(false),
                    Err(WriteTagsError::Push(error)) => Err(WriteError::Other(error.to_string())),
                    Err(WriteTagsError::Append(error)) => Err(error),
                }
            })?;
            if written {
                let opened = TagFile::open(&path, storage.read(&path)?, base.bytes());
                return opened.map_err(|error| WriteError::Other(error.to_string()));
            }
        }
    }

    /// Writes a file under another name, synced, and gives it its own.
    fn write_file<T>(
        &self,
        path: &Path,
        write: impl FnOnce(&mut Append<'_>) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let (storage, new) = (&*self.options.storage, self.folders.index.join(UNFINISHED));
        let file = storage.create(&new)?;
        let written = write(&mut |bytes| {
            if self.closed.load(Ordering::Acquire) {
                return Err(WriteError::closed());
            }
            Ok(file.append(bytes)?)
        })?;
        file.sync()?;
        storage.rename(&new, path)?;
        Ok(written)
    }

    /// Reads all of the files and says what is damaged.
    pub(crate) fn verify_base(&self) -> Vec<Damage> {
        let known = match &*self.base_work.lock() {
            BaseWork::Damaged(damage) => Some(damage.clone()),
            BaseWork::Idle | BaseWork::Begun(_) | BaseWork::Full(_) => None,
        };
        let number = self.disk.lock().manifest.state().index.map_or(0, |index| index.number);
        let found = self.index.base().and_then(|base| base.verify().err());
        let found = found.map(|error| Damage {
            path: path(&self.folders.index, number),
            offset: 0,
            reason: error.to_string(),
        });
        let tags = self.index.base().and_then(|base| base.damage_of_tags());
        known.or(found).into_iter().chain(tags).collect()
    }
}

/// What a message about names that do not fit says.
const UNTIL_THERE_IS_ROOM: &str = "new names stay in memory, and it is not tried again until the \
    next start: delete series, or take some to another node";

/// Why a file was not written, in words.
enum WriteError {
    /// The format has no room for the names.
    Full(String),
    /// Another time it may be.
    Other(String),
}

/// Takes the next bytes of a file.
type Append<'a> = dyn FnMut(&[u8]) -> Result<(), WriteError> + 'a;

impl WriteError {
    fn closed() -> Self {
        Self::Other("the database is closed".to_owned())
    }

    fn about(self, path: PathBuf) -> FileError {
        let (Self::Full(reason) | Self::Other(reason)) = self;
        FileError { path, source: std::io::Error::other(reason) }
    }
}

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<PushError> for WriteError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Full { .. } => Self::Full(error.to_string()),
            error => Self::Other(error.to_string()),
        }
    }
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use crate::{Db, Options};
    use silverback_formats::carbon::Point;
    use std::sync::Arc;

    const NOT_OLD: Duration = Duration::ZERO;

    /// A database that makes a new file for more than four names.
    fn database() -> Db {
        let options = Options {
            index_seal_names: 4,
            background: false,
            storage: Arc::new(MemoryStorage::new()),
            ..Options::new("/db")
        };
        Db::open(options).unwrap()
    }

    fn create(db: &Db, name: &str) -> SeriesId {
        let point = Point { name: name.as_bytes(), time_s: db.now_s(), value: 1.0 };
        db.append(&[point]).unwrap();
        db.series(name.as_bytes()).unwrap()
    }

    #[test]
    fn names_that_come_and_go_are_worth_a_file() {
        let db = database();
        for turn in 0..5 {
            assert!(!db.inner().wants_base(NOT_OLD), "{turn}");
            let id = create(&db, "a.b");
            db.delete(&[id]).unwrap();
            assert_eq!(db.inner().unsealed(), turn + 1);
        }
        assert!(db.series_count() == 0 && db.inner().wants_base(NOT_OLD));
        db.seal_index().unwrap();
        assert!(db.inner().unsealed() == 0 && !db.inner().wants_base(NOT_OLD));
    }

    #[test]
    fn little_that_is_new_waits_a_day() {
        let db = database();
        assert!(!db.inner().wants_base(AGE_MAX), "nothing is new");
        let id = create(&db, "a.b");
        assert!(!db.inner().wants_base(AGE_MAX - TICK) && db.inner().wants_base(AGE_MAX));
        db.seal_index().unwrap();
        assert!(!db.inner().wants_base(AGE_MAX));
        db.delete(&[id]).unwrap();
        assert!(db.inner().unsealed() == 1 && db.inner().wants_base(AGE_MAX));
    }

    /// Names that never fit are not written again and again.
    #[test]
    fn what_does_not_fit_is_not_tried_again() {
        let full = PushError::Full { what: "series", max: 7 };
        let other = PushError::Id { id: 7 };
        assert!(matches!(WriteError::from(full), WriteError::Full(reason) if reason.contains("7")));
        assert!(matches!(WriteError::from(other), WriteError::Other(_)));
        let db = database();
        (0..5).for_each(|i| _ = create(&db, &format!("a.{i}")));
        assert!(db.inner().wants_base(NOT_OLD));
        let begun = db.inner().begin_base();
        *db.inner().base_work.lock() = BaseWork::Full(begun);
        assert!(db.inner().is_base_full() && !db.inner().wants_base(AGE_MAX));
        // Who asks for it gets another try.
        db.seal_index().unwrap();
        assert!(!db.inner().is_base_full() && db.inner().unsealed() == 0);
    }
}

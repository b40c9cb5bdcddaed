//! Files in memory that know which of their bytes a power cut would leave.
//!
//! A file's bytes become durable by its `sync`; its being there under a name, or no longer being
//! there, becomes durable by `sync_dir` of its folder. [`MemoryStorage::after_power_cut`] gives
//! the storage that a machine would find when it comes up again, and
//! [`MemoryStorage::after_power_cut_keeping`] any of those that it might find: each write in place
//! and each name that is not durable is there or is not, whatever the others.

mod content;
mod open;

use super::{Access, FileBytes, FileLock, InPlaceFile, Storage, StorageFile, Walked};
use content::{Change, Content};
use open::{MemoryFile, PlacedFile};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A file system in memory. Clones are handles to the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    tree: Arc<Mutex<Tree>>,
    syncs: Arc<Syncs>,
    locked: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// Syncs so far, and whoever wants to know of each.
#[derive(Default)]
struct Syncs {
    count: AtomicU64,
    /// Whether they fail.
    failing: AtomicBool,
    before: Mutex<Option<BeforeSync>>,
}

type BeforeSync = Box<dyn FnMut(u64) + Send>;

impl Debug for Syncs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncs").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Syncs {
    fn begin(&self) {
        let done = self.count.load(Ordering::SeqCst);
        if let Some(before) = &mut *self.before.lock() {
            before(done);
        }
    }

    fn end(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
struct Tree {
    /// What a running process sees.
    live: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// Names that would survive a power cut.
    durable: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
}

/// Something that was done and is not durable, of which a power cut may leave any part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced<'a> {
    /// What a name stands for: a file was made, renamed or removed.
    Name(&'a Path),
    /// A write in place, by its number since the file was last synced.
    Write(&'a Path, usize),
}

impl MemoryStorage {
    /// An empty file system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy as a power cut would leave it: each file that durably has its name keeps its
    /// synced bytes and at most the first `torn_bytes` of what followed them.
    #[must_use]
    pub fn after_power_cut(&self, torn_bytes: usize) -> Self {
        let mut files = BTreeMap::new();
        for (path, content) in &self.tree.lock().durable {
            let content = content.lock();
            let bytes = match &content.placed {
                Some(placed) => placed.durable.clone(),
                None => content.kept(torn_bytes),
            };
            files.insert(path.clone(), Arc::new(Mutex::new(Content::durable(bytes))));
        }
        Self::of(Tree { live: files.clone(), durable: files })
    }

    /// A copy as a power cut may leave it that comes after some of what is not synced has reached
    /// the disk: that for which `keep` answers true, in any order. Files that are appended to keep
    /// their synced bytes.
    #[must_use]
    pub fn after_power_cut_keeping(&self, mut keep: impl FnMut(Unsynced<'_>) -> bool) -> Self {
        let tree = self.tree.lock();
        let mut files = BTreeMap::new();
        let paths: BTreeSet<&PathBuf> = tree.live.keys().chain(tree.durable.keys()).collect();
        for path in paths {
            let (live, durable) = (tree.live.get(path), tree.durable.get(path));
            let unsynced = live.map(Arc::as_ptr) != durable.map(Arc::as_ptr);
            let kept = if unsynced && keep(Unsynced::Name(path)) { live } else { durable };
            let Some(content) = kept else { continue };
            let content = content.lock();
            let bytes = match &content.placed {
                Some(placed) => {
                    let mut bytes = placed.durable.clone();
                    let kept = |(at, _): &(usize, &Change)| keep(Unsynced::Write(path, *at));
                    let changes = placed.unsynced.iter().enumerate().filter(kept);
                    changes.for_each(|(_, change)| change.apply(&mut bytes));
                    bytes
                }
                None => content.kept(0),
            };
            files.insert(path.clone(), Arc::new(Mutex::new(Content::durable(bytes))));
        }
        Self::of(Tree { live: files.clone(), durable: files })
    }

    /// A copy as a killed process would leave it: everything written is there, and what was not
    /// durable still is not.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let tree = self.tree.lock();
        // A file under two names stays one file.
        let mut copies = HashMap::new();
        let mut copy = |files: &BTreeMap<PathBuf, Arc<Mutex<Content>>>| {
            let copied = files.iter().map(|(path, content)| {
                let copy = copies
                    .entry(Arc::as_ptr(content))
                    .or_insert_with(|| Arc::new(Mutex::new(content.lock().clone())));
                (path.clone(), Arc::clone(copy))
            });
            copied.collect()
        };
        let (live, durable) = (copy(&tree.live), copy(&tree.durable));
        Self::of(Tree { live, durable })
    }

    /// Whether syncs of files fail from now on. The system tells of a failed sync once: it takes
    /// what was to be written for written, so that a later sync goes well, and a power cut finds
    /// zeros there.
    pub fn fail_syncs(&self, failing: bool) {
        self.syncs.failing.store(failing, Ordering::SeqCst);
    }

    /// How many times anything was synced so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs.count.load(Ordering::SeqCst)
    }

    /// Calls `before` ahead of every sync with the number of syncs so far: the moment when a
    /// power cut takes the most.
    pub fn before_each_sync(&self, before: impl FnMut(u64) + Send + 'static) {
        *self.syncs.before.lock() = Some(Box::new(before));
    }

    /// Paths of all files, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.tree.lock().live.keys().cloned().collect()
    }

    /// Gives up what is written in place and not durable, as a system does whose disk failed: it is
    /// read as before, and no later sync writes it, unless it is written again.
    pub fn give_up_writes(&self) {
        self.tree.lock().live.values().for_each(|content| content.lock().give_up());
    }

    /// Changes the bytes of a file behind the engine's back, as a failing disk would.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let tree = self.tree.lock();
        let content = tree.live.get(path).expect("the file to damage exists");
        let mut content = content.lock();
        change(&mut content.bytes);
        *content = Content::durable(std::mem::take(&mut content.bytes));
    }

    fn of(tree: Tree) -> Self {
        Self { tree: Arc::new(Mutex::new(tree)), ..Self::default() }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        self.tree.lock().live.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for MemoryStorage {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let content = Arc::<Mutex<Content>>::default();
        self.tree.lock().live.insert(path.to_path_buf(), Arc::clone(&content));
        Ok(Arc::new(MemoryFile { content, syncs: Arc::clone(&self.syncs) }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let content = self.file(path)?;
        Ok(Arc::new(MemoryFile { content, syncs: Arc::clone(&self.syncs) }))
    }

    fn read(&self, path: &Path) -> io::Result<FileBytes> {
        Ok(FileBytes::owned(self.file(path)?.lock().bytes.clone()))
    }

    fn len_bytes(&self, path: &Path) -> io::Result<u64> {
        Ok(self.file(path)?.lock().bytes.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let live = &mut self.tree.lock().live;
        let content = live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        live.insert(to.to_path_buf(), content);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let live = &mut self.tree.lock().live;
        let content = Arc::clone(live.get(from).ok_or(io::ErrorKind::NotFound)?);
        if live.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        live.insert(to.to_path_buf(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.tree.lock().live.remove(path);
        removed.map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let tree = self.tree.lock();
        let names = tree.live.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        let tree = self.tree.lock();
        let below = tree.live.keys().filter_map(|path| path.parent()?.strip_prefix(dir).ok());
        let names: BTreeSet<&str> = below.filter_map(|path| path.iter().next()?.to_str()).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.syncs.begin();
        let tree = &mut *self.tree.lock();
        tree.durable.retain(|path, _| path.parent() != Some(dir) || tree.live.contains_key(path));
        for (path, content) in tree.live.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            tree.durable.insert(path.clone(), Arc::clone(content));
        }
        self.syncs.end();
        Ok(())
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        if !self.locked.lock().insert(dir.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock { dir: dir.to_path_buf(), locked: Arc::clone(&self.locked) }))
    }

    /// Nobody else is there to lock a file against.
    fn open_in_place(
        &self,
        path: &Path,
        access: Access,
        _lock: FileLock,
    ) -> io::Result<Box<dyn InPlaceFile>> {
        let content = match access {
            Access::Read | Access::Write => self.file(path)?,
            Access::CreateNew => {
                let live = &mut self.tree.lock().live;
                if live.contains_key(path) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Arc::clone(live.entry(path.to_path_buf()).or_default())
            }
        };
        if access != Access::Read {
            content.lock().place();
        }
        let file = MemoryFile { content, syncs: Arc::clone(&self.syncs) };
        Ok(Box::new(PlacedFile { file, access }))
    }

    fn create_dirs(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    /// A folder is there as long as a file is in it.
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        match self.tree.lock().live.keys().any(|path| path.starts_with(dir)) {
            true => Err(io::ErrorKind::DirectoryNotEmpty.into()),
            false => Ok(()),
        }
    }

    fn walk(
        &self,
        root: &Path,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        for path in self.paths() {
            if let Ok(path) = path.strip_prefix(root)
                && visit(Walked::File(path)).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn canonical(&self, dir: &Path) -> PathBuf {
        dir.to_path_buf()
    }

    fn sync_filesystem(&self, _dir: &Path) -> io::Result<()> {
        self.syncs.begin();
        let tree = &mut *self.tree.lock();
        tree.live.values().for_each(|content| content.lock().sync());
        tree.durable = tree.live.clone();
        self.syncs.end();
        Ok(())
    }

    fn file_system(&self, _dir: &Path) -> io::Result<u64> {
        Ok(0)
    }

    fn copy_permissions(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryLock {
    dir: PathBuf,
    locked: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.locked.lock().remove(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_takes_unsynced_bytes_and_names() {
        let storage = MemoryStorage::new();
        let (kept, lost) = (Path::new("/d/kept"), Path::new("/d/lost"));
        let file = storage.create(kept).unwrap();
        file.append(b"safe").unwrap();
        file.sync().unwrap();
        storage.sync_dir(Path::new("/d")).unwrap();
        file.append(b"torn").unwrap();
        storage.create(lost).unwrap().sync().unwrap();

        let after = storage.after_power_cut(2);
        assert_eq!(&*after.read(kept).unwrap(), b"safeto");
        assert_eq!(after.read(lost).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(&*storage.after_kill().read(kept).unwrap(), b"safetorn");
    }

    #[test]
    fn what_a_failed_sync_dropped_is_zeros_after_a_cut_though_the_next_one_goes_well() {
        let storage = MemoryStorage::new();
        let path = Path::new("/d/file");
        let file = storage.create(path).unwrap();
        storage.sync_dir(Path::new("/d")).unwrap();
        file.append(b"kept").unwrap();
        file.sync().unwrap();
        file.append(b"lost").unwrap();
        storage.fail_syncs(true);
        file.sync().unwrap_err();
        storage.fail_syncs(false);
        file.append(b"more").unwrap();
        file.sync().unwrap();
        let bytes = |storage: &MemoryStorage| storage.read(path).unwrap().to_vec();
        assert_eq!(bytes(&storage), b"keptlostmore");
        assert_eq!(bytes(&storage.after_power_cut(0)), b"kept\0\0\0\0more");
        file.truncate(6).unwrap();
        file.append(b"!").unwrap();
        file.sync().unwrap();
        assert_eq!(bytes(&storage.after_power_cut(0)), b"kept\0\0!");
    }

    #[test]
    fn a_rename_is_durable_after_the_folder_is_synced() {
        let storage = MemoryStorage::new();
        let (old, new) = (Path::new("/d/old"), Path::new("/d/new"));
        storage.create(old).unwrap();
        storage.sync_dir(Path::new("/d")).unwrap();
        storage.rename(old, new).unwrap();
        assert_eq!(storage.after_power_cut(0).paths(), [old]);
        storage.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(storage.after_power_cut(0).paths(), [new]);
    }

    #[test]
    fn each_write_in_place_may_be_lost_until_it_is_synced() {
        let storage = MemoryStorage::new();
        let path = Path::new("/d/file");
        let open = |access| storage.open_in_place(path, access, FileLock::None);
        let file = open(Access::CreateNew).unwrap();
        file.set_len(6).unwrap();
        file.write_at(0, b"abc").unwrap();
        assert!(storage.after_power_cut(9).paths().is_empty());
        storage.sync_filesystem(Path::new("/")).unwrap();
        file.write_at(2, b"X").unwrap();
        file.write_at(5, b"Y").unwrap();

        let mut out = [0; 6];
        open(Access::Read).unwrap().read_at(0, &mut out).unwrap();
        assert_eq!(&out, b"abX\0\0Y");
        let error = open(Access::Read).unwrap().write_at(0, b"Z").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let bytes = |storage: &MemoryStorage| storage.read(path).unwrap().to_vec();
        assert_eq!(bytes(&storage.after_power_cut(9)), b"abc\0\0\0");
        let second = |unsynced: Unsynced<'_>| unsynced == Unsynced::Write(path, 1);
        assert_eq!(bytes(&storage.after_power_cut_keeping(second)), b"abc\0\0Y");
        assert_eq!(bytes(&storage.after_kill()), b"abX\0\0Y");
        file.sync().unwrap();
        assert_eq!(bytes(&storage.after_power_cut(0)), b"abX\0\0Y");

        let other = Path::new("/d/other");
        storage.rename(path, other).unwrap();
        let new = |unsynced: Unsynced<'_>| unsynced == Unsynced::Name(other);
        assert_eq!(storage.after_power_cut_keeping(new).paths(), [path, other]);
        assert_eq!(storage.after_power_cut_keeping(|_| true).paths(), [other]);
    }
}

//! Files in memory that know which of their bytes a power cut would leave.
//!
//! A file's bytes become durable by its `sync`; its being there under a name, or no longer being
//! there, becomes durable by `sync_dir` of its folder. [`MemoryStorage::after_power_cut`] gives
//! the storage that a machine would find when it comes up again.

use super::{FileBytes, Storage, StorageFile};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    synced_bytes: usize,
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
            let kept = content.bytes.len().min(content.synced_bytes.saturating_add(torn_bytes));
            let bytes = content.bytes[..kept].to_vec();
            let content = Content { synced_bytes: bytes.len(), bytes };
            files.insert(path.clone(), Arc::new(Mutex::new(content)));
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

    /// Changes the bytes of a file behind the engine's back, as a failing disk would.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let tree = self.tree.lock();
        let content = tree.live.get(path).expect("the file to damage exists");
        let mut content = content.lock();
        change(&mut content.bytes);
        content.synced_bytes = content.bytes.len();
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

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let live = &mut self.tree.lock().live;
        let content = live.remove(from).ok_or(io::ErrorKind::NotFound)?;
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

#[derive(Debug)]
struct MemoryFile {
    content: Arc<Mutex<Content>>,
    syncs: Arc<Syncs>,
}

impl StorageFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.content.lock().bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.begin();
        let content = &mut *self.content.lock();
        content.synced_bytes = content.bytes.len();
        self.syncs.end();
        Ok(())
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        let content = &mut *self.content.lock();
        content.bytes.truncate(usize::try_from(len_bytes).unwrap_or(usize::MAX));
        content.synced_bytes = content.synced_bytes.min(content.bytes.len());
        Ok(())
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
}

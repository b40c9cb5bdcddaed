//! Files on the machine's disk.

use super::{Access, FileBytes, FileLock, InPlaceFile, Readable, Storage, StorageFile, Walked};
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs::{self, DirEntry, File, FileType, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often a lock is tried that somebody holds.
const LOCK_TRIES: usize = 20;
/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Bytes that are read at a time to see whether they can be.
const CHECK_BYTES: usize = 32 << 10;

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskStorage;

impl Storage for DiskStorage {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        // Removed rather than truncated: a reader may still have the old file mapped.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(DiskFile(OpenOptions::new().append(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<FileBytes> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(FileBytes::owned(Vec::new()));
        }
        Ok(FileBytes::mapped(map(&file)?, Arc::new(file)))
    }

    fn len_bytes(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        list(dir, |kind| kind.is_file())
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        list(dir, |kind| kind.is_dir())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dir(parent)?;
        }
        match fs::create_dir(dir) {
            Err(error) if !dir.is_dir() => Err(error),
            // What is synced in a folder is lost when the folder's own name is.
            _ => self.sync_dir(parent.unwrap_or(Path::new("."))),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let path = dir.join("LOCK");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = match opened {
            // To read, that is enough; and where nobody can make the file nobody holds it.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                match File::open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(Box::new(()));
                    }
                    opened => opened?,
                }
            }
            opened => opened?,
        };
        file.try_lock().map_err(io::Error::from)?;
        Ok(Box::new(file))
    }

    fn open_in_place(
        &self,
        path: &Path,
        access: Access,
        lock: FileLock,
    ) -> io::Result<Box<dyn InPlaceFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read).create_new(access == Access::CreateNew);
        let file = open_placed(&mut options, path)?;
        match (lock, access) {
            (FileLock::None, _) => {}
            (FileLock::Flock, Access::Read) => lock_soon(|| file.try_lock_shared())?,
            (FileLock::Flock, Access::Write | Access::CreateNew) => lock_soon(|| file.try_lock())?,
        }
        Ok(Box::new(PlacedFile(file)))
    }

    fn canonical(&self, dir: &Path) -> PathBuf {
        fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf())
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn walk(
        &self,
        root: &Path,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        fs::read_dir(root)?;
        let _ = Walk::new(root)?.run(visit);
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn sync_filesystem(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(dir)?)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_filesystem(&self, _dir: &Path) -> io::Result<()> {
        rustix::fs::sync();
        Ok(())
    }

    fn file_system(&self, dir: &Path) -> io::Result<u64> {
        Ok(fs::metadata(dir)?.dev())
    }

    fn copy_permissions(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, now) = (fs::metadata(from)?, fs::metadata(to)?);
        // Before the mode, of which a change of owners takes a part away. Only root may give a file
        // to another user, and others to their own groups.
        if from.uid() != now.uid() {
            _ = chown(to, Some(from.uid()), None);
        }
        if from.gid() != now.gid() {
            _ = chown(to, None, Some(from.gid()));
        }
        fs::set_permissions(to, from.permissions())
    }
}

/// Names in a folder of what is of a kind.
fn list(dir: &Path, is_wanted: impl Fn(FileType) -> bool) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_wanted(entry.file_type()?)
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Takes a lock by `take`. Who reads or writes a whisper file holds it for a moment; who holds it
/// longer is not waited for.
fn lock_soon(take: impl Fn() -> Result<(), TryLockError>) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match take() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
    let reason = "another program has it locked";
    Err(io::Error::new(io::ErrorKind::WouldBlock, reason))
}

/// Opens a file without letting reads change its time of access, which would write its inode at
/// the first read after every write. That is for the owner of a file alone.
fn open_placed(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Or opening a pipe of that name would wait for its other end.
    let flags = OFlags::NONBLOCK;
    #[cfg(target_os = "linux")]
    match options.custom_flags((flags | OFlags::NOATIME).bits().cast_signed()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        opened => return opened,
    }
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

/// A walk over all files below a folder, by a list of folders that are still to be read.
#[derive(Debug)]
struct Walk<'a> {
    root: &'a Path,
    /// `root` without links.
    real_root: PathBuf,
    /// Folders to be read, relative to `root`.
    pending: Vec<PathBuf>,
    /// Folders outside of `root` that links have led to, without links: none lies in another, so
    /// that a walk ends whatever the links.
    linked: BTreeSet<PathBuf>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path) -> io::Result<Self> {
        let real_root = fs::canonicalize(root)?;
        Ok(Self { root, real_root, pending: vec![PathBuf::new()], linked: BTreeSet::new() })
    }

    fn run(mut self, visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        while let Some(dir) = self.pending.pop() {
            let entries = match fs::read_dir(self.root.join(&dir)) {
                Ok(entries) => entries,
                Err(error) => {
                    unreadable(&dir, error, visit)?;
                    continue;
                }
            };
            for entry in entries {
                match entry {
                    Ok(entry) => self.entry(&dir, &entry, visit)?,
                    Err(error) => unreadable(&dir, error, visit)?,
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn entry(
        &mut self,
        dir: &Path,
        entry: &DirEntry,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let path = dir.join(entry.file_name());
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => return unreadable(&path, error, visit),
        };
        if kind.is_dir() {
            self.pending.push(path);
        } else if kind.is_file() {
            return visit(Walked::File(&path));
        } else if kind.is_symlink() {
            return match fs::metadata(self.root.join(&path)) {
                Ok(target) if target.is_file() => visit(Walked::File(&path)),
                Ok(target) if target.is_dir() => self.link(path, visit),
                Ok(_) => ControlFlow::Continue(()),
                Err(error) => unreadable(&path, error, visit),
            };
        }
        ControlFlow::Continue(())
    }

    /// Takes on the folder that a link leads to, unless the walk comes by it anyway.
    fn link(
        &mut self,
        path: PathBuf,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let target = match fs::canonicalize(self.root.join(&path)) {
            Ok(target) => target,
            Err(error) => return unreadable(&path, error, visit),
        };
        let overlaps = |other: &PathBuf| target.starts_with(other) || other.starts_with(&target);
        if !overlaps(&self.real_root) && !self.linked.iter().any(overlaps) {
            self.linked.insert(target);
            self.pending.push(path);
        }
        ControlFlow::Continue(())
    }
}

fn unreadable(
    path: &Path,
    error: io::Error,
    visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match error.kind() {
        io::ErrorKind::NotFound => ControlFlow::Continue(()),
        _ => visit(Walked::Unreadable(path, error)),
    }
}

#[derive(Debug)]
struct PlacedFile(File);

impl InPlaceFile for PlacedFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }

    fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, len_bytes) {
            // Not every file system can.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            allocated => return Ok(allocated?),
        }
        static ZEROS: [u8; 65_536] = [0; 65_536];
        let mut offset = self.len_bytes()?;
        while offset < len_bytes {
            let len = (len_bytes - offset).min(ZEROS.len() as u64);
            self.0.write_all_at(&ZEROS[..len as usize], offset)?;
            offset += len;
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn reread(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed)?;
        Ok(())
    }

    fn file_system(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.dev())
    }
}

#[derive(Debug)]
struct DiskFile(File);

impl StorageFile for DiskFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }
}

impl Readable for File {
    fn check(&self, range: Range<usize>) -> io::Result<()> {
        let mut piece = [0; CHECK_BYTES];
        let mut at = range.start;
        while at < range.end {
            let len = CHECK_BYTES.min(range.end - at);
            self.read_exact_at(&mut piece[..len], at as u64)?;
            at += len;
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "mapping a file is the one unsafe act of the storage")]
fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: a map is sound as long as nobody changes or shortens the file under it. `read` is
    // called for finished files only, which the engine never writes again: it replaces them by
    // rename and removes them by unlink, both of which leave the mapped inode as it is. The
    // folder is locked, so no second engine does otherwise.
    unsafe { memmap2::Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn files_below(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let visit = &mut |walked: Walked<'_>| {
            match walked {
                Walked::File(path) => found.push(path.to_str().unwrap().to_owned()),
                Walked::Unreadable(path, error) => panic!("{}: {error}", path.display()),
            }
            ControlFlow::Continue(())
        };
        DiskStorage.walk(root, visit).unwrap();
        found.sort();
        found
    }

    #[test]
    fn a_walk_follows_links_out_once_and_ends() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, outside) = (root.path(), outside.path());
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(outside.join("c")).unwrap();
        for file in ["top", "a/b/deep"] {
            fs::write(root.join(file), "").unwrap();
        }
        fs::write(outside.join("c/far"), "").unwrap();
        symlink(root, root.join("a/loop")).unwrap();
        symlink("/", root.join("all")).unwrap();
        symlink(root.join("a"), root.join("again")).unwrap();
        symlink(outside, root.join("a/out")).unwrap();
        symlink(outside.join("c"), root.join("a/b/inner")).unwrap();
        symlink(outside, outside.join("c/loop")).unwrap();
        symlink(root.join("nowhere"), root.join("broken")).unwrap();
        symlink(outside.join("c/far"), root.join("file")).unwrap();
        let found = files_below(root);
        // One of the two ways out comes first.
        let far = found.iter().filter(|path| path.ends_with("far")).count();
        assert_eq!(far, 1, "{found:?}");
        let rest: Vec<_> = found.iter().filter(|path| !path.ends_with("far")).collect();
        assert_eq!(rest, ["a/b/deep", "file", "top"]);
        let gone = root.join("gone");
        let visit = &mut |_: Walked<'_>| ControlFlow::Continue(());
        assert_eq!(DiskStorage.walk(&gone, visit).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_walk_stops_when_it_is_told() {
        let root = tempfile::tempdir().unwrap();
        for file in ["a", "b", "c"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        let mut visits = 0;
        let visit = &mut |_: Walked<'_>| {
            visits += 1;
            ControlFlow::Break(())
        };
        DiskStorage.walk(root.path(), visit).unwrap();
        assert_eq!(visits, 1);
    }

    #[test]
    fn files_are_read_and_written_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let open = |access| DiskStorage.open_in_place(&path, access, FileLock::Flock);
        assert_eq!(open(Access::Write).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = open(Access::CreateNew).unwrap();
        file.allocate(70_000).unwrap();
        file.write_at(69_998, b"ab").unwrap();
        file.sync().unwrap();
        drop(file);
        assert_eq!(open(Access::CreateNew).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let file = open(Access::Read).unwrap();
        let mut out = [1; 3];
        file.read_at(69_997, &mut out).unwrap();
        assert_eq!((out, file.len_bytes().unwrap()), ([0, b'a', b'b'], 70_000));
        assert_eq!(
            file.read_at(69_998, &mut out).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        file.write_at(0, b"x").unwrap_err();
        drop(file);
        open(Access::Write).unwrap().set_len(2).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [0, 0]);
        DiskStorage.sync_filesystem(dir.path()).unwrap();
        let error = DiskStorage.remove_dir(dir.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
    }

    #[test]
    fn bytes_are_asked_for_before_they_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![7; 3 * CHECK_BYTES + 1]).unwrap();
        let bytes = DiskStorage.read(&path).unwrap();
        for range in [0..bytes.len(), 5..5, bytes.len() - 1..bytes.len(), 1..CHECK_BYTES + 2] {
            bytes.check_readable(range).unwrap();
        }
        // Shortened under the map, which whoever looks at it would not survive.
        fs::File::options().write(true).open(&path).unwrap().set_len(CHECK_BYTES as u64).unwrap();
        bytes.check_readable(0..CHECK_BYTES).unwrap();
        bytes.check_readable(CHECK_BYTES - 1..CHECK_BYTES + 1).unwrap_err();
    }
}

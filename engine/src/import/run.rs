//! Many files of a folder, read by several threads, committed by one.
//!
//! What was imported before is seen by what the blocks hold and left alone, so an interrupted run
//! is resumed by running it again. A file is only moved or removed when its points are durable.

use super::differs::{Differs, differs};
use super::folder::{Folder, Names, OldFile};
use super::{ImportError, ImportSeries, Importer};
use crate::clock::monotonic;
use crate::inner::Inner;
use crate::job::{JobEvent, JobFile};
use crate::options::WhisperOptions;
use crate::series::SeriesId;
use crate::whisper_dir::{FileKind, Limiter};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Longest sleep of a reader that waits for its turn, so that stopping does not wait long.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Longest time between two commits: what a kill in between costs is done again.
const COMMIT_EVERY: Duration = Duration::from_secs(30);

/// Which files are imported, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// Folder of whisper files, standard and compressed ones mixed.
    pub from: PathBuf,
    /// Files read at a time.
    pub jobs: usize,
    /// Files read in a second at most; zero is no limit.
    pub files_per_second: u32,
    /// Read and encode, and write nothing.
    pub dry_run: bool,
    /// Whether tagged series have the hash of their name as the name of their file.
    pub hash_filenames: bool,
    /// How a node of these files kept them: points that it left in its log when it was killed are
    /// written to them first, as it would. Folder, names, rates, walks and migration are those
    /// of the import instead.
    pub node: WhisperOptions,
    /// What becomes of a file that is imported.
    pub after: AfterImport,
}

impl ImportOptions {
    /// All files of a folder, which stay where they are.
    #[must_use]
    pub fn new(from: impl Into<PathBuf>) -> Self {
        let from = from.into();
        Self {
            node: WhisperOptions::new(&from),
            from,
            jobs: 1,
            files_per_second: 0,
            dry_run: false,
            hash_filenames: true,
            after: AfterImport::Keep,
        }
    }
}

/// What becomes of a file that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterImport {
    /// It stays.
    Keep,
    /// It is moved into this folder, under the same path.
    MoveTo(PathBuf),
    /// It is removed.
    Remove,
}

/// What an import tells as it goes on.
pub type ImportEvent = JobEvent<ImportOutcome, ImportError>;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// Its points are in blocks, durably.
    Imported,
    /// They would be, were this no dry run.
    WouldImport,
    /// They were before.
    Held,
}

/// What is told of a file beside what became of it.
#[derive(Debug, Default)]
struct Told {
    points: u64,
    /// Points so old that blocks do not keep them.
    too_old: u64,
    /// How it is unlike the rules, if it is.
    differs: Option<Differs>,
}

/// What a reader made of a file.
enum Ready {
    /// It is to be imported; with the series that has its name, unless there was none.
    Series(ImportSeries, Option<SeriesId>, Told),
    /// All of its points are there already.
    Held(Told),
    /// Somebody took it away, or deleted its series.
    Gone,
}

type Read = (usize, Result<Ready, ImportError>);

/// See [`Db::import_folder`](crate::Db::import_folder).
pub(crate) fn run(
    inner: &Inner,
    folder: &Folder,
    options: &ImportOptions,
    each: &mut dyn FnMut(ImportEvent) -> ControlFlow<()>,
) -> Result<(), ImportError> {
    let unlisted = |source| ImportError::Io { path: folder.root().to_path_buf(), source };
    let Names { names, unreadable } = folder.names(&inner.index).map_err(unlisted)?;
    if each(JobEvent::Files(names.len() + unreadable.len())).is_break() {
        return Ok(());
    }
    for (path, source) in unreadable {
        let outcome = Err(ImportError::Io { path: path.clone(), source });
        let file =
            JobFile { path, name: Vec::new(), points: 0, too_old: 0, differs: None, outcome };
        if each(JobEvent::File(file)).is_break() {
            return Ok(());
        }
    }
    let limiter = Limiter::new(options.files_per_second, monotonic());
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let reader = Reader { inner, folder, names: &names, next: &next, stopped: &stopped };
    std::thread::scope(|scope| {
        let jobs = options.jobs.clamp(1, names.len().max(1));
        let (results, received) = sync_channel(jobs);
        for _ in 0..jobs {
            let (results, limiter) = (results.clone(), &limiter);
            scope.spawn(move || reader.read_files(limiter, &results));
        }
        drop(results);
        let mut committer = Committer {
            importer: Importer::of(inner),
            folder,
            options,
            each,
            done: Vec::new(),
            committed: monotonic(),
        };
        let outcome = committer.take(&names, &received);
        stopped.store(true, Ordering::Relaxed);
        drop(received);
        outcome
    })
}

/// A thread that reads files.
#[derive(Clone, Copy)]
struct Reader<'a> {
    inner: &'a Inner,
    folder: &'a Folder,
    names: &'a [Vec<u8>],
    next: &'a AtomicUsize,
    stopped: &'a AtomicBool,
}

impl Reader<'_> {
    fn read_files(self, limiter: &Limiter, results: &SyncSender<Read>) {
        let is_stopped = || self.stopped.load(Ordering::Relaxed);
        loop {
            while let Err(wait) = limiter.take(monotonic()) {
                if is_stopped() {
                    return;
                }
                std::thread::sleep(wait.min(PAUSE_MAX));
            }
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = self.names.get(at).filter(|_| !is_stopped()) else { return };
            // Nobody receives any more after an error.
            if results.send((at, self.read(name))).is_err() {
                return;
            }
        }
    }

    fn read(self, name: &[u8]) -> Result<Ready, ImportError> {
        // Before the file is read: who deletes the series removes the file first.
        let id = self.inner.spelled_series(name);
        let now_s = self.inner.options.clock.now_s();
        let policy = self.inner.policy_of_name(name);
        let reach_s = policy.as_ref().map_or(0, |policy| policy.reach_s());
        let Some(file) = self.folder.file(name, now_s, reach_s)? else { return Ok(Ready::Gone) };
        let OldFile { info, series, too_old } = file;
        if info.kind == FileKind::CompressedMix {
            return Err(ImportError::Mixed);
        }
        let differs = policy.and_then(|policy| differs(&info, &policy));
        let told = Told { points: series.points(), too_old, differs };
        let held = super::holds(self.inner, &series);
        Ok(if held { Ready::Held(told) } else { Ready::Series(series, id, told) })
    }
}

/// Gathers what was read, commits it now and then, and tells what became of it.
struct Committer<'a, 'b> {
    importer: Importer<'a>,
    folder: &'a Folder,
    options: &'a ImportOptions,
    each: &'b mut dyn FnMut(ImportEvent) -> ControlFlow<()>,
    /// Files since the last commit, with their series.
    done: Vec<(Vec<u8>, SeriesId, Told)>,
    /// When that was.
    committed: Instant,
}

impl Committer<'_, '_> {
    fn take(&mut self, names: &[Vec<u8>], received: &Receiver<Read>) -> Result<(), ImportError> {
        for (at, read) in received {
            if self.take_one(&names[at], read)?.is_break() {
                break;
            }
        }
        // What was read before somebody asked to stop counts.
        self.commit().map(|_| ())
    }

    fn take_one(
        &mut self,
        name: &[u8],
        read: Result<Ready, ImportError>,
    ) -> Result<ControlFlow<()>, ImportError> {
        let (told, outcome) = match read {
            Ok(Ready::Gone) => return Ok(ControlFlow::Continue(())),
            Ok(Ready::Held(told)) => {
                let finished = self.finish(name, &told);
                (told, finished.map(|()| ImportOutcome::Held))
            }
            Ok(Ready::Series(_, _, told)) if self.options.dry_run => {
                let finished = self.finish(name, &told);
                (told, finished.map(|()| ImportOutcome::WouldImport))
            }
            Ok(Ready::Series(series, id, told)) => {
                let added = match id {
                    Some(id) => Ok(self.importer.add_to(id, series).then_some(id)),
                    None => self.importer.add(series).map(Some),
                };
                match added {
                    Ok(None) => return Ok(ControlFlow::Continue(())),
                    Ok(Some(id)) => {
                        self.done.push((name.to_vec(), id, told));
                        let since = monotonic().duration_since(self.committed);
                        if self.importer.is_full() || since >= COMMIT_EVERY {
                            return self.commit();
                        }
                        return Ok((self.each)(JobEvent::Read));
                    }
                    Err(error) if error.is_of_one_file() => (told, Err(error)),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => (Told::default(), Err(error)),
        };
        Ok(self.tell(name, told, outcome))
    }

    fn commit(&mut self) -> Result<ControlFlow<()>, ImportError> {
        let deleted: HashSet<SeriesId> = self.importer.commit()?.into_iter().collect();
        self.committed = monotonic();
        let mut flow = ControlFlow::Continue(());
        for (name, id, told) in std::mem::take(&mut self.done) {
            let outcome = match deleted.contains(&id) {
                true => Err(ImportError::Deleted),
                false => self.finish(&name, &told).map(|()| ImportOutcome::Imported),
            };
            if self.tell(&name, told, outcome).is_break() {
                flow = ControlFlow::Break(());
            }
        }
        Ok(flow)
    }

    /// Does with a file whose points are durable what is to be done with it.
    fn finish(&self, name: &[u8], told: &Told) -> Result<(), ImportError> {
        let cut = told.differs.as_ref().filter(|differs| differs.is_cut);
        match (&self.options.after, cut) {
            (AfterImport::Remove, Some(cut)) => Err(ImportError::Cut(cut.text.clone())),
            _ if self.options.dry_run => Ok(()),
            (AfterImport::Keep, _) => Ok(()),
            (AfterImport::MoveTo(folder), _) => self.folder.move_out(name, folder),
            (AfterImport::Remove, None) => self.folder.remove(name).map_err(ImportError::file),
        }
    }

    fn tell(
        &mut self,
        name: &[u8],
        Told { points, too_old, differs }: Told,
        outcome: Result<ImportOutcome, ImportError>,
    ) -> ControlFlow<()> {
        let path = self.folder.path(name);
        let differs = differs.map(|differs| differs.text);
        let file = JobFile { path, name: name.to_vec(), points, too_old, differs, outcome };
        (self.each)(JobEvent::File(file))
    }
}

/// Where files go that were moved from `folder` and nobody said otherwise: beside it.
#[must_use]
pub fn moved_folder(folder: &Path) -> PathBuf {
    // Without a slash at the end, which would make it a folder inside.
    let mut name = folder.components().as_path().as_os_str().to_owned();
    name.push(".moved");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_files_do_not_stay_inside() {
        for folder in ["/data/whisper", "/data/whisper/", "/data/whisper/."] {
            assert_eq!(moved_folder(Path::new(folder)), Path::new("/data/whisper.moved"));
        }
    }
}

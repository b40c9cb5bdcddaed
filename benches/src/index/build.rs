//! Live and sealed index: how long they take to build, and how many bytes a name.

use super::Names;
use crate::error::{BenchError, Trying};
use crate::process::{Process, cpu_of};
use crate::report::Report;
use silverback_engine::clock::monotonic;
use silverback_engine::index::{Index, SealedIndex, Sealing};
use silverback_engine::storage::{DiskStorage, Storage};
use silverback_engine::{SeriesId, index::LiveIndex};
use silverback_formats::index::PushError;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Names in memory of an index that was sealed a while ago: one in so many.
const LIVE_SHARE: usize = 20;

/// Enters all names into an empty live index, by so many threads at once.
pub(super) fn live(names: &Names, threads: usize, report: &mut Report) -> Result<(), BenchError> {
    let before = anonymous_bytes()?;
    let index = LiveIndex::new();
    let started = monotonic();
    let ((), cpu) = cpu_of(|| {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let index = &index;
                scope.spawn(move || {
                    // In runs, as senders have them.
                    const RUN: usize = 256;
                    for run in (thread * RUN..names.len()).step_by(threads * RUN) {
                        for (name, id) in names.of(run..(run + RUN).min(names.len())) {
                            index.insert(name, id);
                        }
                    }
                });
            }
        });
    })?;
    let rate = names.len() as f64 / started.elapsed().as_secs_f64();
    report.add("live", format!("insert rate, {threads} threads"), "names/s", rate);
    report.add("live", format!("insert cpu, {threads} threads"), "us/name", micros(cpu, names));
    if threads == 1 {
        let bytes = index.memory_bytes() as f64;
        report.add("live", "memory, as allocated", "B/name", bytes / names.len() as f64);
        let resident = (anonymous_bytes()? - before).max(0.0);
        report.add("live", "memory, resident", "B/name", resident / names.len() as f64);
        let removed = names.len() / 10;
        let ((), cpu) = cpu_of(|| {
            (0..removed).for_each(|id| _ = index.remove(SeriesId(id as u32)));
        })?;
        report.add("live", "remove, cpu", "us/name", cpu.as_secs_f64() * 1e6 / removed as f64);
    }
    Ok(())
}

/// All names in a file.
pub(super) fn sealed(
    names: &Names,
    folder: &Path,
    report: &mut Report,
) -> Result<Index, BenchError> {
    let index = Index::new();
    names.of(0..names.len()).for_each(|(name, id)| _ = index.insert(name, id));
    let sealing = index.begin_seal(SeriesId(names.len() as u32));
    let path = folder.join("all.index");
    let cost = write(&sealing, &path)?;
    report.add("sealed", "build cpu", "s", cost.cpu.as_secs_f64());
    drop((sealing, index));

    let before = monotonic();
    let base = open(&path)?;
    report.add("sealed", "open", "ms", before.elapsed().as_secs_f64() * 1e3);
    let all = base.len_bytes() as f64 / names.len() as f64;
    report.add("sealed", "file, with id maps", "B/name", all);
    report.add("sealed", "file, to find with", "B/name", all - 8.0);
    Ok(Index::over(base, SeriesId(names.len() as u32)))
}

/// Most names in a file, and the last ones in memory.
pub(super) fn mixed(
    names: &Names,
    folder: &Path,
    report: &mut Report,
) -> Result<Index, BenchError> {
    let from = names.len() - names.len() / LIVE_SHARE;
    let index = Index::new();
    names.of(0..from).for_each(|(name, id)| _ = index.insert(name, id));
    let first = SeriesId(from as u32);
    let path = folder.join("most.index");
    write(&index.begin_seal(first), &path)?;
    let index = Index::over(open(&path)?, first);
    let before = index.memory_bytes();
    let ((), cpu) = cpu_of(|| {
        names.of(from..names.len()).for_each(|(name, id)| _ = index.insert(name, id));
    })?;
    let (bytes, new) = ((index.memory_bytes() - before) as f64, (names.len() - from) as f64);
    report.add("mixed", "memory of new names", "B/name", bytes / new);
    report.add("mixed", "insert cpu", "us/name", cpu.as_secs_f64() * 1e6 / new);
    let (found, cpu) = cpu_of(|| {
        let step = (names.len() / 200_000).max(1);
        let sample = (0..names.len()).step_by(step).map(|at| names.get(at));
        sample.filter(|&(name, id)| index.lookup(name) == Some(id)).count()
    })?;
    report.add("mixed", "name to id, cpu", "us/name", cpu.as_secs_f64() * 1e6 / found as f64);
    Ok(index)
}

/// Makes a new file of the old one and the names in memory, and puts it in their place.
pub(super) fn merge(index: &Index, folder: &Path, report: &mut Report) -> Result<(), BenchError> {
    let sealing = index.begin_seal(SeriesId(u32::MAX));
    let path = folder.join("merged.index");
    let cost = write(&sealing, &path)?;
    index.finish_seal(open(&path)?);
    report.add("merge", "cpu", "s", cost.cpu.as_secs_f64());
    report.add("merge", "memory, most", "MB", cost.memory_bytes / 1e6);
    Ok(())
}

struct Cost {
    cpu: Duration,
    /// Anonymous memory beyond what there was before, at its most.
    memory_bytes: f64,
}

/// Writes a sealed index, synced.
fn write(sealing: &Sealing, path: &Path) -> Result<Cost, BenchError> {
    let before = anonymous_bytes()?;
    let is_done = AtomicBool::new(false);
    let (written, most_bytes) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = before;
            while !is_done.load(Ordering::Relaxed) {
                most = anonymous_bytes().unwrap_or(most).max(most);
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        let written = cpu_of(|| {
            let mut file = std::fs::File::create(path)?;
            sealing.write(&mut |bytes| Ok::<(), WriteError>(file.write_all(bytes)?))?;
            Ok::<(), WriteError>(file.sync_all()?)
        });
        is_done.store(true, Ordering::Relaxed);
        (written, watch.join().unwrap_or(before))
    });
    let (written, cpu) = written?;
    written.map_err(|WriteError(error)| error).trying(path.display().to_string())?;
    Ok(Cost { cpu, memory_bytes: most_bytes - before })
}

struct WriteError(std::io::Error);

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        Self(error)
    }
}

impl From<PushError> for WriteError {
    fn from(error: PushError) -> Self {
        Self(std::io::Error::other(error))
    }
}

fn open(path: &Path) -> Result<SealedIndex, BenchError> {
    let bytes = DiskStorage.read(path).trying(path.display().to_string())?;
    let opened = SealedIndex::open(bytes).map_err(std::io::Error::other);
    opened.trying(PathBuf::from(path).display().to_string())
}

fn anonymous_bytes() -> Result<f64, BenchError> {
    Ok(Process::new(std::process::id()).memory()?.anonymous_bytes)
}

fn micros(cpu: Duration, names: &Names) -> f64 {
    cpu.as_secs_f64() * 1e6 / names.len() as f64
}

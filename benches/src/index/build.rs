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
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Names in memory of an index that was sealed a while ago: one in so many.
const LIVE_SHARE: usize = 20;
/// Names that come one after the other, as those of a few hosts do.
const RUN: usize = 1000;

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
    let (written, cpu) = cpu_of(|| write(&sealing, &path))?;
    written?;
    report.add("sealed", "build cpu", "s", cpu.as_secs_f64());
    drop((sealing, index));

    let before = monotonic();
    let base = open(&path)?;
    report.add("sealed", "open", "ms", before.elapsed().as_secs_f64() * 1e3);
    let all = base.len_bytes() as f64 / names.len() as f64;
    report.add("sealed", "file, with id maps", "B/name", all);
    report.add("sealed", "file, to find with", "B/name", all - 8.0);
    Ok(Index::over(base, SeriesId(names.len() as u32)))
}

/// Most names in a file, and some hosts of every kind in memory.
pub(super) fn mixed(
    names: &Names,
    folder: &Path,
    report: &mut Report,
) -> Result<Index, BenchError> {
    let runs = || (0..names.len()).step_by(RUN).map(|from| from..(from + RUN).min(names.len()));
    let of = |is_new: bool| {
        let runs = runs().enumerate().filter(move |(run, _)| (run % LIVE_SHARE == 1) == is_new);
        runs.flat_map(|(_, run)| names.of(run)).map(|(name, _)| name)
    };
    let index = Index::new();
    of(false).zip((0..).map(SeriesId)).for_each(|(name, id)| _ = index.insert(name, id));
    let first = SeriesId(index.len() as u32);
    let path = folder.join("most.index");
    write(&index.begin_seal(first), &path)?;
    let index = Index::over(open(&path)?, first);
    let before = index.memory_bytes();
    let ((), cpu) = cpu_of(|| {
        of(true).zip((first.0..).map(SeriesId)).for_each(|(name, id)| _ = index.insert(name, id));
    })?;
    let new = (names.len() - first.0 as usize) as f64;
    report.add(
        "mixed",
        "memory of new names",
        "B/name",
        (index.memory_bytes() - before) as f64 / new,
    );
    report.add("mixed", "insert cpu", "us/name", cpu.as_secs_f64() * 1e6 / new);
    let (found, cpu) = cpu_of(|| {
        let step = (names.len() / 200_000).max(1);
        let sample = (0..names.len()).step_by(step).map(|at| names.get(at).0);
        sample.filter(|name| index.lookup(name).is_some()).count()
    })?;
    report.add("mixed", "name to id, cpu", "us/name", cpu.as_secs_f64() * 1e6 / found as f64);
    Ok(index)
}

/// Makes a new file of the mixed index's in a process of its own, and says what that takes.
pub(super) fn merge(folder: &Path, report: &mut Report) -> Result<(), BenchError> {
    let (old, new) = (folder.join("most.index"), folder.join("merged.index"));
    let mut program = Command::new(std::env::current_exe().trying("path of this program")?);
    let mut child = program.arg("merge").args([&old, &new]).spawn().trying("start of a merge")?;
    let process = Process::new(child.id());
    let (mut most_bytes, mut cpu) = (0.0, Duration::ZERO);
    while child.try_wait().trying("end of a merge")?.is_none() {
        if let (Ok(memory), Ok(used)) = (process.memory(), process.cpu()) {
            most_bytes = memory.anonymous_bytes.max(most_bytes);
            cpu = used.total.max(cpu);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    report.add("merge", "cpu", "s", cpu.as_secs_f64());
    report.add("merge", "memory, most", "MB", most_bytes / 1e6);
    Ok(())
}

/// Writes the names of one file into another.
pub(crate) fn merge_files(old: &Path, new: &Path) -> Result<(), BenchError> {
    let index = Index::over(open(old)?, SeriesId(0));
    write(&index.begin_seal(SeriesId(u32::MAX)), new)
}

/// Writes a sealed index, synced.
pub(super) fn write(sealing: &Sealing, path: &Path) -> Result<(), BenchError> {
    let write = || {
        let mut file = std::fs::File::create(path)?;
        sealing.write(&mut |bytes| Ok::<(), WriteError>(file.write_all(bytes)?))?;
        Ok::<(), WriteError>(file.sync_all()?)
    };
    write().map_err(|WriteError(error)| error).trying(path.display().to_string())
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

pub(super) fn open(path: &Path) -> Result<SealedIndex, BenchError> {
    let bytes = DiskStorage.read(path).trying(path.display().to_string())?;
    let opened = SealedIndex::open(bytes).map_err(std::io::Error::other);
    opened.trying(path.display().to_string())
}

fn anonymous_bytes() -> Result<f64, BenchError> {
    Ok(Process::new(std::process::id()).memory()?.anonymous_bytes)
}

fn micros(cpu: Duration, names: &Names) -> f64 {
    cpu.as_secs_f64() * 1e6 / names.len() as f64
}

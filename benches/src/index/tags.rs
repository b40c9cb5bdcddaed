//! Names with tags, made up: what they cost in memory and in files, how soon questions about tags
//! are answered after a start, and how long they take.
//!
//! Hosts have 50 metrics each, and every name has five tags: host, data centre, rack, role, and
//! who pays for it. So there are values that a fiftieth of a thousandth has, and values that half
//! of all have.

use super::build;
use crate::error::{BenchError, Trying};
use crate::node::Home;
use crate::process::{Process, cpu_of, temporary_folder, thread_cpu_of};
use crate::report::Report;
use silverback_engine::clock::monotonic;
use silverback_engine::index::{Index, TagFile};
use silverback_engine::storage::{DiskStorage, Storage};
use silverback_engine::{
    Completion, Db, FindError, FindLimits, Point, SeriesId, TagFilter, TagTest,
};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Metrics of a host.
const METRICS: usize = 50;
/// Questions of each kind.
const QUESTIONS: usize = 100;
/// Points of a batch.
const BATCH_POINTS: usize = 1024;

/// A name with its tags in canonical order.
fn name(at: usize) -> String {
    let (host, metric) = (at / METRICS, at % METRICS);
    let (dc, rack, role) = (host % 7, host % 389, ["web", "db", "queue", "cache"][host * 31 % 4]);
    let team = if host.is_multiple_of(2) { "platform" } else { "product" };
    format!(
        "app.metric{metric:02};dc=dc{dc};host={role}{host:07};rack=r{rack:03};role={role};team={team}"
    )
}

pub(super) fn run(series: usize, report: &mut Report) -> Result<(), BenchError> {
    let folder = temporary_folder()?;
    let end = SeriesId(series as u32);
    let before = anonymous_bytes()?;
    let index = Index::new();
    let started = monotonic();
    let ((), cpu) = cpu_of(|| {
        (0..series).for_each(|at| _ = index.insert(name(at).as_bytes(), SeriesId(at as u32)));
    })?;
    let per_name = |bytes: f64| bytes / series as f64;
    let rate = series as f64 / started.elapsed().as_secs_f64();
    report.add("tags, live", "insert rate", "names/s", rate);
    report.add("tags, live", "insert cpu", "us/name", per_name(cpu.as_secs_f64() * 1e6));
    let bytes = per_name(index.memory_bytes() as f64);
    report.add("tags, live", "memory, as allocated", "B/name", bytes);
    let resident = per_name((anonymous_bytes()? - before).max(0.0));
    report.add("tags, live", "memory, resident", "B/name", resident);
    questions("tags, live", &index, series, report)?;

    let (names, tags) = (folder.path().join("all.index"), folder.path().join("all.tags"));
    let sealing = index.begin_seal(end);
    build::write(&sealing, &names)?;
    let mark = silverback_formats::tags::mark_of(build::open(&names)?.bytes());
    let write = || {
        let mut file = std::fs::File::create(&tags)?;
        let written = sealing.write_tags(mark, &mut |bytes| file.write_all(bytes));
        written.map_err(|error| std::io::Error::other(format!("{error:?}")))?;
        file.sync_all()
    };
    let (written, cpu) = cpu_of(write)?;
    written.trying(tags.display().to_string())?;
    report.add("tags, sealed", "build cpu", "s", cpu.as_secs_f64());
    drop((sealing, index));

    let before = anonymous_bytes()?;
    let started = monotonic();
    let index = open(&names, &tags, end, report)?;
    ask_first("open and first answer", started, &index, report)?;
    questions("tags, sealed", &index, series, report)?;
    let resident = per_name((anonymous_bytes()? - before).max(0.0));
    report.add("tags, sealed", "memory, resident", "B/name", resident);
    drop(index);
    let started = monotonic();
    let index = Index::over(build::open(&names)?, end);
    ask_first("open and first answer, without the file", started, &index, report)?;
    drop(index);
    restart(series, folder.path(), report)
}

fn open(
    names: &Path,
    tags: &Path,
    end: SeriesId,
    report: &mut Report,
) -> Result<Index, BenchError> {
    let base = build::open(names)?;
    let what = || tags.display().to_string();
    let started = monotonic();
    let file = TagFile::open(tags, DiskStorage.read(tags).trying(what())?, base.bytes());
    let file = file.map_err(std::io::Error::other).trying(what())?;
    report.add("tags, sealed", "open", "ms", started.elapsed().as_secs_f64() * 1e3);
    let bytes = file.len_bytes() as f64 / f64::from(end.0);
    report.add("tags, sealed", "file of tags", "B/name", bytes);
    Ok(Index::over(base.with_tags(file), end))
}

fn ask_first(
    measure: &str,
    started: Instant,
    index: &Index,
    report: &mut Report,
) -> Result<(), BenchError> {
    let filters = [is(b"host", b"web0000000")];
    index.tagged_series(&filters, &FindLimits::default())?;
    report.add("tags, sealed", measure, "ms", started.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn is<'a>(tag: &'a [u8], value: &'a [u8]) -> TagFilter<'a> {
    TagFilter { tag, test: TagTest::Is(value) }
}

fn begins<'a>(tag: &'a [u8], prefix: &'a str) -> TagFilter<'a> {
    TagFilter { tag, test: TagTest::Passes(Box::new(|v| v.starts_with(prefix.as_bytes()))) }
}

/// Questions of each kind: how many they find, and how long that takes.
fn questions(
    subject: &str,
    index: &Index,
    series: usize,
    report: &mut Report,
) -> Result<(), BenchError> {
    let hosts = series.div_ceil(METRICS);
    let tags_of = |question: usize| {
        let name = name(question * hosts / QUESTIONS * METRICS + question % METRICS);
        let mut parts: Vec<String> = name.split(';').map(str::to_owned).collect();
        parts
            .iter_mut()
            .skip(1)
            .for_each(|tag| *tag = tag.split_once('=').expect("a tag").1.into());
        parts
    };
    let limits = FindLimits::default();
    let find = |filters: &[TagFilter<'_>]| Ok(index.tagged_series(filters, &limits)?.len());
    let complete = |prefix: &str, filters: &[TagFilter<'_>]| {
        let completion = Completion { prefix: prefix.as_bytes(), most: 100 };
        Ok(index.tag_values(b"host", filters, completion, &limits)?.len())
    };
    let mut add = |kind: &str, unit: &str, ask: Question<'_>| {
        measure(subject, kind, unit, report, &mut |question| ask(&tags_of(question)))
    };
    add("one host", "series", &|tags| find(&[is(b"host", tags[2].as_bytes())]))?;
    add("metric in a rack", "series", &|tags| {
        find(&[is(b"name", tags[0].as_bytes()), is(b"rack", tags[3].as_bytes())])
    })?;
    add("metric in a rack, not that role", "series", &|tags| {
        let not = TagFilter { tag: b"role", test: TagTest::IsNot(tags[4].as_bytes()) };
        find(&[is(b"name", tags[0].as_bytes()), is(b"rack", tags[3].as_bytes()), not])
    })?;
    add("regular expression", "series", &|tags| {
        find(&[is(b"name", tags[0].as_bytes()), begins(b"host", &tags[2][..tags[2].len() - 3])])
    })?;
    add("tags", "tags", &|_| Ok(index.tags(&[], Completion::ALL, &limits)?.len()))?;
    add("values that begin with", "values", &|tags| complete(&tags[2][..tags[2].len() - 3], &[]))?;
    add("values that begin with, in a rack", "values", &|tags| {
        complete(&tags[4], &[is(b"rack", tags[3].as_bytes())])
    })
}

/// Asks something about tags and values like these of a name; how many were found.
type Question<'a> = &'a dyn Fn(&[String]) -> Result<usize, FindError>;

fn measure(
    subject: &str,
    kind: &str,
    unit: &str,
    report: &mut Report,
    ask: &mut dyn FnMut(usize) -> Result<usize, FindError>,
) -> Result<(), BenchError> {
    let (mut found, mut took_us) = (0, Vec::with_capacity(QUESTIONS));
    for question in 0..QUESTIONS {
        let (answer, cpu) = thread_cpu_of(|| ask(question))?;
        found += answer?;
        took_us.push(cpu.as_secs_f64() * 1e6);
    }
    took_us.sort_by(f64::total_cmp);
    let at = |share: f64| took_us[((took_us.len() - 1) as f64 * share).round() as usize];
    report.add(subject, format!("{kind}: {unit}"), "", found as f64);
    report.add(subject, format!("{kind}: p50"), "us", at(0.5));
    report.add(subject, format!("{kind}: p99"), "us", at(0.99));
    Ok(())
}

/// A database with a series of each name, opened again and asked.
fn restart(series: usize, folder: &Path, report: &mut Report) -> Result<(), BenchError> {
    let home = Home::new(folder, "1s")?;
    let db = home.open()?;
    append(&db, series)?;
    db.seal()?;
    db.seal_index()?;
    drop(db);
    let before = anonymous_bytes()?;
    let started = monotonic();
    let db = home.open()?;
    let found = db.tagged_series(&[is(b"host", b"web0000000")], &FindLimits::default())?.len();
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    report.add("tags, database", "from open to the first answer", "ms", took_ms);
    report.add("tags, database", "series of the first answer", "", found as f64);
    let resident = (anonymous_bytes()? - before).max(0.0) / 1e6;
    report.add("tags, database", "memory after it, resident", "MB", resident);
    Ok(())
}

fn append(db: &Db, series: usize) -> Result<(), BenchError> {
    let now_s = db.now_s();
    for from in (0..series).step_by(BATCH_POINTS) {
        let names: Vec<String> = (from..(from + BATCH_POINTS).min(series)).map(name).collect();
        let point = |name| Point { name, time_s: now_s, value: 1.0 };
        let points: Vec<Point<'_>> = names.iter().map(|name| point(name.as_bytes())).collect();
        db.append(&points)?;
    }
    Ok(())
}

fn anonymous_bytes() -> Result<f64, BenchError> {
    Ok(Process::new(std::process::id()).memory()?.anonymous_bytes)
}

//! A database with a series of each name, opened again: most of them in the file of the index,
//! the last half million in the logs alone. By this process, and by a server that is asked as
//! soon as it listens.

use super::{Names, beside};
use crate::error::{BenchError, Trying};
use crate::http;
use crate::node::{Home, Node};
use crate::process::cpu_of;
use crate::report::Report;
use silverback_engine::clock::monotonic;
use silverback_engine::{Db, Dialect, FindLimits, Point};
use std::path::Path;

/// Series that are in the logs alone.
const UNSEALED: usize = 500_000;
/// Points of a batch.
const BATCH_POINTS: usize = 1024;

pub(super) fn run(names: &Names, folder: &Path, report: &mut Report) -> Result<(), BenchError> {
    let folder = folder.join("blocks");
    std::fs::create_dir(&folder).trying(folder.display().to_string())?;
    let home = Home::new(&folder, "1s")?;
    let sealed = names.len() - UNSEALED.min(names.len() / 2);
    let db = home.open()?;
    let now_s = db.now_s();
    let (created, cpu) = cpu_of(|| append(&db, names, 0..sealed, now_s - 60))?;
    created?;
    let micros = |cpu: std::time::Duration, series: usize| cpu.as_secs_f64() * 1e6 / series as f64;
    report.add("database", "create a series, cpu", "us/series", micros(cpu, sealed));
    db.seal()?;
    db.seal_index()?;
    append(&db, names, sealed..names.len(), now_s - 60)?;
    drop(db);

    let started = monotonic();
    let (db, cpu) = cpu_of(|| home.open())?;
    let db = db?;
    report.add("database", "open, cpu", "s", cpu.as_secs_f64());
    let found = db.find(b"*", Dialect::Carbon, &FindLimits::default())?.len();
    report.add("database", "from open to the first answer", "s", started.elapsed().as_secs_f64());
    report.add("database", "nodes of the first answer", "", found as f64);
    // What came last goes into blocks, and its names into the log of series, as time does it.
    db.seal()?;
    drop(db);
    first_answers("server, blocks", &home, names, report)?;

    let db = home.open()?;
    let (appended, cpu) = cpu_of(|| append(&db, names, 0..sealed, now_s))?;
    appended?;
    report.add("database", "first point after a start, cpu", "us/series", micros(cpu, sealed));
    let (appended, cpu) = cpu_of(|| append(&db, names, 0..sealed, now_s))?;
    appended?;
    report.add("database", "further points, cpu", "us/series", micros(cpu, sealed));
    let some = 0..sealed.min(beside::SERIES);
    beside::ingest(&db, |db| append(db, names, some.clone(), now_s), some.len(), report)
}

/// Starts a server and asks it at once: what lies at the top, and for a name in the middle.
pub(super) fn first_answers(
    subject: &str,
    home: &Home,
    names: &Names,
    report: &mut Report,
) -> Result<(), BenchError> {
    let started = monotonic();
    let node = Node::start(home)?;
    report.add(subject, "from its start until it listens", "s", started.elapsed().as_secs_f64());
    let top = http::get(node.api, "/metrics/find/?query=*&format=json")?;
    report.add(subject, "from its start to the first answer", "s", started.elapsed().as_secs_f64());
    report.add(subject, "nodes of the first answer", "", top.matches("\"path\"").count() as f64);
    let plain = |name: &&[u8]| name.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b));
    let middle = names.of(names.len() / 2..names.len()).map(|(name, _)| name).find(plain);
    if let Some(middle) = middle {
        let query = String::from_utf8_lossy(middle);
        http::get(node.api, &format!("/metrics/find/?query={query}&format=json"))?;
        let took_s = started.elapsed().as_secs_f64();
        report.add(subject, "from its start to the second answer", "s", took_s);
    }
    Ok(())
}

/// A point of each series.
fn append(
    db: &Db,
    names: &Names,
    range: std::ops::Range<usize>,
    time_s: i64,
) -> Result<(), BenchError> {
    let mut batch = Vec::with_capacity(BATCH_POINTS);
    let (mut at, end) = (range.start, range.end);
    while at < end {
        let next = (at + BATCH_POINTS).min(end);
        batch.clear();
        let points = names.of(at..next);
        batch.extend(points.map(|(name, _)| Point { name, time_s, value: 1.0 }));
        db.append(&batch)?;
        at = next;
    }
    Ok(())
}

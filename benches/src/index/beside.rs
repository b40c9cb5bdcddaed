//! Inserts, and points, by one thread: alone, and while another finds everything five levels deep.

use crate::error::BenchError;
use crate::process::thread_cpu_of;
use crate::report::Report;
use silverback_engine::clock::monotonic;
use silverback_engine::index::{Index, Pattern};
use silverback_engine::{Db, Dialect, FindLimits, SeriesId};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Series that points are stored for.
pub(super) const SERIES: usize = 1_000_000;
/// Turns of points alone and beside.
const TURNS: usize = 5;
/// Names that are inserted at a time: hosts of so many names.
const INSERTS: usize = 100_000;
const NAMES_A_HOST: usize = 200;
/// Touches every directory of five levels.
const HEAVIEST: &[u8] = b"*.*.*.*.*";

/// Enters names that are not there yet under ids from `first` on.
pub(super) fn run(index: &Index, first: usize, report: &mut Report) -> Result<(), BenchError> {
    let pattern = Pattern::compile(HEAVIEST, Dialect::Carbon)?;
    let alone = insert(index, first)?;
    let find = || {
        let visit = &mut |_: &[u8], _| ControlFlow::Continue(());
        index.walk(&pattern, &FindLimits::default(), visit).is_ok()
    };
    let (beside, finds) = beside(find, || insert(index, first + INSERTS));
    for (measure, Inserts { cpu, p99 }) in [("alone", alone), ("beside the heaviest find", beside?)]
    {
        let each_us = cpu.as_secs_f64() * 1e6 / INSERTS as f64;
        report.add("insert", format!("{measure}: cpu"), "us/name", each_us);
        report.add("insert", format!("{measure}: p99"), "us", p99.as_secs_f64() * 1e6);
    }
    report.add("insert", "finds beside", "", finds as f64);
    Ok(())
}

/// Stores so many points of known series by `append`, by turns alone and beside finds.
pub(super) fn ingest(
    db: &Db,
    append: impl Fn(&Db) -> Result<(), BenchError>,
    points: usize,
    report: &mut Report,
) -> Result<(), BenchError> {
    let measured = || -> Result<(f64, f64), BenchError> {
        let started = monotonic();
        let (appended, cpu) = thread_cpu_of(|| append(db))?;
        appended?;
        let each = 1e6 / points as f64;
        Ok((started.elapsed().as_secs_f64() * each, cpu.as_secs_f64() * each))
    };
    let find = || db.find(HEAVIEST, Dialect::Carbon, &FindLimits::default()).is_ok();
    for _ in 0..TURNS {
        let alone = measured()?;
        let (beside, finds) = beside(find, measured);
        for (measure, (took_us, cpu_us)) in
            [("alone", alone), ("beside the heaviest find", beside?)]
        {
            report.add("points", measure, "us/point", took_us);
            report.add("points", format!("{measure}: cpu"), "us/point", cpu_us);
        }
        report.add("points", "finds beside", "", finds as f64);
    }
    Ok(())
}

/// Does some work while another thread finds, again and again, and says how often it was done with
/// that.
fn beside<T>(find: impl Fn() -> bool + Sync, work: impl FnOnce() -> T) -> (T, usize) {
    let (is_done, finds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                if find() {
                    finds.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let done = work();
        is_done.store(true, Ordering::Relaxed);
        done
    });
    (done, finds.into_inner())
}

struct Inserts {
    cpu: Duration,
    p99: Duration,
}

fn insert(index: &Index, first: usize) -> Result<Inserts, BenchError> {
    let names: Vec<String> = (first..first + INSERTS)
        .map(|at| format!("beside.host{}.cpu.{}.user", at / NAMES_A_HOST, at % NAMES_A_HOST))
        .collect();
    let mut took = Vec::with_capacity(INSERTS);
    let ((), cpu) = thread_cpu_of(|| {
        for (name, id) in names.iter().zip(first..) {
            let before = monotonic();
            index.insert(name.as_bytes(), SeriesId(id as u32));
            took.push(before.elapsed());
        }
    })?;
    took.sort_unstable();
    Ok(Inserts { cpu, p99: took[INSERTS * 99 / 100] })
}

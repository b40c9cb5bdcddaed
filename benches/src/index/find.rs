//! Patterns, by class: how many nodes they find, and how long that takes.

use crate::error::{BenchError, Trying};
use crate::process::thread_cpu_of;
use crate::report::Report;
use silverback_engine::index::{Index, Pattern};
use silverback_engine::{Dialect, FindError, FindLimits};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Times that each pattern is found; the fastest counts.
const TIMES: usize = 3;

/// Patterns by class.
pub(super) struct Queries(BTreeMap<String, Vec<String>>);

impl Queries {
    pub(super) fn read(path: &Path) -> Result<Self, BenchError> {
        let text = std::fs::read_to_string(path).trying(path.display().to_string())?;
        let mut classes = BTreeMap::<String, Vec<String>>::new();
        for line in text.lines() {
            let mut fields = line.split('\t');
            if let (Some(class), Some(pattern)) = (fields.next(), fields.next()) {
                classes.entry(class.to_owned()).or_default().push(pattern.to_owned());
            }
        }
        Ok(Self(classes))
    }
}

/// Finds every pattern and reports each class.
pub(super) fn run(
    subject: &str,
    index: &Index,
    queries: &Queries,
    report: &mut Report,
) -> Result<(), BenchError> {
    let (mut nodes, mut all_us, mut all_count_us) = (0, 0.0, 0.0);
    for (class, patterns) in &queries.0 {
        let (mut found, mut took_us) = (0, Vec::new());
        for pattern in patterns {
            let answer = fastest(|| {
                let pattern = Pattern::compile(pattern.as_bytes(), Dialect::Carbon)?;
                Ok(index.find(&pattern, &FindLimits::default())?.len())
            })?;
            let count = fastest(|| {
                let pattern = Pattern::compile(pattern.as_bytes(), Dialect::Carbon)?;
                let mut found = 0;
                index.walk(&pattern, &FindLimits::default(), &mut |_, _| {
                    found += 1;
                    ControlFlow::Continue(())
                })?;
                Ok(found)
            })?;
            found += answer.0;
            took_us.push(answer.1);
            all_count_us += count.1;
        }
        took_us.sort_by(f64::total_cmp);
        let at = |share: f64| took_us[((took_us.len() - 1) as f64 * share).round() as usize];
        report.add(subject, format!("{class}: nodes"), "", found as f64);
        report.add(subject, format!("{class}: p50"), "us", at(0.5));
        report.add(subject, format!("{class}: p99"), "us", at(0.99));
        report.add(subject, format!("{class}: max"), "us", at(1.0));
        nodes += found;
        all_us += took_us.iter().sum::<f64>();
    }
    report.add(subject, "all: nodes", "", nodes as f64);
    report.add(subject, "all: sorted list of paths, cpu", "ms", all_us / 1e3);
    report.add(subject, "all: visited one by one, cpu", "ms", all_count_us / 1e3);
    Ok(())
}

/// What `find` answers, and the processor time of the fastest of several tries in microseconds.
fn fastest(find: impl Fn() -> Result<usize, FindError>) -> Result<(usize, f64), BenchError> {
    let mut best = (0, f64::INFINITY);
    for _ in 0..TIMES {
        let (found, cpu) = thread_cpu_of(&find)?;
        best = (found?, best.1.min(cpu.as_secs_f64() * 1e6));
    }
    Ok(best)
}

//! Reports of work that the engine does on many files: a line a file, progress, totals.

use super::jobs::{Jobs, Progress};
use super::whisper::CommandError;
use serde_json::json;
use silverback_engine::{JobEvent, JobFile};
use std::fmt::Display;
use std::io::{self, Write};
use std::ops::ControlFlow;

/// What became of a file, to be counted and told.
pub(crate) trait Outcome: Copy {
    /// Its name in JSON.
    fn name(self) -> &'static str;

    /// Whether something was done, or would be, and not long ago.
    fn is_done(self) -> bool;
}

/// Files by what became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) done: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    pub(crate) points: u64,
    /// Points that no archive reaches back to.
    pub(crate) too_old: u64,
    /// Files that are not as the rules have them.
    pub(crate) differing: u64,
}

/// Takes what the engine tells.
pub(crate) struct Report<'a> {
    jobs: &'a Jobs,
    out: &'a mut dyn Write,
    progress: Progress,
    totals: Totals,
    /// Files that were read, of which nothing else was told yet.
    read: usize,
    /// Nobody reads what is printed any more.
    broken: Option<io::Error>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(jobs: &'a Jobs, out: &'a mut dyn Write) -> Self {
        let (progress, totals) = (jobs.progress(0), Totals::default());
        Self { jobs, out, progress, totals, read: 0, broken: None }
    }

    /// Takes one event; breaks when nobody listens.
    pub(crate) fn take<O: Outcome, E: Display>(
        &mut self,
        event: JobEvent<O, E>,
    ) -> ControlFlow<()> {
        match event {
            JobEvent::Note(text) => {
                // Nobody is left to be told when the terminal is gone.
                let _ = writeln!(io::stderr(), "{text}");
                ControlFlow::Continue(())
            }
            JobEvent::Files(files) => {
                self.progress = self.jobs.progress(files);
                ControlFlow::Continue(())
            }
            JobEvent::Read => {
                self.read += 1;
                self.progress.read();
                ControlFlow::Continue(())
            }
            JobEvent::File(file) => match self.file(file) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    self.broken = Some(error);
                    ControlFlow::Break(())
                }
            },
        }
    }

    fn file<O: Outcome, E: Display>(&mut self, file: JobFile<O, E>) -> io::Result<()> {
        let JobFile { path, name, points, too_old, differs, outcome } = file;
        if self.read > 0 && outcome.as_ref().is_ok_and(|outcome| outcome.is_done()) {
            self.read -= 1;
            self.progress.finish_read();
        }
        self.progress.advance(points);
        match &outcome {
            Ok(outcome) if outcome.is_done() => {
                self.totals.done += 1;
                self.totals.points += points;
            }
            Ok(_) => self.totals.skipped += 1,
            Err(_) => self.totals.failed += 1,
        }
        self.totals.too_old += too_old;
        self.totals.differing += u64::from(differs.is_some());
        let series = String::from_utf8_lossy(&name);
        match outcome {
            Ok(outcome) if self.jobs.json => {
                let status = outcome.name();
                let mut line = json!({
                    "path": path.to_string_lossy(), "series": series,
                    "status": status, "points": points,
                });
                if too_old > 0 {
                    line["tooOld"] = too_old.into();
                }
                if let Some(differs) = differs {
                    line["differs"] = differs.into();
                }
                writeln!(self.out, "{line}")
            }
            Err(error) if self.jobs.json => {
                let line = json!({
                    "path": path.to_string_lossy(), "series": series,
                    "status": "failed", "error": error.to_string(),
                });
                writeln!(self.out, "{line}")
            }
            Err(error) => {
                let (path, error) = (path.display().to_string(), error.to_string());
                // Most errors say of which file they are.
                let path = if error.contains(&path) { String::new() } else { path + ": " };
                // Nobody is left to be told when the terminal is gone.
                let _ = writeln!(io::stderr(), "{path}{error}");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Prints the totals, and gives them.
    pub(crate) fn finish(self, done: &str) -> Result<Totals, CommandError> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        let Totals { done: files, skipped, failed, points, too_old, differing } = self.totals;
        if !self.jobs.json {
            writeln!(
                self.out,
                "{done} {files}, skipped {skipped}, failed {failed} files, {points} points"
            )?;
            if differing > 0 {
                writeln!(
                    self.out,
                    "{differing} files differ from the rules, which their series follow from \
                     now on: --json says how"
                )?;
            }
            if too_old > 0 {
                writeln!(
                    self.out,
                    "{too_old} points are older than the rules keep any: see --now"
                )?;
            }
        }
        Ok(self.totals)
    }
}

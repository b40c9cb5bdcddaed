//! What is wrong with the slots of a file, as far as slots can show it.
//!
//! Slots have no checksum. But a writer only ever puts an interval of the archive into the one
//! slot that is its own, so anything else was damaged, or written by one that ran over the end
//! of another archive.

use std::io;

use super::ring::Ring;
use super::{FileBytes, Whisper};

/// A slot that no writer leaves so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSlot {
    /// Its number in the archive.
    pub slot: u64,
    /// The time that it has, Unix seconds.
    pub time_s: u32,
}

/// What the slots of one archive show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveReport {
    /// Slots that were ever written.
    pub written: u64,
    /// Slots whose time is no multiple of the step, or belongs elsewhere.
    pub bad: u64,
    /// The first of them.
    pub first_bad: Option<BadSlot>,
    /// Time of the newest slot in its right place, Unix seconds.
    pub newest_s: Option<u32>,
}

impl<F: FileBytes> Whisper<F> {
    /// Looks at every slot of every archive.
    ///
    /// # Errors
    /// When reading fails.
    pub fn verify(&self) -> io::Result<Vec<ArchiveReport>> {
        self.header
            .archives
            .iter()
            .map(|&info| report(&self.file, Ring::read(&self.file, info)?))
            .collect()
    }
}

fn report(file: &impl FileBytes, ring: Ring) -> io::Result<ArchiveReport> {
    let mut report = ArchiveReport { written: 0, bad: 0, first_bad: None, newest_s: None };
    ring.visit_slots(file, |slot, point| {
        let time_s = point.time_s;
        if time_s == 0 {
            return;
        }
        report.written += 1;
        if time_s % ring.info().step_s == 0 && ring.slot(time_s.into()) == slot {
            report.newest_s = report.newest_s.max(Some(time_s));
        } else {
            report.bad += 1;
            report.first_bad.get_or_insert(BadSlot { slot, time_s });
        }
    })?;
    Ok(report)
}

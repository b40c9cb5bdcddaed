//! What waits → the log again, so that the segments in which it is can be dropped.
//!
//! As long as samples wait, the log is needed from where they are in it. To write all of them to
//! the log at each seal would cost more than ingest, when many wait; never to do it would keep the
//! whole log for one bad file. So it is done at a seal when the log has grown by twice what waits
//! since it was last done ([`Inner::seal`]): at most half as much again is written as is ingested,
//! and beside what came since the last seal but one the log is about three times what waits.
//!
//! Ingest goes on meanwhile. Samples of a series are replayed in the order of the log, the last of
//! a slot counts, and what the head has of the series came later than what waits and may be in the
//! log before it. So after the samples that wait of some series, what the head has of them is logged
//! once more, for that with the gate held alone: then no newer sample is on its way to the head.
//! That is what came since the last pass, and is done for a few series at a time, so no batch of
//! points waits long. A kill in between leaves the older segments, which count until the seal does.

use super::WhisperStore;
use super::waiting::Waited;
use crate::error::FileError;
use crate::inner::Inner;
use silverback_formats::frame;
use silverback_formats::wal::{KIND_SAMPLES, Row, samples_into};

/// Rows of a frame at most.
const FRAME_ROWS: usize = 2048;
/// Samples that are gathered to be logged by when they were taken.
const ROWS: usize = 1 << 16;
/// Series whose newer samples are logged under one hold of the gate.
const SERIES: usize = 256;

/// Logs all that waits to `segment`, which was just begun, and later ones, durably.
pub(super) fn log(store: &WhisperStore, db: &Inner, segment: u64) -> Result<(), FileError> {
    let mut relog = Relog { store, db, rows: Vec::new(), frame: Vec::new() };
    let mut ids = store.waiting.series();
    if ids.is_empty() {
        return Ok(());
    }
    // As senders repeat them, so that rows are short.
    ids.sort_unstable();
    for ids in ids.chunks(SERIES) {
        ids.iter().try_for_each(|&id| relog.gather(id))?;
        relog.log_gathered()?;
        relog.log_newer(ids)?;
    }
    db.wal.sync_since(segment)
}

struct Relog<'a> {
    store: &'a WhisperStore,
    db: &'a Inner,
    rows: Vec<(u32, Waited)>,
    frame: Vec<u8>,
}

impl Relog<'_> {
    fn gather(&mut self, id: u32) -> Result<(), FileError> {
        let mut next = 0;
        loop {
            let first = self.rows.len();
            let end = next + ROWS - first;
            let all = self.store.waiting.rows_into(id, next..end, &mut self.rows);
            if !self.rows[first..].is_sorted_by_key(|(_, sample)| sample.taken_s) {
                // The clock was set back: these alone, as they came.
                let own = self.rows.split_off(first);
                self.log_gathered()?;
                self.log_rows(&own)?;
            }
            if all < end {
                return Ok(());
            }
            self.log_gathered()?;
            next = end;
        }
    }

    /// Logs what was gathered: that of each series in order of arrival.
    fn log_gathered(&mut self) -> Result<(), FileError> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by_key(|(_, sample)| sample.taken_s);
        self.log_rows(&rows)?;
        rows.clear();
        self.rows = rows;
        Ok(())
    }

    fn log_rows(&mut self, rows: &[(u32, Waited)]) -> Result<(), FileError> {
        let row = |&(id, Waited { time_s, value, .. }): &(u32, Waited)| Row { id, time_s, value };
        for samples in rows.chunk_by(|a, b| a.1.taken_s == b.1.taken_s) {
            let rows: Vec<Row> = samples.iter().map(row).collect();
            append(self.db, &mut self.frame, samples[0].1.taken_s, &rows)?;
        }
        Ok(())
    }

    /// Logs what the head has of series.
    fn log_newer(&mut self, ids: &[u32]) -> Result<(), FileError> {
        let mut rows = Vec::new();
        let _gate = self.db.gate.write();
        for &id in ids {
            for snapshot in self.db.head.read(id) {
                snapshot.visit(|time_s, value| rows.push(Row { id, time_s, value }));
            }
        }
        let taken_s = u32::try_from(self.store.taken_s(self.db)).unwrap_or(0);
        append(self.db, &mut self.frame, taken_s, &rows)
    }
}

fn append(db: &Inner, frame: &mut Vec<u8>, taken_s: u32, rows: &[Row]) -> Result<(), FileError> {
    for rows in rows.chunks(FRAME_ROWS) {
        frame.clear();
        let start = frame::start(KIND_SAMPLES, frame);
        samples_into(taken_s, rows, frame);
        frame::finish(start, frame);
        db.wal.append(frame)?;
    }
    Ok(())
}

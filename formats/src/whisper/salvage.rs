//! A damaged file as it was, without the slots that no writer leaves so.
//!
//! A slot whose time is not its own counts for no reader, but who looks for damage finds it again
//! and again. The first slot is another matter: its time places all others, and with a wrong one
//! none of them is found. Where most slots agree on another, they are right.

use std::collections::HashMap;
use std::fmt;
use std::io;

use super::header::SLOT_LEN;
use super::ring::Ring;
use super::{ArchiveInfo, FileBytes, Whisper};

/// Slots of one archive that are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostSlots {
    /// Step of the archive, seconds.
    pub step_s: u32,
    /// How many.
    pub slots: u64,
    /// Where the first of them begins, bytes.
    pub offset: u64,
}

impl fmt::Display for LostSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step_s, slots, offset } = self;
        write!(f, "{slots} slots of the archive of {step_s} seconds, the first at byte {offset}")
    }
}

impl<F: FileBytes> Whisper<F> {
    /// Empties the slots whose times are not their own, and sets right the first one where it is
    /// the one that is wrong. Says what is lost.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn salvage(&mut self) -> io::Result<Vec<LostSlots>> {
        let mut lost = Vec::new();
        for info in self.header.archives.clone() {
            lost.extend(self.salvage_archive(info)?);
        }
        Ok(lost)
    }

    fn salvage_archive(&mut self, info: ArchiveInfo) -> io::Result<Option<LostSlots>> {
        let mut turns: HashMap<u64, u64> = HashMap::new();
        let place = |slot: u64, time_s: u32| {
            let points = u64::from(info.points);
            let turn = (u64::from(time_s / info.step_s) + points - slot) % points;
            (time_s > 0 && time_s.is_multiple_of(info.step_s)).then_some(turn)
        };
        let ring = Ring::read(&self.file, info)?;
        let mut first_s = 0;
        ring.visit_slots(&self.file, |slot, point| {
            if slot == 0 {
                first_s = point.time_s;
            }
            if let Some(turn) = place(slot, point.time_s) {
                *turns.entry(turn).or_default() += 1;
            }
        })?;
        // Of two that are as many, that of the first slot.
        let best = turns
            .iter()
            .max_by_key(|&(turn, count)| (*count, place(0, first_s) == Some(*turn), *turn));
        let Some((&right, _)) = best else { return Ok(None) };
        let mut bad = Vec::new();
        let mut newest_s = 0;
        ring.visit_slots(&self.file, |slot, point| match place(slot, point.time_s) {
            Some(turn) if turn == right => newest_s = newest_s.max(point.time_s),
            None if point.time_s == 0 && slot > 0 => {}
            _ => bad.push(slot),
        })?;
        for &slot in &bad {
            self.file.write_at(offset(info, slot), &[0; SLOT_LEN as usize])?;
        }
        if bad.first() == Some(&0) {
            self.file.write_at(offset(info, 0), &first_slot(info, right, newest_s))?;
        }
        Ok(bad.first().map(|&first| LostSlots {
            step_s: info.step_s,
            slots: bad.len() as u64,
            offset: offset(info, first),
        }))
    }
}

/// The first slot without a value that anybody asks for: at a time that is its own, a whole turn
/// before the newest point where times reach back so far.
fn first_slot(info: ArchiveInfo, right: u64, newest_s: u32) -> [u8; SLOT_LEN as usize] {
    let newest = u64::from(newest_s / info.step_s);
    let points = u64::from(info.points);
    let back = (newest % points + points - right) % points;
    let interval = newest - back.min(newest);
    let before = interval.checked_sub(points).filter(|&before| before > 0);
    let time_s = before.unwrap_or(interval) * u64::from(info.step_s);
    let mut slot = [0; SLOT_LEN as usize];
    let (time, value) = slot.split_at_mut(4);
    time.copy_from_slice(&u32::try_from(time_s).unwrap_or(newest_s).to_be_bytes());
    value.copy_from_slice(&f64::NAN.to_bits().to_be_bytes());
    slot
}

fn offset(info: ArchiveInfo, slot: u64) -> u64 {
    u64::from(info.offset) + slot * SLOT_LEN
}

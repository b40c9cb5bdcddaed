//! The newest samples of one series: a Gorilla chunk that is still being written.
//!
//! The newest sample is kept raw (`pending`), so that sending a slot again overwrites it; it goes
//! into the Gorilla stream when the next slot comes. Slots are consecutive in nearly every
//! series, so the stream holds values only and gaps are noted aside. What does not fit that order
//! goes to a side list: samples for older slots, for slots far in the future (one wrong clock
//! must not make all that follow look old), and for coarser archives. The list is merged when
//! the series is read or sealed; where list and stream have the same slot, the list is newer.
//!
//! The words of the stream lie in the slab of the shard, so who writes has to bring it, and who
//! reads gets it in a [`ChunkRef`].

use super::slab::{Chain, Slab};
use crate::policies::PolicyId;
use silverback_formats::chunk::{self, Chunk, SlotRuns};
use silverback_formats::gorilla::{Encoder, Paused};
use std::ops::Deref;

/// A sample outside the order of the stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LateSample {
    /// Start of the slot, Unix seconds.
    pub(crate) slot_s: u32,
    /// Which archive of the policy it belongs to.
    pub(crate) archive: u8,
    pub(crate) value: f64,
}

/// The open chunk of one series.
#[derive(Debug)]
pub(crate) struct OpenChunk {
    /// Series id.
    pub(crate) id: u32,
    pub(crate) policy: PolicyId,
    /// Slots from `start_s` to `pending_s`, both included, at most [`chunk::SLOTS_MAX`]; zero
    /// while there is nothing but side samples.
    slots: u16,
    pub(crate) step_s: u32,
    /// Slot of the first value of the stream.
    start_s: u32,
    /// Slot of `pending`; `u32::MAX` while `slots` is zero.
    pending_s: u32,
    pending: f64,
    stream: Paused,
    words: Chain,
    side: Option<Box<Side>>,
}

/// An open chunk, to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkRef<'a> {
    pub(super) chunk: &'a OpenChunk,
    pub(super) slab: &'a Slab,
}

impl Deref for ChunkRef<'_> {
    type Target = OpenChunk;

    fn deref(&self) -> &OpenChunk {
        self.chunk
    }
}

/// What most series never need.
#[derive(Debug)]
struct Side {
    /// Gaps in the stream: values before the gap, and slots in it.
    gaps: Vec<(u16, u16)>,
    late: Vec<LateSample>,
    /// Chunks that reached their limit of slots, encoded, with their first and last slot.
    full: Vec<FullChunk>,
    /// Bytes of the chunks in `full`.
    full_bytes: usize,
    /// Lowest slot in `late` that the stream had not reached when it came, or `u32::MAX`.
    ahead_s: u32,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            gaps: Vec::new(),
            late: Vec::new(),
            full: Vec::new(),
            full_bytes: 0,
            ahead_s: u32::MAX,
        }
    }
}

/// A finished chunk and the slots it spans, both ends included (Unix seconds).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FullChunk {
    pub(crate) first_s: u32,
    pub(crate) last_s: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A copy of what an open chunk holds, to be decoded without its lock.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) policy: PolicyId,
    pub(crate) step_s: u32,
    /// In order of time.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Slot and value of the newest sample in order.
    pub(crate) pending: Option<(u32, f64)>,
    /// In order of arrival; newer than the rest.
    pub(crate) late: Vec<LateSample>,
}

impl Snapshot {
    /// Visits its samples as [`OpenChunk::visit`] does.
    pub(crate) fn visit(&self, mut visit: impl FnMut(u32, f64)) {
        for bytes in &self.chunks {
            visit_chunk(bytes, self.step_s, &mut visit);
        }
        if let Some((slot_s, value)) = self.pending {
            visit(slot_s, value);
        }
        self.late.iter().for_each(|late| visit(late.slot_s, late.value));
    }
}

/// Visits time and value of the samples of a chunk that the head wrote.
fn visit_chunk(bytes: &[u8], step_s: u32, visit: &mut impl FnMut(u32, f64)) {
    let chunk = Chunk::parse(bytes, step_s).expect("the head wrote this chunk");
    let start_s = chunk.header().start_s();
    let visited = chunk.visit(|slot, value| visit(start_s + slot * step_s, value));
    visited.expect("the head wrote this chunk");
}

impl Side {
    /// Drops the sample that came early for the slot `slot_s`: it is older than the one there now.
    fn reached(&mut self, slot_s: u32) {
        self.late.retain(|late| late.archive > 0 || late.slot_s != slot_s);
        let ahead = self.late.iter().filter(|late| late.archive == 0 && late.slot_s > slot_s);
        self.ahead_s = ahead.map(|late| late.slot_s).min().unwrap_or(u32::MAX);
    }
}

impl OpenChunk {
    /// Begins with the sample of slot `slot_s`.
    pub(crate) fn new(id: u32, policy: PolicyId, step_s: u32, slot_s: u32, value: f64) -> Self {
        Self {
            id,
            policy,
            slots: 1,
            step_s,
            start_s: slot_s,
            pending_s: slot_s,
            pending: value,
            stream: Paused::new(),
            words: Chain::new(),
            side: None,
        }
    }

    /// Begins with nothing but samples that lie aside.
    pub(crate) fn aside(id: u32, policy: PolicyId, step_s: u32) -> Self {
        Self { slots: 0, pending_s: u32::MAX, ..Self::new(id, policy, step_s, 0, 0.0) }
    }

    /// Stores a sample of the finest archive in its slot.
    #[inline]
    pub(super) fn push(&mut self, slot_s: u32, value: f64, slab: &mut Slab) {
        if slot_s == self.pending_s && self.slots > 0 {
            self.pending = value;
        } else if slot_s.wrapping_sub(self.pending_s) == self.step_s
            && u32::from(self.slots) < chunk::SLOTS_MAX
        {
            self.push_pending(slab);
            self.slots += 1;
            self.set_pending(slot_s, value);
        } else if slot_s > self.pending_s {
            self.push_after_gap(slot_s, value, slab);
        } else if self.slots == 0 {
            self.slots = 1;
            self.start_s = slot_s;
            self.set_pending(slot_s, value);
        } else {
            self.push_late(LateSample { slot_s, archive: 0, value });
        }
    }

    /// Stores a sample aside: of an older slot, of one far ahead, or of a coarser archive.
    pub(crate) fn push_late(&mut self, sample: LateSample) {
        let LateSample { slot_s, archive, value } = sample;
        if archive == 0 && slot_s == self.pending_s && self.slots > 0 {
            // Of a long slot the end may be far ahead and the begin not.
            self.pending = value;
            return;
        }
        let side = self.side.get_or_insert_default();
        if archive == 0 && (self.slots == 0 || slot_s > self.pending_s) {
            side.ahead_s = side.ahead_s.min(slot_s);
        }
        side.late.push(sample);
    }

    fn set_pending(&mut self, slot_s: u32, value: f64) {
        self.pending_s = slot_s;
        self.pending = value;
        if let Some(side) = &mut self.side
            && slot_s >= side.ahead_s
        {
            side.reached(slot_s);
        }
    }

    /// Moves the newest sample into the stream.
    #[inline]
    fn push_pending(&mut self, slab: &mut Slab) {
        let mut stream = Encoder::resume(slab.end(&mut self.words), self.stream);
        stream.push(self.pending);
        self.stream = stream.pause();
    }

    fn push_after_gap(&mut self, slot_s: u32, value: f64, slab: &mut Slab) {
        let slots = (slot_s - self.pending_s) / self.step_s;
        self.push_pending(slab);
        if slots > chunk::SLOTS_MAX - u32::from(self.slots) {
            self.close(slot_s, slab);
        } else {
            if slots > 1 {
                let values = self.stream.count() as u16;
                let side = self.side.get_or_insert_default();
                side.gaps.push((values, slots as u16 - 1));
            }
            self.slots += slots as u16;
        }
        self.set_pending(slot_s, value);
    }

    /// Puts the stream away as a finished chunk and begins a new one at `start_s`.
    fn close(&mut self, start_s: u32, slab: &mut Slab) {
        let mut bytes = Vec::new();
        self.encode_into(&self.stream(slab), &mut bytes);
        let full = FullChunk { first_s: self.start_s, last_s: self.pending_s, bytes };
        self.stream = Paused::new();
        slab.clear(&mut self.words);
        self.start_s = start_s;
        self.slots = 1;
        let side = self.side.get_or_insert_default();
        side.gaps.clear();
        side.full_bytes += full.bytes.capacity();
        side.full.push(full);
    }

    /// The stream with a copy of its words.
    fn stream(&self, slab: &Slab) -> Encoder {
        Encoder::resume(slab.bytes(&self.words), self.stream)
    }

    /// Takes its words out of the slab: nothing will read them.
    pub(super) fn forget(&mut self, slab: &mut Slab) {
        slab.clear(&mut self.words);
    }

    /// Appends `stream` as a chunk; nothing when it is empty.
    fn encode_into(&self, stream: &Encoder, out: &mut Vec<u8>) {
        if stream.count() == 0 {
            return;
        }
        let gaps = self.side.as_ref().map_or(&[][..], |side| &side.gaps);
        let mut runs = SlotRuns::new();
        let mut slot = 0;
        let mut values = 0;
        for &(before, absent) in gaps {
            runs.push_run(slot, u32::from(before) - values).expect("gaps are in order");
            slot += u32::from(before) - values + u32::from(absent);
            values = u32::from(before);
        }
        if stream.count() > values {
            runs.push_run(slot, stream.count() - values).expect("slots are limited");
        }
        chunk::encode_gorilla(self.start_s, &runs, stream, out);
    }

    /// Bytes of heap it holds besides the words of its stream.
    #[inline]
    pub(crate) fn side_bytes(&self) -> usize {
        self.side.as_ref().map_or(0, |side| {
            size_of::<Side>()
                + side.gaps.capacity() * size_of::<(u16, u16)>()
                + side.late.capacity() * size_of::<LateSample>()
                + side.full.capacity() * size_of::<FullChunk>()
                + side.full_bytes
        })
    }

    /// How many samples it has, about: those of finished chunks count by their slots.
    pub(crate) fn samples(&self) -> usize {
        let full = |full: &FullChunk| ((full.last_s - full.first_s) / self.step_s) as usize + 1;
        let open = self.stream.count() as usize + usize::from(self.slots > 0);
        open + self.late().len() + self.full().iter().map(full).sum::<usize>()
    }

    /// Time of its oldest sample, Unix seconds.
    pub(crate) fn oldest_s(&self) -> u32 {
        let first = self.full().first().map_or(self.start_s, |full| full.first_s);
        let first = if self.slots > 0 { first } else { u32::MAX };
        self.late().iter().map(|late| late.slot_s).fold(first, u32::min)
    }

    /// What lies aside, in order of arrival.
    pub(crate) fn late(&self) -> &[LateSample] {
        self.side.as_ref().map_or(&[], |side| &side.late)
    }

    fn full(&self) -> &[FullChunk] {
        self.side.as_ref().map_or(&[], |side| &side.full)
    }
}

impl ChunkRef<'_> {
    /// Copies what it holds.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut open = Vec::new();
        self.encode_into(&self.stream(self.slab), &mut open);
        let full = self.full().iter().map(|full| full.bytes.clone());
        Snapshot {
            policy: self.policy,
            step_s: self.step_s,
            chunks: full.chain((!open.is_empty()).then_some(open)).collect(),
            pending: (self.slots > 0).then_some((self.pending_s, self.pending)),
            late: self.late().to_vec(),
        }
    }

    /// The chunks it becomes when sealed, in order of time.
    pub(crate) fn sealed(&self) -> Vec<FullChunk> {
        let mut chunks = self.full().to_vec();
        if self.slots > 0 {
            let mut stream = self.stream(self.slab);
            stream.push(self.pending);
            let mut bytes = Vec::new();
            self.encode_into(&stream, &mut bytes);
            chunks.push(FullChunk { first_s: self.start_s, last_s: self.pending_s, bytes });
        }
        chunks
    }

    /// Visits time (Unix seconds) and value of its samples; of those with one time the last
    /// counts.
    pub(crate) fn visit(&self, mut visit: impl FnMut(u32, f64)) {
        for full in self.full() {
            visit_chunk(&full.bytes, self.step_s, &mut visit);
        }
        let mut open = Vec::new();
        self.encode_into(&self.stream(self.slab), &mut open);
        if !open.is_empty() {
            visit_chunk(&open, self.step_s, &mut visit);
        }
        if self.slots > 0 {
            visit(self.pending_s, self.pending);
        }
        self.late().iter().for_each(|late| visit(late.slot_s, late.value));
    }
}

//! Where the samples of one series are.

use super::BlockStore;
use crate::block::BlockSet;
use crate::fetch::{Coarse, Fetched, Gather, Window};
use crate::head::Snapshot;
use crate::import::ImportSeries;
use crate::inner::Inner;
use crate::policies::Entry;
use crate::schema::Aggregate;
use crate::series::SeriesId;
use silverback_formats::block::BlockKind;
use std::sync::Arc;

/// All that is known of one series at one moment.
pub(super) struct Sources {
    id: SeriesId,
    /// From the head, oldest first; empty when only the store is asked.
    head: Vec<Snapshot>,
    /// From a file that is not in blocks yet.
    old: Option<ImportSeries>,
    blocks: Arc<BlockSet>,
    /// Whether something could not be read.
    damaged: bool,
}

impl BlockStore {
    /// What head and store hold of a series.
    pub(super) fn sources(&self, db: &Inner, id: SeriesId) -> Sources {
        // The head first: what a seal moves meanwhile is then seen in one of them at least.
        let head = db.head.read(id.0);
        Sources { head, ..self.stored_sources(db, id) }
    }

    /// What the store alone holds of a series.
    pub(super) fn stored_sources(&self, db: &Inner, id: SeriesId) -> Sources {
        // The old files before the blocks, for the same reason.
        let old = self.read_old(db, id);
        let damaged = old.is_err();
        let (old, blocks) = (old.unwrap_or(None), self.blocks.load_full());
        Sources { id, head: Vec::new(), old, blocks, damaged }
    }
}

impl Sources {
    /// Step and kind of what is stored for these seconds (Unix).
    fn tiers(&self, (start_s, stop_s): (i64, i64)) -> impl Iterator<Item = (u32, BlockKind)> {
        let blocks = self.blocks.within(start_s, stop_s).map(|block| block.entry());
        let blocks = blocks.map(|block| (block.step_s, block.kind));
        let old = self.old.iter().flat_map(|old| old.archives());
        blocks.chain(old.map(|(step_s, kind, _)| (step_s, kind)))
    }

    /// The shortest step of all that a window is answered from, whatever roll-ups are asked for.
    pub(super) fn finest_s(&self, window: Window, entry: &Entry) -> u32 {
        let steps = self.tiers(window.span_s()).map(|(step_s, _)| step_s);
        let steps = steps.chain(self.head.iter().map(|snapshot| snapshot.step_s));
        steps.fold(entry.step_s, u32::min)
    }

    /// Whether something of this step is stored for a window.
    pub(super) fn has_step(&self, window: Window, step_s: u32) -> bool {
        self.tiers(window.span_s()).any(|(tier_s, _)| tier_s == step_s)
    }

    /// Whether coarser archives are stored in part where a window of step `step_s` is answered
    /// from.
    pub(super) fn coarse(
        &self,
        window: Window,
        step_s: u32,
        entry: &Entry,
        extra: Option<Aggregate>,
    ) -> Coarse {
        let stored = self
            .tiers(window.span_s())
            .filter(|(_, kind)| kind.counts_for(extra))
            .map(|(tier_s, kind)| Coarse::of(kind, tier_s, step_s, entry));
        let head = self.head.iter().map(|head| {
            let is_late = head.late.iter().any(|late| late.archive > 0);
            let of_step = Coarse::of(BlockKind::Points, head.step_s, step_s, entry);
            if is_late { Coarse::Stored } else { of_step }
        });
        stored.chain(head).fold(Coarse::Computed, Coarse::and)
    }

    /// The values of a window, by the main roll-ups or by `extra` ones.
    pub(super) fn read(
        &self,
        db: &Inner,
        window: Window,
        entry: &Entry,
        extra: Option<Aggregate>,
    ) -> Fetched {
        let mut answer = window.answer(entry);
        answer.damaged = self.damaged;
        for piece in window.pieces(self.finest_s(window, entry), answer.step_s) {
            let coarse = self.coarse(piece, answer.step_s, entry, extra);
            self.gather(db, piece, entry, coarse, extra).finish_into(&mut answer);
        }
        answer
    }

    /// All samples for a window, with the main roll-ups or with `extra` ones.
    pub(super) fn gather<'a>(
        &self,
        db: &Inner,
        window: Window,
        entry: &'a Entry,
        coarse: Coarse,
        extra: Option<Aggregate>,
    ) -> Gather<'a> {
        let mut gather = Gather::new(window, entry, coarse, extra);
        for (step_s, kind, chunks) in self.old.iter().flat_map(|old| old.archives()) {
            gather.chunks(step_s, kind, chunks);
        }
        let (start_s, stop_s) = window.span_s();
        for block in self.blocks.within(start_s, stop_s) {
            gather.block(block, self.id.0);
        }
        for snapshot in &self.head {
            gather.head(snapshot, &db.policies.entry(snapshot.policy));
        }
        gather
    }
}

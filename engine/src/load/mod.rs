//! Logs → memory, when a database is opened.
//!
//! 1. Names: series log and WAL → index. The database is open then, and is asked for names.
//! 2. Samples: WAL → head. A log of a few gigabytes takes some seconds, in which whoever needs
//!    samples, or changes anything, waits ([`Loading::wait`]).
//!
//! Each step goes through the whole log. In the first one every frame is compared with its checksum,
//! so what is damaged is known before anybody is answered; and a removal is known before the
//! samples that were for the removed series.

mod names;
mod samples;

pub(crate) use names::{Gone, Names};

use crate::clock::monotonic;
use crate::error::Damage;
use crate::inner::Inner;
use crate::wal::recovery::{Log, Replayed};
use parking_lot::Mutex;
use samples::{Memory, SampleLoader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;

/// Whether the samples are there.
#[derive(Debug)]
pub(crate) struct Loading {
    /// What is still to be done; taken by who does it.
    rest: Mutex<Option<Rest>>,
    /// What was found damaged by it, once it is done.
    done: OnceLock<Vec<Damage>>,
}

/// What is left to be done when the names are known.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) log: Log,
    /// What the first step found.
    pub(crate) replayed: Replayed,
    pub(crate) gone: Gone,
    /// When the newest samples came, Unix seconds, where an older one may have to wait; or zero.
    pub(crate) newest_s: u32,
}

impl Loading {
    pub(crate) fn new(rest: Rest) -> Self {
        Self { rest: Mutex::new(Some(rest)), done: OnceLock::new() }
    }

    /// Waits until all samples are there.
    #[inline]
    pub(crate) fn wait(&self) {
        self.done.wait();
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.get().is_some()
    }

    /// What the samples' step found damaged, so far.
    pub(crate) fn damage(&self) -> &[Damage] {
        self.done.get().map_or(&[], Vec::as_slice)
    }
}

impl Inner {
    /// Does the second step, once.
    pub(crate) fn load(&self) {
        let Some(rest) = self.loading.rest.lock().take() else { return };
        // Nobody may wait for ever, or take what is there for all.
        let loaded = catch_unwind(AssertUnwindSafe(|| self.load_samples(&rest)));
        let damage = loaded.unwrap_or_else(|_| {
            crate::counters::add(&self.counters.panics, 1);
            self.disk.lock().damaged_segments.extend(&rest.replayed.segments);
            let reason = "replaying it panicked; what was read counts, and the rest will be kept";
            vec![log_damage(&self.folders.wal, reason.to_owned())]
        });
        damage.iter().for_each(|damage| tracing::error!("{damage}"));
        self.loading.done.set(damage).expect("the rest is taken once");
    }

    /// Answers what is damaged that was not known before.
    fn load_samples(&self, rest: &Rest) -> Vec<Damage> {
        let (started, schema) = (monotonic(), &self.options.schema);
        let memory = Memory {
            policies: &self.policies,
            names: &self.names,
            index: &self.index,
            head: &self.head,
        };
        let mut loader = SampleLoader::new(memory, schema.clone(), &rest.gone, rest.newest_s);
        let Replayed { mut damage, damaged, samples, .. } =
            rest.log.again(&rest.replayed.damage, &mut loader);
        loader.follow(schema.clone());
        let SampleLoader { unnamed, unnamed_end, waited, .. } = loader;
        self.store.wait_with(waited);
        {
            let mut next_id = self.next_id.lock();
            *next_id = unnamed_end.max(*next_id);
        }
        let mut disk = self.disk.lock();
        disk.damaged_segments.extend(damaged);
        if unnamed > 0 && damage.is_empty() && self.damage.is_empty() {
            // A power cut may take the end of a segment and leave the begin of the next.
            tracing::warn!("a crash took the names of {unnamed} samples that were not synced");
        } else if unnamed > 0 {
            let reason = format!("{unnamed} samples of series without a name");
            damage.push(log_damage(&self.folders.wal, reason));
            disk.damaged_segments.extend(&rest.replayed.segments);
        }
        let ms = started.elapsed().as_millis();
        tracing::info!("read {samples} samples of the WAL in {ms} ms");
        damage
    }
}

fn log_damage(path: &Path, reason: String) -> Damage {
    Damage { path: path.to_path_buf(), offset: 0, reason }
}

#[cfg(test)]
mod tests;

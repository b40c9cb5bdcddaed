//! The samples of one series → its file, as fast as the rates allow, and what becomes of those
//! that cannot be written.

use super::waiting::{Arrivals, Hold};
use super::{WhisperStore, rules};
use crate::clock::monotonic;
use crate::counters::add;
use crate::error::{Closed, Damage};
use crate::inner::Inner;
use crate::whisper_dir::{FileFailure, FileInfo, Limiter, Unusable};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Most files whose damage is listed; the log names all.
const UNUSABLE_MAX: usize = 1000;
/// Longest sleep of a worker that waits for its turn, so that closing does not wait long.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// What became of the samples of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They are in the file, or can never be.
    Done,
    /// It is not time to try again.
    NotYet,
    /// They are to be kept, for this reason.
    Held(Hold),
}

impl WhisperStore {
    /// Writes the samples of a series to its file.
    pub(super) fn write(
        &self,
        db: &Inner,
        id: u32,
        name: &[u8],
        samples: &Arrivals,
    ) -> Result<Outcome, Closed> {
        // Who stops may want to give the files to another program: a last try.
        if !self.is_hurried() && self.quarantine.wait(&id, monotonic()).is_some() {
            return Ok(Outcome::NotYet);
        }
        let limits = self.limits.load();
        let may_create = || self.is_hurried() || limits.creates.take(monotonic()).is_ok();
        // Of many that wait for their turn the system is not asked about each.
        let mut has_turn = self.waiting.is_unmade(id);
        if has_turn && !may_create() {
            return Ok(Outcome::NotYet);
        }
        self.pace(db, &limits.updates)?;
        let new = || {
            let may_create = std::mem::take(&mut has_turn) || may_create();
            may_create.then(|| rules::new_file(db, &self.options.load(), name))
        };
        let updated = self.dir.update(name, samples.batches(), new);
        if has_turn {
            // Somebody else made the file.
            limits.creates.put_back();
        }
        match updated {
            Ok(None) => {
                // Nothing was written: files that are there are not to wait for those that may
                // not be made yet.
                limits.updates.put_back();
                Ok(Outcome::Held(Hold::Unmade))
            }
            Ok(Some(written)) => {
                add(&self.counters.updates, 1);
                add(&self.counters.points, written.points);
                add(&self.counters.created, usize::from(written.created));
                add(&self.counters.extended, usize::from(written.extended));
                add(&self.counters.too_old, written.too_old);
                // Both, whichever it was.
                if self.quarantine.succeeded(&id) | self.unreadable.succeeded(&id) {
                    self.unusable.lock().remove(&id);
                    tracing::info!("{}: it can be written again", name.escape_ascii());
                }
                self.follow(db, id, name, &written.file);
                Ok(Outcome::Done)
            }
            Err(failure) => Ok(self.failed(id, samples.len(), &failure)),
        }
    }

    /// Learns what the file keeps, and brings it to the rules where that is wanted.
    fn follow(&self, db: &Inner, id: u32, name: &[u8], file: &FileInfo) {
        match self.migrate(db, id, name, file) {
            Ok(Some(file)) => rules::learn(db, id, &file),
            Ok(None) => rules::learn(db, id, file),
            Err(failure) => {
                add(&self.counters.migration_failures, 1);
                let wait = self.unmigrated.failed(id, monotonic()).as_secs();
                tracing::error!("{failure}; the file stays as it is, tried again in {wait} s");
                rules::learn(db, id, file);
            }
        }
    }

    /// What the file is after it was changed, if it was.
    fn migrate(
        &self,
        db: &Inner,
        id: u32,
        name: &[u8],
        file: &FileInfo,
    ) -> Result<Option<FileInfo>, FileFailure> {
        let Some(migration) = self.options.load().migration else { return Ok(None) };
        let schema = db.schema.load();
        let Some(rules) = schema.rules_of(name) else { return Ok(None) };
        let (scope, policy) = (rules::scope(rules, migration), rules::policy(&schema, name));
        if !file.differs(&policy, scope).is_any()
            || self.unmigrated.wait(&id, monotonic()).is_some()
            || self.limits.load().migrations.take(monotonic()).is_err()
        {
            return Ok(None);
        }
        let done = self.dir.migrate(name, &policy, scope, db.options.clock.now_s())?;
        self.unmigrated.succeeded(&id);
        add(&self.counters.migrated, usize::from(done.is_any()));
        add(&self.counters.migrated_schema, usize::from(done.schema));
        add(&self.counters.migrated_x_files_factor, usize::from(done.x_files_factor));
        add(&self.counters.migrated_method, usize::from(done.method));
        tracing::info!("{}: its file follows the rules now", name.escape_ascii());
        self.dir.info(name)
    }

    /// Puts a file on the list of damage.
    pub(super) fn tell(&self, id: u32, path: &Path, reason: &Unusable) {
        let mut unusable = self.unusable.lock();
        if unusable.len() < UNUSABLE_MAX {
            let (path, reason) = (path.to_path_buf(), reason.to_string());
            unusable.insert(id, Damage { path, offset: 0, reason });
        }
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.is_hurried.load(Ordering::Relaxed)
    }

    /// Waits until a file may be written.
    fn pace(&self, db: &Inner, limiter: &Limiter) -> Result<(), Closed> {
        while let Err(wait) = limiter.take(monotonic()) {
            if db.closed.load(Ordering::Acquire) {
                return Err(Closed);
            }
            if self.is_hurried() {
                return Ok(());
            }
            std::thread::sleep(wait.min(PAUSE_MAX));
        }
        Ok(())
    }

    /// Keeps samples that are not written, from the sample `first` on, until a later pass.
    pub(super) fn keep(&self, id: u32, samples: &Arrivals, first: usize, hold: Option<Hold>) {
        let stuck_max = self.options.load().stuck_points_max;
        let dropped = self.waiting.keep(id, samples, first, hold, stuck_max);
        add(&self.counters.stuck_dropped, dropped);
    }

    /// How long no write is tried, and whether who reads was told lately.
    fn hold(&self, id: u32) -> (Duration, bool) {
        let now = monotonic();
        (self.quarantine.failed(id, now), self.unreadable.wait(&id, now).is_some())
    }

    fn failed(&self, id: u32, samples: usize, failure: &FileFailure) -> Outcome {
        add(&self.counters.failures, 1);
        match failure {
            FileFailure::Never { .. } => {
                add(&self.counters.unnamable, samples);
                tracing::warn!("{failure}; {samples} points are dropped");
                Outcome::Done
            }
            FileFailure::Retry { .. } => {
                let (wait, told) = self.hold(id);
                if !told {
                    tracing::error!("{failure}; tried again in {} s", wait.as_secs());
                }
                Outcome::Held(Hold::Up)
            }
            FileFailure::Quarantine { path, source } => {
                self.tell(id, path, source);
                let (wait, told) = self.hold(id);
                if !told {
                    tracing::error!(
                        "{failure}; tried again in {} s, its points wait meanwhile",
                        wait.as_secs()
                    );
                }
                Outcome::Held(Hold::Stuck)
            }
        }
    }

    /// Removes the file of a series that was deleted and written at the same time.
    pub(super) fn remove_again(&self, name: &[u8]) {
        if let Err(failure) = self.dir.remove(name) {
            tracing::warn!("{failure}; its series was deleted and will be found again");
        }
    }
}

//! The policies that series of this process are kept by, numbered, so that a series needs two
//! bytes for its own.

use crate::schema::Policy;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::sync::Arc;

/// Number of a policy in [`Policies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PolicyId(pub(crate) u16);

impl PolicyId {
    /// That of a series that is not there, or not known yet; no policy has it.
    pub(crate) const NONE: Self = Self(u16::MAX);
}

/// What the head does with the times of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// They are those of the slots of the policy's archives, and older ones are refused.
    Slots,
    /// They are kept as they came: the rules say how the series would be created, and its file,
    /// which nobody has looked at yet, may have other archives.
    AsSent,
    /// As with `Slots` in the finest archive of the file. Older ones are kept as they came: the
    /// file decides which of a slot counts.
    OfFile,
}

/// A policy with what the hot path asks of it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) policy: Arc<Policy>,
    pub(crate) times: Times,
    /// Step of the finest archive, or one second.
    pub(crate) step_s: u32,
    /// Seconds that the finest archive reaches back.
    pub(crate) finest_reach_s: i64,
    /// Seconds that the longest archive reaches back.
    pub(crate) reach_s: i64,
}

impl Entry {
    fn new(policy: &Arc<Policy>, times: Times) -> Self {
        let finest = policy.archives[0];
        let (step_s, finest_reach_s, reach_s) = match times {
            Times::Slots | Times::OfFile => (finest.step_s, finest.reach_s(), policy.reach_s()),
            Times::AsSent => (1, i64::MAX, i64::MAX),
        };
        Self { policy: Arc::clone(policy), times, step_s, finest_reach_s, reach_s }
    }

    /// Seconds between the slots of an archive.
    pub(crate) fn slot_step_s(&self, archive: usize) -> u32 {
        match self.times {
            Times::Slots => self.policy.archives[archive].step_s,
            Times::OfFile if archive == 0 => self.step_s,
            Times::OfFile | Times::AsSent => 1,
        }
    }

    /// Seconds that samples of an archive are stored: while points may come for a slot of the next
    /// coarser archive, all that the slot is computed from is there.
    pub(crate) fn keep_s(&self, archive: usize) -> u32 {
        let archives = &self.policy.archives;
        let coarser = archives.get(archive + 1).map_or(0, |coarser| i64::from(coarser.step_s));
        u32::try_from(archives[archive].reach_s() + coarser).unwrap_or(u32::MAX)
    }

    /// The finest archive that reaches back `age_s` seconds, or `None` when none does.
    pub(crate) fn archive_for(&self, age_s: i64) -> Option<usize> {
        self.policy.archives.iter().position(|archive| archive.reach_s() >= age_s)
    }
}

/// All policies; grows only.
#[derive(Debug)]
pub(crate) struct Policies {
    /// For series of which only the rules are known.
    by_rules: Times,
    entries: ArcSwap<Vec<Entry>>,
    insert: Mutex<()>,
}

impl Policies {
    /// None yet. `by_rules` is for series of which only the rules are known.
    pub(crate) fn new(by_rules: Times) -> Self {
        Self { by_rules, entries: ArcSwap::default(), insert: Mutex::new(()) }
    }

    /// The number of what the rules say of a series.
    pub(crate) fn of_rules(&self, policy: &Arc<Policy>) -> PolicyId {
        self.id(policy, self.by_rules)
    }

    /// The number of what the file of a series says.
    pub(crate) fn of_file(&self, policy: &Arc<Policy>) -> PolicyId {
        self.id(policy, Times::OfFile)
    }

    /// Whether a series with this policy follows the rules, and not its file.
    pub(crate) fn follows_rules(&self, id: PolicyId) -> bool {
        self.entries.load()[usize::from(id.0)].times == self.by_rules
    }

    /// The number of a policy, new or known.
    ///
    /// # Panics
    /// Beyond 65 535 distinct policies in one process; rule files have a handful.
    fn id(&self, policy: &Arc<Policy>, times: Times) -> PolicyId {
        let _only_writer = self.insert.lock();
        let entries = self.entries.load();
        let is_it = |entry: &Entry| entry.times == times && entry.policy == *policy;
        if let Some(at) = entries.iter().position(is_it) {
            return PolicyId(at as u16);
        }
        let id = u16::try_from(entries.len()).ok().filter(|&id| PolicyId(id) != PolicyId::NONE);
        let id = id.expect("at most 65 535 policies");
        let mut grown = entries.to_vec();
        grown.push(Entry::new(policy, times));
        self.entries.store(Arc::new(grown));
        PolicyId(id)
    }

    /// All of them as they are now, for a moment: cheaper than [`Policies::snapshot`].
    pub(crate) fn load(&self) -> Guard<Arc<Vec<Entry>>> {
        self.entries.load()
    }

    /// All of them as they are now.
    pub(crate) fn snapshot(&self) -> Arc<Vec<Entry>> {
        self.entries.load_full()
    }

    /// One of them.
    pub(crate) fn entry(&self, id: PolicyId) -> Entry {
        self.entries.load()[usize::from(id.0)].clone()
    }
}

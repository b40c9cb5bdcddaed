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

/// A policy with what the hot path asks of it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) policy: Arc<Policy>,
    /// Step of the finest archive.
    pub(crate) step_s: u32,
    /// Seconds that the finest archive reaches back.
    pub(crate) finest_reach_s: i64,
    /// Seconds that the longest archive reaches back.
    pub(crate) reach_s: i64,
}

impl Entry {
    /// The finest archive that reaches back `age_s` seconds, or `None` when none does.
    pub(crate) fn archive_for(&self, age_s: i64) -> Option<usize> {
        self.policy.archives.iter().position(|archive| archive.reach_s() >= age_s)
    }
}

/// All policies; grows only.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    entries: ArcSwap<Vec<Entry>>,
    insert: Mutex<()>,
}

impl Policies {
    /// The number of a policy, new or known.
    ///
    /// # Panics
    /// Beyond 65 535 distinct policies in one process; rule files have a handful.
    pub(crate) fn id(&self, policy: &Arc<Policy>) -> PolicyId {
        let _only_writer = self.insert.lock();
        let entries = self.entries.load();
        if let Some(at) = entries.iter().position(|entry| entry.policy == *policy) {
            return PolicyId(at as u16);
        }
        let id = u16::try_from(entries.len()).ok().filter(|&id| PolicyId(id) != PolicyId::NONE);
        let id = id.expect("at most 65 535 policies");
        let mut grown = entries.to_vec();
        grown.push(Entry {
            step_s: policy.archives[0].step_s,
            finest_reach_s: policy.archives[0].reach_s(),
            reach_s: policy.reach_s(),
            policy: Arc::clone(policy),
        });
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

//! Series that sleep: the index has them, and nothing else does.
//!
//! Opening a database reads the names of few series only, so that it takes as long with ten
//! million series as with none. A series *wakes* when a sample for it comes, or is in the WAL: it
//! gets its policy and its place in head and name table, which is the memory that an active series
//! takes. One that only queries ask for sleeps on; its rules are looked up each time.

use crate::inner::Inner;
use crate::options::StoreOptions;
use crate::policies::PolicyId;
use crate::series::SeriesId;
use std::sync::atomic::Ordering;

impl Inner {
    /// The series of a canonical name.
    pub(crate) fn series(&self, name: &[u8]) -> Option<SeriesId> {
        let awake = self.names.id(self.names.hash(name));
        awake.or_else(|| self.index.lookup(name))
    }

    /// The policy of a series, awake or asleep.
    pub(crate) fn policy(&self, id: SeriesId) -> Option<PolicyId> {
        self.head.policy(id.0).or_else(|| {
            let mut name = Vec::new();
            let is_here = self.index.path_into(id, &mut name);
            is_here.then(|| self.policy_by_rules(&name))
        })
    }

    /// Wakes the series of a canonical name, if there is one. Only with [`Inner::next_id`] held,
    /// so that nobody removes it meanwhile.
    pub(crate) fn wake(&self, name: &[u8]) -> Option<SeriesId> {
        let id = self.index.lookup(name)?;
        self.head.add_series(id.0, self.policy_by_rules(name));
        self.names.insert(self.names.hash(name), id);
        Some(id)
    }

    fn policy_by_rules(&self, name: &[u8]) -> PolicyId {
        let schema = self.schema.load();
        let policy = schema.policy(name).unwrap_or_else(|| {
            let is_first = !self.lacks_rules.swap(true, Ordering::Relaxed);
            if is_first && matches!(self.options.store, StoreOptions::Blocks) {
                let name = String::from_utf8_lossy(name);
                tracing::warn!(
                    "no rule of storage-schemas.conf matches {name}, which is there: it is kept by \
                     the built-in rules, and so are others like it; give them a rule"
                );
            }
            schema.policy_of_existing(name)
        });
        self.policies.of_rules(&policy)
    }
}

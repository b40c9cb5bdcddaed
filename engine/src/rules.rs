//! Other rules → the series that follow them, and the log.
//!
//! Samples are kept by the rules that hold when they come: the log says which, since it may be
//! replayed when others hold. So rules change at one place of the log, and for all series there, with
//! no batch of samples on its way. What each series is kept by from then on is worked out before.

use crate::error::OpenError;
use crate::index::Index;
use crate::inner::{Folders, Inner};
use crate::manifest::{self, Found};
use crate::options::StoreOptions;
use crate::policies::{Policies, PolicyId};
use crate::schema::Schema;
use crate::series::SeriesId;
use crate::storage::Storage;
use crate::wal::recovery::{self, Replay};
use roaring::RoaringBitmap;
use silverback_formats::frame;
use silverback_formats::wal::{KIND_RULES, PayloadError, Samples, rules_into};
use std::path::Path;
use std::sync::Arc;

/// The frame of the log that says that rules hold; none where the files of series decide.
pub(crate) fn rules_frame(schema: &Schema, store: &StoreOptions) -> Vec<u8> {
    if let StoreOptions::Whisper(_) = store {
        return Vec::new();
    }
    let [schemas, aggregation] = schema.texts();
    let mut bytes = Vec::new();
    let start = frame::start(KIND_RULES, &mut bytes);
    rules_into(schemas, aggregation, &mut bytes);
    frame::finish(start, &mut bytes);
    bytes
}

/// Whether the log of the database in `dir` has points of which it does not say by which rules they
/// were taken, as one over whisper files, of an older program, or that is damaged: whoever opens it
/// to change something must know them.
///
/// # Errors
/// When the log cannot be read.
pub fn has_points_without_rules(storage: &dyn Storage, dir: &Path) -> Result<bool, OpenError> {
    let folders = Folders::of(dir);
    if storage.list(&folders.wal).is_err() {
        return Ok(false);
    }
    let floor = match manifest::read(storage, &folders.root)? {
        Found::State { state, .. } => state.wal_floor,
        Found::Nothing | Found::Damaged(_) => 0,
    };
    let mut log = Unruled { is_ruled: false, has_points: false };
    recovery::replay(storage, &folders.wal, floor..u64::MAX, &mut log)?;
    Ok(log.has_points)
}

/// Looks for points before any rules.
struct Unruled {
    is_ruled: bool,
    has_points: bool,
}

impl Replay for Unruled {
    fn series(&mut self, _: &[(SeriesId, &[u8])]) {}

    fn removed(&mut self, _: u32) {}

    fn rules(&mut self, _: &[u8], _: &[u8]) -> Result<(), String> {
        self.is_ruled = true;
        Ok(())
    }

    fn samples(&mut self, _: Samples<'_>) -> Result<u64, PayloadError> {
        self.has_points |= !self.is_ruled;
        Ok(0)
    }
}

impl Inner {
    /// See [`Db::set_schema`](crate::Db::set_schema).
    pub(crate) fn set_schema(&self, schema: Schema) {
        let _only_one = self.schema_change.lock();
        if self.schema.load().texts() == schema.texts() {
            return;
        }
        let (mut asked, mut changes) = (RoaringBitmap::new(), Vec::new());
        self.ask(&schema, &mut asked, &mut changes);

        let _gate = self.gate.write();
        let _creation = self.next_id.lock();
        // Those that woke meanwhile.
        self.ask(&schema, &mut asked, &mut changes);
        self.wal.set_rules(rules_frame(&schema, &self.options.store));
        self.schema.store(Arc::new(schema));
        for (id, policy) in changes {
            if self.head.policy(id).is_some_and(|now| self.policies.follows_rules(now)) {
                self.head.set_policy(id, policy);
            }
        }
    }

    /// Adds what each series in the head that was not asked yet is kept by under other rules.
    fn ask(&self, schema: &Schema, asked: &mut RoaringBitmap, changes: &mut Vec<(u32, PolicyId)>) {
        let (of, mut name) = ((&self.policies, &self.index), Vec::new());
        self.head.for_each_series(&mut |id, now| {
            if asked.insert(id) {
                let policy = policy_under(schema, of, (id, now), &mut name);
                changes.extend(policy.map(|policy| (id, policy)));
            }
        });
    }
}

/// What a series is kept by under other rules, which is kept by `now`; `None` where its file decides,
/// and where these rules say nothing of it. `name` is memory for its name.
pub(crate) fn policy_under(
    schema: &Schema,
    (policies, index): (&Policies, &Index),
    (id, now): (u32, PolicyId),
    name: &mut Vec<u8>,
) -> Option<PolicyId> {
    name.clear();
    if !policies.follows_rules(now) || !index.path_into(SeriesId(id), name) {
        return None;
    }
    schema.policy(name).map(|policy| policies.of_rules(&policy))
}

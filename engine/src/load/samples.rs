//! The second step of a start: samples of the log → head.
//!
//! The names are known by then, removals included, so a sample has a series in the index, or one
//! that was removed, or its name was lost.
//!
//! The log says by which rules samples were taken, and they are kept by these again. At the end the
//! series follow the rules of today, as if these had been set then.

use super::names::Gone;
use crate::head::Head;
use crate::index::Index;
use crate::names::{NameHash, NameTable};
use crate::policies::Policies;
use crate::rules::policy_under;
use crate::schema::{RuleFile, Schema};
use crate::series::SeriesId;
use crate::store::Waited;
use crate::wal::recovery::{self, Replay};
use silverback_formats::wal::{PayloadError, Row, Samples};

/// Where the samples go, and what is known of their series.
#[derive(Clone, Copy)]
pub(super) struct Memory<'a> {
    pub(super) policies: &'a Policies,
    pub(super) names: &'a NameTable,
    pub(super) index: &'a Index,
    pub(super) head: &'a Head,
}

/// Puts samples back into memory.
pub(super) struct SampleLoader<'a> {
    memory: Memory<'a>,
    /// The rules that hold at this place of the log.
    schema: Schema,
    gone: &'a Gone,
    /// When the newest samples came, Unix seconds; zero when it does not matter.
    newest_s: u32,
    /// Samples whose series has no name.
    pub(super) unnamed: u64,
    /// The id after the last of such a series.
    pub(super) unnamed_end: u32,
    /// Samples that would go to another archive of their series' file if they had come with the
    /// newest ones.
    pub(super) waited: Vec<(u32, Waited)>,
    latest: Latest,
    /// Buffers of one frame.
    rows: Vec<Row>,
    absent: Vec<u32>,
    woken: Vec<(NameHash, SeriesId)>,
    name: Vec<u8>,
}

/// The names of the frame that came last: the samples after it are mostly theirs, so that their
/// names need not be put together from the index.
#[derive(Default)]
struct Latest {
    first_id: u32,
    /// Where in `names` each of them ends.
    ends: Vec<usize>,
    names: Vec<u8>,
}

impl Latest {
    /// Takes the names of a frame, whose ids follow each other.
    fn set(&mut self, series: &[(SeriesId, &[u8])]) {
        self.ends.clear();
        self.names.clear();
        self.first_id = series.first().map_or(0, |(id, _)| id.0);
        for (_, name) in series {
            self.names.extend_from_slice(name);
            self.ends.push(self.names.len());
        }
    }

    /// The name that the frame gave to a series, if it did.
    fn name(&self, id: u32) -> Option<&[u8]> {
        let at = id.checked_sub(self.first_id)? as usize;
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(&self.names[start..end]).filter(|name| !name.is_empty())
    }
}

impl<'a> SampleLoader<'a> {
    /// `schema` are today's rules, which hold where a log of an older program says nothing.
    pub(super) fn new(memory: Memory<'a>, schema: Schema, gone: &'a Gone, newest_s: u32) -> Self {
        Self {
            memory,
            schema,
            gone,
            newest_s,
            unnamed: 0,
            unnamed_end: 0,
            waited: Vec::new(),
            latest: Latest::default(),
            rows: Vec::new(),
            absent: Vec::new(),
            woken: Vec::new(),
            name: Vec::new(),
        }
    }

    /// From here on these rules hold.
    pub(super) fn follow(&mut self, schema: Schema) {
        if self.schema.texts() == schema.texts() {
            return;
        }
        let Memory { policies, index, head, .. } = self.memory;
        let name = &mut self.name;
        head.for_each_series(&mut |id, now| {
            if let Some(policy) = policy_under(&schema, (policies, index), (id, now), name) {
                head.set_policy(id, policy);
            }
        });
        self.schema = schema;
    }

    /// Wakes those of these series that there are.
    fn wake(&mut self, ids: &[u32]) {
        let Memory { policies, names, index, head } = self.memory;
        self.woken.clear();
        for &id in ids {
            let logged = self.latest.name(id).filter(|_| id >= self.gone.sealed_end);
            let name = match logged.filter(|_| index.has(SeriesId(id))) {
                Some(name) => name,
                None => {
                    self.name.clear();
                    if !index.path_into(SeriesId(id), &mut self.name) {
                        continue;
                    }
                    &self.name
                }
            };
            let policy = self.schema.policy_of_existing(name);
            head.add_series(id, policies.of_rules(&policy));
            self.woken.push((names.hash(name), SeriesId(id)));
        }
        names.insert_all(&self.woken);
    }

    /// Whether a sample that was taken at `taken_s` would have gone to another archive, were it taken
    /// with the newest ones: seldom, for the log is not that long.
    fn has_aged(&self, row: &Row, taken_s: u32) -> bool {
        let since_s = |now_s: u32| i64::from(now_s) - i64::from(row.time_s);
        let Some(policy) = self.memory.head.policy(row.id) else { return false };
        let policies = self.memory.policies.load();
        let entry = &policies[usize::from(policy.0)];
        entry.archive_for(since_s(taken_s)) != entry.archive_for(since_s(self.newest_s))
    }

    /// Takes out the rows of series that are not there, wakes those that are, and lets wait the ones
    /// that have aged.
    fn sort_out(&mut self, taken_s: u32) {
        let head = self.memory.head;
        let mut absent = std::mem::take(&mut self.absent);
        head.absent_into(&self.rows, &mut absent);
        if !absent.is_empty() {
            self.wake(&absent);
            head.absent_into(&self.rows, &mut absent);
        }
        for &id in absent.iter().filter(|&&id| !self.gone.has(id)) {
            self.unnamed += 1;
            // Another series of this id would get them, once its name is known before the WAL.
            self.unnamed_end = self.unnamed_end.max(id.saturating_add(1));
        }
        let mut rows = std::mem::take(&mut self.rows);
        if !absent.is_empty() {
            rows.retain(|row| head.policy(row.id).is_some());
        }
        if taken_s < self.newest_s {
            rows.retain(|&row| {
                let has_aged = self.has_aged(&row, taken_s);
                if has_aged {
                    let Row { id, time_s, value } = row;
                    self.waited.push((id, Waited { time_s, taken_s, value }));
                }
                !has_aged
            });
        }
        (self.rows, self.absent) = (rows, absent);
    }
}

impl Replay for SampleLoader<'_> {
    fn series(&mut self, series: &[(SeriesId, &[u8])]) {
        self.latest.set(series);
    }

    /// The index has them no more.
    fn removed(&mut self, _id: u32) {}

    fn rules(&mut self, schemas: &[u8], aggregation: &[u8]) -> Result<(), String> {
        if self.schema.texts() != [schemas, aggregation] {
            let file = |text| RuleFile { name: "rules in the log", text };
            let schema = Schema::parse(file(schemas), Some(file(aggregation)));
            self.follow(schema.map_err(|errors| errors.to_string())?);
        }
        Ok(())
    }

    fn samples(&mut self, samples: Samples<'_>) -> Result<u64, PayloadError> {
        let taken_s = samples.now_s();
        self.rows.clear();
        let read = recovery::rows_into(samples, &mut self.rows)?;
        self.sort_out(taken_s);
        self.memory.head.apply(&self.rows, i64::from(taken_s), self.memory.policies);
        Ok(read)
    }
}

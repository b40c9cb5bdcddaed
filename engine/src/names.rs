//! Name → id for ingest: a table of keyed 128-bit hashes that stores no names.
//!
//! 16 shards by hash, each an open-addressing table of cache-line buckets: five 64-bit tags and
//! five ids. A lookup touches one line in nearly every case and takes no lock; an insert takes
//! its shard's lock, which only other inserts wait for. A full shard is copied into one of twice
//! the size and swapped in, while lookups go on in the old one. Getting hold of a shard's table
//! costs a memory fence, which would make each lookup wait for the one before; a batch gets hold
//! of all shards once ([`NameTable::view`]) and its lookups overlap.
//!
//! The key is drawn anew by each process, so nobody can prepare names that collide. Two names are
//! confused only when all 68 bits of shard and tag agree: among 40 million names a chance of
//! 3 in a million.
//!
//! Memory protocol: a slot is published by storing its tag (`Release`) after its id; a reader
//! that sees the tag (`Acquire`) sees the id. A removed name keeps its tag, under the id of none,
//! and has its slot still when it comes back; slots of removed names go when the shard grows. Only
//! the holder of the shard's lock writes, so a lookup that races an insert or a removal sees what
//! was there before or after.

use crate::series::SeriesId;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

const SHARDS: usize = 16;
const SLOTS: usize = 5;
/// Share of used slots above which a shard grows, in percent.
const FILL_PERCENT_MAX: usize = 80;
/// The id in the slot of a removed name.
const NONE: u32 = u32::MAX;

/// Keyed hash of a name in the spelling that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameHash {
    tag: u64,
    /// Below `SHARDS`.
    shard: u8,
}

/// The table.
#[derive(Debug)]
pub(crate) struct NameTable {
    key: Box<[u8; 192]>,
    shards: Box<[Shard]>,
}

#[derive(Debug)]
struct Shard {
    buckets: ArcSwap<Box<[Bucket]>>,
    insert: Mutex<()>,
    /// Slots with a tag, those of removed names included.
    used: AtomicUsize,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket {
    /// Zero where the slot is free.
    tags: [AtomicU64; SLOTS],
    ids: [AtomicU32; SLOTS],
}

impl NameTable {
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        let mut key = Box::new([0; 192]);
        for (i, chunk) in key.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&random.hash_one(i).to_le_bytes());
        }
        Self { key, shards: (0..SHARDS).map(|_| Shard::new()).collect() }
    }

    /// The hash that [`NameTable::id`] and [`NameTable::insert`] take.
    #[inline]
    pub(crate) fn hash(&self, name: &[u8]) -> NameHash {
        let hash = xxhash_rust::xxh3::xxh3_128_with_secret(name, &self.key[..]);
        NameHash { tag: (hash as u64).max(1), shard: (hash >> 64) as u8 % SHARDS as u8 }
    }

    /// The id under this hash.
    pub(crate) fn id(&self, hash: NameHash) -> Option<SeriesId> {
        find(&self.shard(hash).buckets.load(), hash)
    }

    /// The table as it is now, for many lookups; names inserted later may be missing from it.
    pub(crate) fn view(&self) -> View {
        View(self.shards.iter().map(|shard| shard.buckets.load()).collect())
    }

    /// Puts `id` under `hash`, unless something is there already.
    pub(crate) fn insert(&self, hash: NameHash, id: SeriesId) {
        self.insert_all(&[(hash, id)]);
    }

    /// The same for many: takes each lock once.
    pub(crate) fn insert_all(&self, names: &[(NameHash, SeriesId)]) {
        for (number, shard) in self.shards.iter().enumerate() {
            let is_here = |(hash, _): &&(NameHash, SeriesId)| usize::from(hash.shard) == number;
            let here = names.iter().filter(is_here).count();
            if here > 0 {
                shard.insert(names.iter().filter(is_here), here);
            }
        }
    }

    /// Takes out what is under `hash`, if that is `id`.
    pub(crate) fn remove(&self, hash: NameHash, id: SeriesId) {
        let shard = self.shard(hash);
        let _only_writer = shard.insert.lock();
        if let Some(slot) = slot(&shard.buckets.load(), hash) {
            let _ = slot.compare_exchange(id.0, NONE, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Bytes that the table holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let buckets: usize = self.shards.iter().map(|shard| shard.buckets.load().len()).sum();
        buckets * size_of::<Bucket>()
    }

    fn shard(&self, hash: NameHash) -> &Shard {
        &self.shards[usize::from(hash.shard)]
    }
}

/// A look at the whole table; see [`NameTable::view`].
pub(crate) struct View(Vec<Guard<Arc<Box<[Bucket]>>>>);

impl View {
    /// The id under this hash.
    #[inline]
    pub(crate) fn id(&self, hash: NameHash) -> Option<SeriesId> {
        find(&self.0[usize::from(hash.shard)], hash)
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            buckets: ArcSwap::from_pointee(table(4)),
            insert: Mutex::new(()),
            used: AtomicUsize::new(0),
        }
    }

    /// Puts ids, `count` of them, under hashes of this shard.
    fn insert<'a>(&self, names: impl Iterator<Item = &'a (NameHash, SeriesId)>, count: usize) {
        let _only_writer = self.insert.lock();
        let mut buckets = self.buckets.load_full();
        let mut used = self.used.load(Ordering::Relaxed);
        if (used + count) * 100 > buckets.len() * SLOTS * FILL_PERCENT_MAX {
            let (grown, kept) = grown(&buckets, count);
            (buckets, used) = (Arc::new(grown), kept);
            self.buckets.store(Arc::clone(&buckets));
        }
        for &(hash, id) in names {
            used += usize::from(put(&buckets, hash.tag, id.0));
        }
        self.used.store(used, Ordering::Relaxed);
    }
}

fn table(buckets: usize) -> Box<[Bucket]> {
    (0..buckets).map(|_| Bucket::default()).collect()
}

/// The bucket where a tag belongs in a table of a power of two buckets.
fn home(buckets: &[Bucket], tag: u64) -> usize {
    tag as usize & (buckets.len() - 1)
}

#[inline]
fn find(buckets: &[Bucket], hash: NameHash) -> Option<SeriesId> {
    let id = slot(buckets, hash)?.load(Ordering::Relaxed);
    (id != NONE).then_some(SeriesId(id))
}

/// The id beside this tag.
#[inline]
fn slot(buckets: &[Bucket], hash: NameHash) -> Option<&AtomicU32> {
    let mut at = home(buckets, hash.tag);
    loop {
        let bucket = &buckets[at];
        for (tag, id) in bucket.tags.iter().zip(&bucket.ids) {
            match tag.load(Ordering::Acquire) {
                0 => return None,
                tag if tag == hash.tag => return Some(id),
                _ => {}
            }
        }
        at = (at + 1) & (buckets.len() - 1);
    }
}

/// Fills the slot of this tag, unless it has an id, or else the first free one, which is new then;
/// the fill limit keeps one free.
fn put(buckets: &[Bucket], tag: u64, id: u32) -> bool {
    let mut at = home(buckets, tag);
    loop {
        let bucket = &buckets[at];
        for (slot_tag, slot_id) in bucket.tags.iter().zip(&bucket.ids) {
            let there = slot_tag.load(Ordering::Relaxed);
            if there == 0 {
                slot_id.store(id, Ordering::Relaxed);
                slot_tag.store(tag, Ordering::Release);
                return true;
            }
            if there == tag {
                let _ = slot_id.compare_exchange(NONE, id, Ordering::Relaxed, Ordering::Relaxed);
                return false;
            }
        }
        at = (at + 1) & (buckets.len() - 1);
    }
}

/// A table with the names that are not removed, and how many they are: of twice the size, unless
/// many were removed, and with room for as many more as are to come.
fn grown(buckets: &[Bucket], coming: usize) -> (Box<[Bucket]>, usize) {
    let slots = || {
        let slots = buckets.iter().flat_map(|bucket| bucket.tags.iter().zip(&bucket.ids));
        let slots =
            slots.map(|(tag, id)| (tag.load(Ordering::Relaxed), id.load(Ordering::Relaxed)));
        slots.filter(|&(tag, id)| tag != 0 && id != NONE)
    };
    let kept = slots().count();
    let mut len = buckets.len();
    while (kept + kept.max(coming)) * 100 > len * SLOTS * FILL_PERCENT_MAX {
        len *= 2;
    }
    let larger = table(len);
    slots().for_each(|(tag, id)| _ = put(&larger, tag, id));
    (larger, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(i: u32) -> Vec<u8> {
        format!("servers.web{i}.cpu.user").into_bytes()
    }

    #[test]
    fn names_are_found_through_all_growth() {
        let table = NameTable::new();
        for i in 0..50_000 {
            let hash = table.hash(&name(i));
            assert_eq!(table.id(hash), None);
            table.insert(hash, SeriesId(i));
            table.insert(hash, SeriesId(i + 1));
        }
        for i in 0..50_000 {
            assert_eq!(table.id(table.hash(&name(i))), Some(SeriesId(i)));
        }
        assert!(table.memory_bytes() < 50_000 * 40, "{}", table.memory_bytes());
    }

    #[test]
    fn many_at_once_are_as_one_by_one() {
        let (one_by_one, at_once) = (NameTable::new(), NameTable::new());
        for many in [0, 1, 7, 3000, 20_000] {
            // Some are there already, one comes twice; the first id stands.
            let ids = (many / 3..many).chain(0..many / 2);
            let named = |table: &NameTable| -> Vec<(NameHash, SeriesId)> {
                ids.clone().map(|i| (table.hash(&name(i)), SeriesId(i + many))).collect()
            };
            named(&one_by_one).iter().for_each(|&(hash, id)| one_by_one.insert(hash, id));
            at_once.insert_all(&named(&at_once));
            for i in 0..20_000 {
                let id = at_once.id(at_once.hash(&name(i)));
                assert_eq!(id, one_by_one.id(one_by_one.hash(&name(i))));
            }
        }
        assert!(at_once.memory_bytes() < 20_000 * 40, "{}", at_once.memory_bytes());
    }

    #[test]
    fn removed_names_are_gone_until_they_come_back() {
        let table = NameTable::new();
        for turn in 0..20 {
            for i in 0..1000 {
                let hash = table.hash(&name(i + turn * 500));
                let id = SeriesId(turn * 1000 + i);
                table.remove(hash, SeriesId(NONE - 1));
                if let Some(old) = table.id(hash) {
                    table.remove(hash, old);
                }
                assert_eq!(table.id(hash), None);
                table.insert(hash, id);
                assert_eq!(table.id(hash), Some(id));
            }
            for i in 0..500 {
                let hash = table.hash(&name(i + turn * 500));
                table.remove(hash, SeriesId(turn * 1000 + i));
                assert_eq!(table.id(hash), None);
            }
        }
        assert!(table.memory_bytes() < 1000 * 80, "{}", table.memory_bytes());
    }

    #[test]
    fn readers_see_whole_slots_while_others_insert() {
        let table = NameTable::new();
        std::thread::scope(|scope| {
            for writer in 0..2_u32 {
                let table = &table;
                scope.spawn(move || {
                    for i in (0..20_000).map(|i| i * 2 + writer) {
                        table.insert(table.hash(&name(i)), SeriesId(i));
                    }
                });
            }
            let table = &table;
            scope.spawn(move || {
                for i in (0..40_000).rev() {
                    let id = table.id(table.hash(&name(i)));
                    assert!(id.is_none_or(|id| id == SeriesId(i)));
                }
            });
        });
        assert!((0..40_000).all(|i| table.id(table.hash(&name(i))) == Some(SeriesId(i))));
    }
}

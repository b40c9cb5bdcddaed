//! A vector that only grows, never moves an item and is never locked: the memory of the index.
//!
//! Items live in chunks that are allocated when first needed and freed with the
//! arena. Chunk lengths grow by an eighth of the whole, so at most an eighth is
//! allocated ahead of use:
//!
//! ```text
//! index + 8 * MIN = 1 e e e m m m o o o o o ...      (binary, from the highest bit)
//!                     |     |     offset in the chunk
//!                     |     which eighth of the doubling
//!                     which doubling: chunk length = MIN << doubling
//! ```
//!
//! This is the only unsafe code of the index: a chunk's pointer is set once, by one
//! compare-and-swap from null; who loses the race frees its own chunk again.

use super::sync::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::ptr;

/// Items in a chunk of the first doubling, as a power of two.
const MIN_BITS: u32 = if cfg!(loom) { 1 } else { 8 };
/// Chunks in a doubling, as a power of two.
const STEP_BITS: u32 = 3;
/// Enough chunks for every `u32` index; the models need few.
const CHUNKS: usize =
    if cfg!(loom) { 24 } else { ((33 - MIN_BITS - STEP_BITS) << STEP_BITS) as usize };

/// Chunk, offset in it, and its length.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    chunk: usize,
    offset: usize,
    len: usize,
}

fn place(index: u32) -> Place {
    let shifted = u64::from(index) + (1 << (MIN_BITS + STEP_BITS));
    let doubling = shifted.ilog2() - MIN_BITS - STEP_BITS;
    let len = chunk_len((doubling << STEP_BITS) as usize);
    let step = (shifted >> (doubling + MIN_BITS)) as usize & ((1 << STEP_BITS) - 1);
    Place {
        chunk: ((doubling as usize) << STEP_BITS) + step,
        offset: shifted as usize & (len - 1),
        len,
    }
}

const fn chunk_len(chunk: usize) -> usize {
    1 << (MIN_BITS as usize + (chunk >> STEP_BITS))
}

/// See the module.
#[derive(Debug)]
pub(super) struct Arena<T: Default + Send + Sync> {
    /// Null, or the first of `chunk_len(i)` items from a leaked `Box<[T]>`; once set, never changed.
    chunks: [AtomicPtr<T>; CHUNKS],
    owns: PhantomData<Box<[T]>>,
}

impl<T: Default + Send + Sync> Arena<T> {
    pub(super) fn new() -> Self {
        let chunks = std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Self { chunks, owns: PhantomData }
    }

    /// The item, unless its chunk was never asked for by [`Self::ensure`].
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let place = place(index);
        self.chunk(place.chunk)?.get(place.offset)
    }

    /// The item, allocating its chunk if need be; new items are `T::default()`.
    pub(super) fn ensure(&self, index: u32) -> &T {
        let place = place(index);
        &self.chunk_or_new(place.chunk)[place.offset]
    }

    /// `len` items from `start` on, or `None` where they do not lie in one chunk.
    pub(super) fn ensure_run(&self, start: u32, len: usize) -> Option<&[T]> {
        let place = place(start);
        if place.offset + len > place.len {
            return None;
        }
        Some(&self.chunk_or_new(place.chunk)[place.offset..place.offset + len])
    }

    /// A run that [`Self::ensure_run`] gave before.
    pub(super) fn run(&self, start: u32, len: usize) -> &[T] {
        let place = place(start);
        let chunk = self.chunk(place.chunk).expect("a run is read after it was made");
        &chunk[place.offset..place.offset + len]
    }

    /// Bytes of all chunks.
    pub(super) fn memory_bytes(&self) -> usize {
        let len = |chunk| self.chunk(chunk).map_or(0, <[T]>::len);
        (0..CHUNKS).map(len).sum::<usize>() * size_of::<T>()
    }

    #[expect(unsafe_code, reason = "chunks are shared through a pointer set once")]
    fn chunk(&self, chunk: usize) -> Option<&[T]> {
        let first = self.chunks[chunk].load(Ordering::Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: a pointer in `chunks` is not null only after `chunk_or_new` stored there the
        // start of a leaked box of `chunk_len(chunk)` initialised items (its release pairs with
        // the acquire above). It is freed only by `drop`, which has the arena for itself, so the
        // items live as long as `&self`; nobody makes a `&mut T` before that.
        Some(unsafe { std::slice::from_raw_parts(first, chunk_len(chunk)) })
    }

    #[expect(unsafe_code, reason = "chunks are shared through a pointer set once")]
    fn chunk_or_new(&self, chunk: usize) -> &[T] {
        if let Some(items) = self.chunk(chunk) {
            return items;
        }
        let items: Box<[T]> = (0..chunk_len(chunk)).map(|_| T::default()).collect();
        let first = Box::into_raw(items).cast::<T>();
        let null = ptr::null_mut();
        let set =
            self.chunks[chunk].compare_exchange(null, first, Ordering::AcqRel, Ordering::Acquire);
        if set.is_err() {
            // SAFETY: `first` is the box leaked above, of this length, and no one else saw it.
            unsafe { free(first, chunk_len(chunk)) };
        }
        self.chunk(chunk).expect("this or another thread has just set it")
    }
}

impl<T: Default + Send + Sync> Drop for Arena<T> {
    #[expect(unsafe_code, reason = "chunks are shared through a pointer set once")]
    fn drop(&mut self) {
        for (chunk, first) in self.chunks.iter().enumerate() {
            let first = first.load(Ordering::Acquire);
            if !first.is_null() {
                // SAFETY: it is a leaked box of this length (see `chunk_or_new`), `&mut self`
                // shows that no reference to its items is left, and each is freed once.
                unsafe { free(first, chunk_len(chunk)) };
            }
        }
    }
}

/// # Safety
/// `first` must come from `Box::<[T]>::into_raw` of a box of `len` items, not freed before and
/// not used after.
#[expect(unsafe_code, reason = "takes back a leaked box")]
unsafe fn free<T>(first: *mut T, len: usize) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(first, len)) });
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn places_follow_each_other_without_gap() {
        let mut next = Place { chunk: 0, offset: 0, len: chunk_len(0) };
        for index in 0..if cfg!(miri) { 5000 } else { 100_000 } {
            assert_eq!(place(index), next, "{index}");
            next.offset += 1;
            if next.offset == next.len {
                let chunk = next.chunk + 1;
                next = Place { chunk, offset: 0, len: chunk_len(chunk) };
            }
        }
        assert!(place(u32::MAX).chunk < CHUNKS);
    }

    #[test]
    fn threads_share_the_same_items() {
        let arena = Arena::<AtomicU32>::new();
        assert!(arena.get(5000).is_none());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for index in 0..700 {
                        arena.ensure(index).fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!((0..700).all(|index| arena.get(index).unwrap().load(Ordering::Relaxed) == 4));
        assert_eq!(arena.memory_bytes(), 3 * 256 * 4);
    }

    #[test]
    fn runs_stay_in_one_chunk() {
        let arena = Arena::<AtomicU32>::new();
        assert!(arena.ensure_run(250, 7).is_none());
        assert_eq!(arena.ensure_run(250, 6).map(<[_]>::len), Some(6));
        assert_eq!(arena.run(250, 6).len(), 6);
    }
}

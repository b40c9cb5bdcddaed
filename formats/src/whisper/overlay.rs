//! A file with changes that are not written to it.
//!
//! Whatever the format does to a file can be done to an overlay of it first: to see what would
//! come of it and forget it, or to write all of it at once, each stretch in one call.

use std::io;

use super::FileBytes;

/// The bytes of `F` and what was written over them. `F` itself is only read.
///
/// The changes are kept as stretches that do not overlap, in the order of their places. There are
/// few of them: a batch of points changes a few stretches of each archive. Those that merely touch
/// stay apart, so that who writes them can keep the index of a compressed file for the last.
#[derive(Debug)]
pub struct Overlay<F> {
    base: F,
    /// How many bytes of `base` are still seen: what it was cut to, at least once.
    base_len: u64,
    /// Length with all changes. What neither `base` nor a patch has is zero.
    len: u64,
    patches: Vec<Patch>,
}

/// A stretch of bytes that is not as in the file below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Its place.
    pub offset: u64,
    /// What is there now; not empty.
    pub bytes: Vec<u8>,
}

impl Patch {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// What an overlay was made of, and of what became of it.
#[derive(Debug)]
pub struct OverlayParts<F> {
    /// The file below, as it was.
    pub base: F,
    /// Length that it is to have.
    pub len_bytes: u64,
    /// What is to be written to it, in the order of the places.
    pub patches: Vec<Patch>,
}

impl<F: FileBytes> Overlay<F> {
    /// `base` without a change. That of an empty `base` is a file that is not there yet.
    ///
    /// # Errors
    /// When `base` cannot be asked for its length.
    pub fn new(base: F) -> io::Result<Self> {
        let len = base.len()?;
        Ok(Self { base, base_len: len, len, patches: Vec::new() })
    }

    /// The file below and the changes.
    pub fn into_parts(self) -> OverlayParts<F> {
        OverlayParts { base: self.base, len_bytes: self.len, patches: self.patches }
    }

    /// The file below.
    pub const fn base(&self) -> &F {
        &self.base
    }

    /// Where the stretch ends, if it lies in the file.
    fn end(&self, offset: u64, len: usize) -> Option<u64> {
        offset.checked_add(len as u64).filter(|&end| end <= self.len)
    }

    /// Puts a stretch among the patches, as one with those that it overlaps.
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let first = self.patches.partition_point(|patch| patch.end() <= offset);
        let last = self.patches.partition_point(|patch| patch.offset < end);
        if first == last {
            self.patches.insert(first, Patch { offset, bytes: bytes.to_vec() });
            return;
        }
        let (target, others) = self.patches[first..last].split_first_mut().expect("first < last");
        if offset < target.offset {
            let gap = (target.offset - offset) as usize;
            target.bytes.splice(0..0, std::iter::repeat_n(0, gap));
            target.offset = offset;
        }
        if let Some(after) = others.last().filter(|after| after.end() > end) {
            let missing = target.end().max(end);
            target.bytes.resize((missing - target.offset) as usize, 0);
            target.bytes.extend_from_slice(&after.bytes[(missing - after.offset) as usize..]);
        }
        let start = (offset - target.offset) as usize;
        if target.bytes.len() < start + bytes.len() {
            target.bytes.resize(start + bytes.len(), 0);
        }
        target.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.patches.drain(first + 1..last);
    }
}

impl<F: FileBytes> FileBytes for Overlay<F> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        self.len = len_bytes;
        self.base_len = self.base_len.min(len_bytes);
        self.patches.retain(|patch| patch.offset < len_bytes);
        if let Some(last) = self.patches.last_mut() {
            let room = usize::try_from(len_bytes - last.offset).unwrap_or(usize::MAX);
            last.bytes.truncate(room);
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = self.end(offset, out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        let first = self.patches.partition_point(|patch| patch.end() <= offset);
        let after = self.patches.partition_point(|patch| patch.offset < end);
        let patches = &self.patches[first..after];
        // One patch may well be all that is asked for.
        let whole = |patch: &Patch| patch.offset <= offset && end <= patch.end();
        if !patches.first().is_some_and(whole) {
            let below = self.base_len.saturating_sub(offset).min(out.len() as u64) as usize;
            let (below, zeros) = out.split_at_mut(below);
            if !below.is_empty() {
                self.base.read_at(offset, below)?;
            }
            zeros.fill(0);
        }
        for patch in patches {
            let (from, until) = (patch.offset.max(offset), patch.end().min(end));
            let source =
                &patch.bytes[(from - patch.offset) as usize..(until - patch.offset) as usize];
            out[(from - offset) as usize..(until - offset) as usize].copy_from_slice(source);
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.end(offset, bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        if !bytes.is_empty() {
            self.put(offset, bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What is done to a file.
    #[derive(Debug, Clone)]
    enum Act {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            8 => (0..70_u64, vec(1..9_u8, 0..20)).prop_map(|(at, bytes)| Act::Write(at, bytes)),
            1 => (0..80_u64).prop_map(Act::SetLen),
        ]
    }

    proptest! {
        /// An overlay is the file that it stands for, and its patches make it out of the base.
        #[test]
        fn an_overlay_is_the_changed_file(base in vec(9..20_u8, 0..64), acts in vec(act(), 0..24)) {
            let mut expected = base.clone();
            let mut overlay = Overlay::new(base.clone()).unwrap();
            for act in acts {
                match act {
                    Act::Write(at, bytes) => {
                        let written = FileBytes::write_at(&mut expected, at, &bytes).is_ok();
                        prop_assert_eq!(overlay.write_at(at, &bytes).is_ok(), written);
                    }
                    Act::SetLen(len) => {
                        FileBytes::set_len(&mut expected, len).unwrap();
                        overlay.set_len(len).unwrap();
                    }
                }
                for at in 0..expected.len() {
                    for end in at..=expected.len() {
                        let mut found = vec![77; end - at];
                        overlay.read_at(at as u64, &mut found).unwrap();
                        prop_assert_eq!(&found, &expected[at..end]);
                    }
                }
                let past = overlay.read_at(expected.len() as u64, &mut [0]);
                prop_assert_eq!(past.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
            let apart = |pair: &[Patch]| pair[0].end() <= pair[1].offset;
            prop_assert!(overlay.patches.windows(2).all(apart), "{:?}", overlay.patches);
            prop_assert_eq!(overlay.base(), &base);
        }
    }
}

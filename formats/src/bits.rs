//! Single bits in bytes, most significant first; the last byte is padded with zeros.
//!
//! Both sides work on 64-bit words. The writer fills an accumulator and moves
//! it away eight bytes at a time, so most writes touch no heap. The
//! reader loads the eight bytes at its position and lets the caller look at a
//! whole code before it moves on; past the end it sees zeros, and every move is
//! checked, so no input makes it read outside its slice.

/// Where a writer puts the words it has filled.
pub trait Words {
    /// Appends a word; its most significant bit is the first of its bits.
    fn push_word(&mut self, word: u64);
}

/// Big-endian bytes, which grow by a quarter: a writer that lives long wastes little.
impl Words for Vec<u8> {
    #[inline]
    fn push_word(&mut self, word: u64) {
        if self.capacity() - self.len() < 8 {
            grow(self);
        }
        self.extend_from_slice(&word.to_be_bytes());
    }
}

#[cold]
fn grow(words: &mut Vec<u8>) {
    let more = (words.len() / 4).next_multiple_of(8).max(32);
    words.reserve_exact(more);
}

/// The bits at the end of a stream that fill no word yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct BitTail {
    /// At the top; the rest is zero.
    bits: u64,
    /// How many there are: 0..=63.
    len: u8,
}

impl BitTail {
    /// No bits.
    pub const fn new() -> Self {
        Self { bits: 0, len: 0 }
    }
}

/// Writes bits, word by word.
#[derive(Debug, Clone, Default)]
pub struct BitWriter<W = Vec<u8>> {
    /// Whole words written so far.
    words: W,
    tail: BitTail,
}

impl<W: Words> BitWriter<W> {
    /// Goes on where a writer ended that left `tail` after `words`.
    #[inline]
    pub const fn resume(words: W, tail: BitTail) -> Self {
        Self { words, tail }
    }

    /// What is not among the words yet.
    #[inline]
    pub const fn tail(&self) -> BitTail {
        self.tail
    }

    /// Appends the low `len` bits of `value`, 1..=64 of them; the others must be zero.
    #[inline]
    pub fn put(&mut self, value: u64, len: u32) {
        debug_assert!((1..=64).contains(&len) && (len == 64 || value >> len == 0));
        let free = 64 - u32::from(self.tail.len);
        if len < free {
            self.tail.bits |= value << (free - len);
            self.tail.len += len as u8;
        } else {
            let left = len - free;
            self.words.push_word(self.tail.bits | (value >> left));
            // Two shifts, because `left` may be 0 and a shift by 64 is none.
            self.tail.bits = (value << (63 - left)) << 1;
            self.tail.len = left as u8;
        }
    }
}

impl BitWriter {
    /// A writer without bits, and without an allocation.
    pub const fn new() -> Self {
        Self { words: Vec::new(), tail: BitTail::new() }
    }

    /// Bits written so far.
    pub fn bit_len(&self) -> u64 {
        self.words.len() as u64 * 8 + u64::from(self.tail.len)
    }

    /// Bytes that [`payload_into`](Self::payload_into) appends.
    pub fn payload_len(&self) -> usize {
        self.words.len() + usize::from(self.tail.len).div_ceil(8)
    }

    /// Appends all bits to `out`, the last byte padded with zeros. Writing may go on after it.
    pub fn payload_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.words);
        let tail_bytes = usize::from(self.tail.len).div_ceil(8);
        out.extend_from_slice(&self.tail.bits.to_be_bytes()[..tail_bytes]);
    }

    /// Bytes allocated on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.words.capacity()
    }
}

/// The input ends before the bits that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("input ends at bit {end_bit}, bits up to {need_bit} are needed")]
pub struct OutOfBits {
    /// First bit that is missing: the length of the input in bits.
    pub end_bit: u64,
    /// Length in bits that the input would have to have.
    pub need_bit: u64,
}

/// Reads bits from a slice.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Next bit to read; never beyond the end of `bytes`.
    position: u64,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Offset of the next bit from the start of the input.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Bits not yet read, padding included.
    pub const fn remaining(&self) -> u64 {
        self.bytes.len() as u64 * 8 - self.position
    }

    /// The next 64 bits, without moving; zeros stand for what lies past the end.
    #[inline]
    pub fn peek(&self) -> u64 {
        let start = (self.position >> 3) as usize;
        let Some(&[a, b, c, d, e, f, g, h, last]) =
            self.bytes.get(start..).and_then(<[u8]>::first_chunk)
        else {
            return self.peek_near_end();
        };
        let used = self.position & 7;
        let word = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        word << used | u64::from(last) >> (8 - used)
    }

    /// What is left of the last eight bytes of the input, zeros after it.
    fn peek_near_end(&self) -> u64 {
        let mut last = [0; 8];
        match self.bytes.last_chunk() {
            Some(bytes) => last = *bytes,
            None => last[8 - self.bytes.len()..].copy_from_slice(self.bytes),
        }
        // Nothing is left: a shift by 64, which is none for the processor.
        let gone = 64 - self.remaining() as u32;
        u64::from_be_bytes(last).checked_shl(gone).unwrap_or(0)
    }

    /// Moves over `len` bits.
    ///
    /// # Errors
    ///
    /// [`OutOfBits`] when fewer are left; the position stays.
    #[inline]
    pub fn skip(&mut self, len: u32) -> Result<(), OutOfBits> {
        self.require(len)?;
        self.position += u64::from(len);
        Ok(())
    }

    /// Checks that `len` bits are left.
    ///
    /// # Errors
    ///
    /// [`OutOfBits`] when fewer are left.
    #[inline]
    pub fn require(&self, len: u32) -> Result<(), OutOfBits> {
        let end_bit = self.bytes.len() as u64 * 8;
        let need_bit = self.position + u64::from(len);
        if need_bit > end_bit { Err(OutOfBits { end_bit, need_bit }) } else { Ok(()) }
    }

    /// Takes `len` bits, 1..=64.
    ///
    /// # Errors
    ///
    /// [`OutOfBits`] when fewer are left; the position stays.
    #[inline]
    pub fn take(&mut self, len: u32) -> Result<u64, OutOfBits> {
        debug_assert!((1..=64).contains(&len));
        let value = self.peek() >> (64 - len);
        self.skip(len)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fields of 1..=64 bits, each value within its width.
    fn fields() -> impl Strategy<Value = Vec<(u64, u32)>> {
        proptest::collection::vec((any::<u64>(), 1u32..=64), 0..100)
            .prop_map(|fields| fields.into_iter().map(|(v, len)| (v >> (64 - len), len)).collect())
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(fields in fields()) {
            let mut writer = BitWriter::new();
            let mut text = String::new();
            for &(value, len) in &fields {
                writer.put(value, len);
                text += &format!("{value:0len$b}", len = len as usize);
            }
            let mut bytes = Vec::new();
            writer.payload_into(&mut bytes);
            prop_assert_eq!(writer.bit_len(), text.len() as u64);
            prop_assert_eq!(writer.payload_len(), bytes.len());
            text += &"0".repeat(bytes.len() * 8 - text.len());
            let spelled: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
            prop_assert_eq!(spelled, text);

            let mut reader = BitReader::new(&bytes);
            for &(value, len) in &fields {
                prop_assert_eq!(reader.take(len).unwrap(), value);
            }
            prop_assert!(reader.remaining() < 8);
            let left = reader.remaining() as u32;
            prop_assert!(reader.take(left + 1).is_err());
            prop_assert!(reader.skip(left).is_ok());
            prop_assert_eq!(reader.peek(), 0);
        }
    }

    #[test]
    fn an_empty_writer_owns_no_memory() {
        let writer = BitWriter::new();
        assert_eq!((writer.heap_bytes(), writer.payload_len()), (0, 0));
    }

    #[test]
    fn slack_stays_within_a_quarter() {
        let mut writer = BitWriter::new();
        for len_bytes in (8..100_000).step_by(8) {
            writer.put(7, 64);
            let slack = writer.heap_bytes() - len_bytes;
            assert!(slack <= (len_bytes / 4).max(24), "{slack} bytes of slack at {len_bytes}");
        }
    }
}

//! One block: a first point as it is, then codes, then the end marker.
//!
//! ```text
//! time u32 │ value f64 │ code … code │ 1111 and 32 zeros │ unused
//! ```

use super::Point;
use super::code::{CodeError, MARKER, MARKER_BITS, PointCode, Times, Values, read_point};
use crate::bits::{BitReader, BitWriter};

/// Bytes of the first point of a block.
pub(super) const FIRST_POINT_BYTES: u64 = 12;

/// Bytes that a writer keeps free for the end marker.
pub(super) const MARKER_RESERVE_BYTES: u64 = 5;

/// The least block that holds two points of any value, without which an
/// archive cannot move on.
pub(super) const BLOCK_BYTES_MIN: u32 = 33;

/// Where a block is being written: all that the next point is coded against.
///
/// The fields are those of the file, and so is their state after a block has
/// become full, which nobody reads.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenBlock {
    /// First point; its time is 0 while the block is empty.
    pub first: Point,
    /// Newest point.
    pub newest: Point,
    /// The point before the newest; the same while the block has one.
    pub before: Point,
    /// The partly filled byte.
    pub last_byte: u8,
    /// Absolute offset of that byte.
    pub last_byte_offset: u32,
    /// Next free bit of it: 7 is the highest, and means that it is empty.
    pub bit_position: u8,
    /// Points minus one.
    pub count: u32,
    /// CRC-32 of the bytes that are complete.
    pub crc: u32,
}

/// What one append did to a block.
#[derive(Debug, PartialEq)]
pub struct Appended<'p> {
    /// Absolute offset of the bytes to write.
    pub offset: u32,
    /// Points that did not fit: not empty exactly when the block is full.
    pub rest: &'p [Point],
    /// Points that were not newer than the newest.
    pub dropped: u32,
}

impl OpenBlock {
    /// An empty block that begins at an absolute offset.
    pub const fn empty(offset: u32) -> Self {
        let none = Point { time_s: 0, value: 0.0 };
        Self {
            first: none,
            newest: none,
            before: none,
            last_byte: 0,
            last_byte_offset: offset,
            bit_position: 7,
            count: 0,
            crc: 0,
        }
    }

    /// Whether it has no point yet.
    pub const fn is_empty(&self) -> bool {
        self.first.time_s == 0
    }

    /// Appends points to the block that ends at the absolute offset `end`, and
    /// leaves the bytes to write in `out`: from the byte that was partly filled
    /// to the end marker, and to the end of the block if that is full.
    pub fn append<'p>(
        &mut self,
        step_s: u32,
        end: u32,
        points: &'p [Point],
        out: &mut Vec<u8>,
    ) -> Appended<'p> {
        let start = self.last_byte_offset;
        let mut bits = BitWriter::new();
        let used = 7 - u32::from(self.bit_position);
        if used > 0 {
            bits.put(u64::from(self.last_byte >> (8 - used)), used);
        }
        let (rest, dropped) = self.push_while_room(&mut bits, step_s, end, points);
        let appended = Appended { offset: start, rest, dropped };
        self.settle(bits, out, end, !rest.is_empty());
        appended
    }

    fn push_while_room<'p>(
        &mut self,
        bits: &mut BitWriter,
        step_s: u32,
        end: u32,
        points: &'p [Point],
    ) -> (&'p [Point], u32) {
        let room_bytes = u64::from(end - self.last_byte_offset);
        let mut dropped = 0;
        for (index, &point) in points.iter().enumerate() {
            if point.time_s == 0 {
                continue;
            }
            if point.time_s <= self.newest.time_s {
                dropped += 1;
                continue;
            }
            if self.is_empty() {
                bits.put(point.time_s.into(), 32);
                bits.put(point.value.to_bits(), 64);
                (self.first, self.newest, self.before) = (point, point, point);
                continue;
            }
            let code = self.code(step_s, point);
            if (bits.bit_len() + code.len_bits()) / 8 + MARKER_RESERVE_BYTES >= room_bytes {
                return (&points[index..], dropped);
            }
            code.put(bits);
            (self.before, self.newest) = (self.newest, point);
            self.count += 1;
        }
        (&[], dropped)
    }

    fn code(&self, step_s: u32, point: Point) -> PointCode {
        let times = Times { newest_s: self.newest.time_s, before_s: self.before.time_s };
        let newest = self.newest.value.to_bits();
        let values = Values { newest, xor: newest ^ self.before.value.to_bits() };
        PointCode::new(times, values, step_s, point.time_s, point.value.to_bits())
    }

    /// Turns bits into bytes, and takes down where the next append goes on.
    fn settle(&mut self, mut bits: BitWriter, out: &mut Vec<u8>, end: u32, full: bool) {
        let start = self.last_byte_offset;
        let whole_bytes = (bits.bit_len() / 8) as usize;
        self.bit_position = 7 - (bits.bit_len() % 8) as u8;
        self.last_byte_offset = start + whole_bytes as u32;
        out.clear();
        bits.payload_into(out);
        self.last_byte = out.get(whole_bytes).copied().unwrap_or(0);

        bits.put(MARKER, MARKER_BITS);
        let marked_bytes = (bits.bit_len() / 8 + 1) as usize;
        out.clear();
        bits.payload_into(out);
        out.resize(marked_bytes, 0);
        if full {
            out.resize((end - start) as usize, 0);
            self.crc = crc32(self.crc, out);
            self.last_byte_offset = end - 1;
        } else {
            self.crc = crc32(self.crc, &out[..whole_bytes]);
        }
    }
}

/// The CRC-32 of zlib, going on from an earlier one (0 at the start).
pub(super) fn crc32(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// The points of one block, oldest first.
///
/// Stops at the end marker, where the bits end, and after the points that the
/// block table states; ends after an error.
#[derive(Debug, Clone)]
pub struct BlockPoints<'a> {
    bits: BitReader<'a>,
    step_s: u32,
    times: Times,
    values: Values,
    /// Points to come at most, the first included.
    left: u64,
    /// No point is later.
    end_s: u32,
    first: bool,
}

impl<'a> BlockPoints<'a> {
    /// The points of a block whose table record states `count` (points minus
    /// one) and the end time.
    pub fn new(bytes: &'a [u8], step_s: u32, count: u32, end_s: u32) -> Self {
        let mut bits = BitReader::new(bytes);
        let mut left = u64::from(count) + 1;
        let (mut time_s, mut value) = (0, 0);
        match (bits.take(32), bits.take(64)) {
            (Ok(time), Ok(bits)) => (time_s, value) = (time as u32, bits),
            // A block without room for a point has none.
            _ => left = 0,
        }
        Self {
            bits,
            step_s,
            times: Times { newest_s: time_s, before_s: time_s },
            values: Values { newest: value, xor: 0 },
            left,
            end_s,
            first: true,
        }
    }

    /// All that the bytes hold, whatever a table states.
    pub fn unbounded(bytes: &'a [u8], step_s: u32) -> Self {
        Self::new(bytes, step_s, u32::MAX, u32::MAX)
    }

    #[inline]
    fn read(&mut self) -> Result<Option<Point>, CodeError> {
        let bit_offset = self.bits.position();
        if !self.first {
            match read_point(&mut self.bits, self.times, self.values, self.step_s) {
                // A writer leaves room for the end marker, so this is none.
                Ok(Some(_)) if self.bits.remaining() == 0 => return Ok(None),
                Ok(Some((time_s, xor))) => self.advance(bit_offset, time_s, xor)?,
                // Bytes that are no block, or the end of one that was cut.
                Ok(None) | Err(CodeError::OutOfBits(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        self.first = false;
        let time_s = self.times.newest_s;
        if time_s > self.end_s {
            return Err(self.time_error(bit_offset, time_s.into()));
        }
        Ok(Some(Point { time_s, value: f64::from_bits(self.values.newest) }))
    }

    #[inline]
    fn advance(&mut self, bit_offset: u64, time_s: i64, xor: u64) -> Result<(), CodeError> {
        // Writers of 2020 repeat times: the last of equal ones counts.
        match u32::try_from(time_s) {
            Ok(time) if time >= self.times.newest_s && time <= self.end_s => {
                self.times = Times { newest_s: time, before_s: self.times.newest_s };
                self.values = Values { newest: self.values.newest ^ xor, xor };
                Ok(())
            }
            _ => Err(self.time_error(bit_offset, time_s)),
        }
    }

    #[cold]
    fn time_error(&self, bit_offset: u64, time_s: i64) -> CodeError {
        let (from_s, until_s) = (self.times.newest_s, self.end_s);
        CodeError::Time { bit_offset, time_s, from_s, until_s }
    }
}

impl Iterator for BlockPoints<'_> {
    type Item = Result<Point, CodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        match self.read() {
            Ok(Some(point)) => Some(Ok(point)),
            end => {
                self.left = 0;
                end.transpose()
            }
        }
    }
}

//! Checksummed frames: the record layer of every append-only log (WAL, manifest, series log,
//! event log).
//!
//! ```text
//! file   = header frame*
//! header = magic:4 version:u16 zero:u16 number:u64 crc:u32            20 bytes
//! frame  = mark:F5 B7 kind:u8 zero:u8 len:u32 crc:u32 payload[len]    12 + len bytes
//! ```
//!
//! Integers are little-endian. A checksum is the CRC-32C of everything before it in the header,
//! and for a frame of its first 8 bytes and its payload. A log ends where it was cut by a crash:
//! bytes that are no valid frame, with no valid frame after them, are a *torn tail* and normal.
//! Bytes that are no valid frame but are followed by one are *damage*: the reader names the
//! offset, skips to the next valid frame and goes on. The mark makes that search cheap.

use thiserror::Error;

/// Bytes of a file header.
pub const HEADER_BYTES: usize = 20;
/// Bytes of a frame around its payload.
pub const FRAME_BYTES: usize = 12;
/// Largest payload of a frame.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

const MARK: [u8; 2] = [0xf5, 0xb7];
const VERSION: u16 = 1;
/// Checksum work that one search for the next valid frame may cost.
const RESYNC_BYTES_MAX: usize = 256 << 20;

/// What a log file is, by the first bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// A segment of the write-ahead log.
    Wal,
    /// The manifest.
    Manifest,
    /// The series log.
    Series,
    /// The event log.
    Events,
}

impl LogKind {
    fn magic(self) -> [u8; 4] {
        match self {
            Self::Wal => *b"SbWL",
            Self::Manifest => *b"SbMF",
            Self::Series => *b"SbSR",
            Self::Events => *b"SbEV",
        }
    }
}

/// Why a header or a frame is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The input ends inside it: normal at the tail after a crash.
    #[error("needs {need_bytes} bytes, {have_bytes} left")]
    Truncated {
        /// Bytes it would take.
        need_bytes: usize,
        /// Bytes there are.
        have_bytes: usize,
    },
    /// The bytes do not match their checksum.
    #[error("checksum is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Computed over the bytes.
        found: u32,
        /// Stored beside them.
        expected: u32,
    },
    /// Not the first bytes of such a file or frame.
    #[error("starts with {found:02x?}, expected {expected:02x?}")]
    Magic {
        /// The bytes that are there.
        found: [u8; 4],
        /// The bytes that should be.
        expected: [u8; 4],
    },
    /// Written by a newer Silverback.
    #[error("version is {found}, this program reads up to {VERSION}: use a newer one")]
    Version {
        /// Version of the file.
        found: u16,
    },
    /// A length that no frame has.
    #[error("payload of {len_bytes} bytes is over the limit of {PAYLOAD_BYTES_MAX}")]
    TooLong {
        /// Length found.
        len_bytes: usize,
    },
}

/// Appends a file header; `number` is the log's own (a segment's number, or zero).
pub fn header_into(kind: LogKind, number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&kind.magic());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Reads a file header and gives its number.
///
/// # Errors
/// When the file is not a log of this kind that this program can read.
pub fn header_number(kind: LogKind, bytes: &[u8]) -> Result<u64, FrameError> {
    let truncated = FrameError::Truncated { need_bytes: HEADER_BYTES, have_bytes: bytes.len() };
    let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(truncated)?;
    let found = [header[0], header[1], header[2], header[3]];
    let expected = kind.magic();
    if found != expected {
        return Err(FrameError::Magic { found, expected });
    }
    check_crc(crc32c::crc32c(&header[..16]), u32_at(header, 16))?;
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version != VERSION {
        return Err(FrameError::Version { found: version });
    }
    Ok(u64_at(header, 8))
}

/// Starts a frame in `out`: append the payload, then call [`finish`] with the result.
#[must_use]
pub fn start(kind: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[MARK[0], MARK[1], kind, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    start
}

/// Ends the frame that [`start`] began at offset `start` of `out`.
///
/// # Panics
/// When the payload is longer than [`PAYLOAD_BYTES_MAX`]: writers split before.
pub fn finish(start: usize, out: &mut [u8]) {
    let len = out.len() - start - FRAME_BYTES;
    assert!(len <= PAYLOAD_BYTES_MAX, "payload of {len} bytes is over the limit of a frame");
    let len = u32::try_from(len).expect("the limit fits u32");
    out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
    let crc = frame_crc(&out[start..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// One step through a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A valid frame.
    Frame {
        /// What it holds, by the log's own numbering.
        kind: u8,
        /// Its bytes.
        payload: &'a [u8],
        /// Where it begins in the file.
        offset: usize,
    },
    /// Bytes that are no frame, with valid frames after them: the file is damaged.
    Damage {
        /// Where the bad bytes begin in the file.
        offset: usize,
        /// How many of them were skipped.
        skipped_bytes: usize,
        /// What is wrong with the first of them.
        error: FrameError,
    },
    /// Bytes after the last valid frame: what a crash cut, or the end of a damaged file.
    Tail {
        /// Where they begin in the file.
        offset: usize,
        /// How many there are.
        len_bytes: usize,
    },
}

/// Walks the frames of a log, header excluded. Never fails: what is not a frame is reported.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Frames<'a> {
    /// Walks `bytes`, a whole file whose header was read.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::starting_at(bytes, HEADER_BYTES)
    }

    /// Walks `bytes`, a whole file whose header was read, from a frame that begins at `offset`
    /// on; nothing when the file ends before.
    #[must_use]
    pub fn starting_at(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset: offset.max(HEADER_BYTES).min(bytes.len()) }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let offset = self.offset;
        let rest = &self.bytes[offset..];
        if rest.is_empty() {
            return None;
        }
        match frame(rest) {
            Ok((kind, payload)) => {
                self.offset += FRAME_BYTES + payload.len();
                Some(Step::Frame { kind, payload, offset })
            }
            Err(error) => match next_valid(rest) {
                Some(skipped_bytes) => {
                    self.offset += skipped_bytes;
                    Some(Step::Damage { offset, skipped_bytes, error })
                }
                None => {
                    self.offset = self.bytes.len();
                    Some(Step::Tail { offset, len_bytes: rest.len() })
                }
            },
        }
    }
}

/// The frame at the start of `bytes`: its kind and payload.
fn frame(bytes: &[u8]) -> Result<(u8, &[u8]), FrameError> {
    let truncated = FrameError::Truncated { need_bytes: FRAME_BYTES, have_bytes: bytes.len() };
    let (head, rest) = bytes.split_first_chunk::<FRAME_BYTES>().ok_or(truncated)?;
    if head[..2] != MARK || head[3] != 0 {
        let found = [head[0], head[1], head[2], head[3]];
        return Err(FrameError::Magic { found, expected: [MARK[0], MARK[1], head[2], 0] });
    }
    let len_bytes = u32_at(head, 4) as usize;
    if len_bytes > PAYLOAD_BYTES_MAX {
        return Err(FrameError::TooLong { len_bytes });
    }
    let need_bytes = FRAME_BYTES + len_bytes;
    let Some(payload) = rest.get(..len_bytes) else {
        return Err(FrameError::Truncated { need_bytes, have_bytes: bytes.len() });
    };
    check_crc(frame_crc(&bytes[..need_bytes]), u32_at(head, 8))?;
    Ok((head[2], payload))
}

/// Offset of the first valid frame after the start of `bytes`.
fn next_valid(bytes: &[u8]) -> Option<usize> {
    let mut work = 0;
    for offset in memchr::memmem::find_iter(&bytes[1..], &MARK).map(|at| at + 1) {
        match frame(&bytes[offset..]) {
            Ok(_) => return Some(offset),
            Err(FrameError::Checksum { .. }) => work += u32_at(&bytes[offset..], 4) as usize,
            Err(_) => {}
        }
        if work > RESYNC_BYTES_MAX {
            return None;
        }
    }
    None
}

fn frame_crc(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..8]), &frame[FRAME_BYTES..])
}

fn check_crc(found: u32, expected: u32) -> Result<(), FrameError> {
    if found == expected { Ok(()) } else { Err(FrameError::Checksum { found, expected }) }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        header_into(LogKind::Wal, 7, &mut out);
        for (kind, payload) in payloads.iter().enumerate() {
            let at = start(kind as u8, &mut out);
            out.extend_from_slice(payload);
            finish(at, &mut out);
        }
        out
    }

    fn payloads(bytes: &[u8]) -> Vec<&[u8]> {
        Frames::new(bytes)
            .filter_map(|step| match step {
                Step::Frame { payload, .. } => Some(payload),
                Step::Damage { .. } | Step::Tail { .. } => None,
            })
            .collect()
    }

    const THREE: [&[u8]; 3] = [b"first", b"", b"third one"];

    #[test]
    fn what_goes_in_comes_out() {
        let bytes = log(&THREE);
        assert_eq!(header_number(LogKind::Wal, &bytes), Ok(7));
        assert_eq!(payloads(&bytes), THREE);
        assert!(matches!(
            header_number(LogKind::Manifest, &bytes),
            Err(FrameError::Magic { expected: [b'S', b'b', b'M', b'F'], .. })
        ));
    }

    #[test]
    fn every_cut_keeps_the_whole_frames_before_it() {
        let bytes = log(&THREE);
        for cut in HEADER_BYTES..bytes.len() {
            let kept = payloads(&bytes[..cut]);
            assert!(THREE.starts_with(&kept), "cut at {cut}");
            assert!(!Frames::new(&bytes[..cut]).any(|s| matches!(s, Step::Damage { .. })));
        }
        for cut in 0..HEADER_BYTES {
            assert!(header_number(LogKind::Wal, &bytes[..cut]).is_err());
            assert!(payloads(&bytes[..cut]).is_empty());
        }
    }

    #[test]
    fn every_flipped_byte_is_seen_and_costs_one_frame() {
        let bytes = log(&THREE);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                if at < HEADER_BYTES {
                    assert!(header_number(LogKind::Wal, &bad).is_err(), "byte {at}");
                    continue;
                }
                let kept = payloads(&bad);
                assert_eq!(kept.len(), 2, "byte {at} bit {bit}");
                assert!(kept.iter().all(|payload| THREE.contains(payload)));
            }
        }
    }

    #[test]
    fn random_bytes_end_the_walk() {
        let mut bytes = log(&[]);
        bytes.extend((0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
        bytes.extend_from_slice(&MARK.repeat(10_000));
        assert!(payloads(&bytes).is_empty());
    }
}

//! The first bytes of a standard file: what it holds, and where.
//!
//! ```text
//! ┌─────────────┬───────────────┬──────────────┬──────────┬─────────────────────────────┐
//! │ aggregation │ max retention │ xFilesFactor │ archives │ archive 0 … archive A-1     │
//! │ u32         │ u32, seconds  │ f32          │ u32, A   │ offset u32, step u32,       │
//! │             │               │              │          │ points u32; finest first    │
//! └─────────────┴───────────────┴──────────────┴──────────┴─────────────────────────────┘
//! ```
//!
//! All integers are big-endian. Slots follow at once, archive by archive.

use super::retention::check_list;
use super::{AggregationMethod, Dialect, FileBytes, OpenError, Retention, RetentionError};

/// Bytes before the first archive record.
pub const PREFIX_LEN: u64 = 16;
/// Bytes of an archive record.
pub const RECORD_LEN: u64 = 12;
/// Most archives that fit together: each step is at least twice the one before.
pub const ARCHIVES_MAX: u32 = 32;
/// First bytes of a compressed file, which is another format.
pub const COMPRESSED_MAGIC: &[u8; 18] = b"whisper_compressed";
/// Bytes of a slot: a time, u32, and a value, f64.
pub const SLOT_LEN: u64 = 12;

/// One archive of a file, as its header has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArchiveInfo {
    /// Where its data starts, bytes from the start of the file.
    pub offset: u32,
    /// Seconds per point.
    pub step_s: u32,
    /// Points that it holds.
    pub points: u32,
}

impl ArchiveInfo {
    /// Seconds that it reaches back.
    #[must_use]
    pub const fn reach_s(&self) -> i64 {
        self.step_s as i64 * self.points as i64
    }

    /// Step and points, without the place in the file.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        Retention { step_s: self.step_s, points: self.points }
    }

    /// Bytes of its slots.
    #[must_use]
    pub const fn len_bytes(&self) -> u64 {
        self.points as u64 * SLOT_LEN
    }

    /// Start of the slot that `time_s` falls into.
    #[must_use]
    pub const fn interval(&self, time_s: i64) -> i64 {
        time_s - time_s.rem_euclid(self.step_s as i64)
    }
}

/// What a standard file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// How coarser points are made.
    pub method: AggregationMethod,
    /// When the file was last written, Unix seconds, in files from before methods: they have
    /// this in the place of the code.
    pub last_update_s: Option<u32>,
    /// Seconds that the longest archive reaches back, as the file has it. Nothing here relies
    /// on it: see [`reach_s`](Self::reach_s).
    pub max_retention_s: u32,
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub x_files_factor: f32,
    /// The archives, finest first: 1 to [`ARCHIVES_MAX`], each with a step and points above 0,
    /// one right behind the other.
    pub archives: Vec<ArchiveInfo>,
}

/// Why bytes are no header of a standard file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file has no bytes at all, as a creation that was cut short leaves it.
    #[error("file is empty")]
    Empty,
    /// The file ends inside the header.
    #[error("header needs {need_bytes} bytes, file has {have_bytes}")]
    Truncated {
        /// Bytes that the header takes.
        need_bytes: u64,
        /// Bytes of the file.
        have_bytes: u64,
    },
    /// The file ends inside the archives.
    #[error("archives end at byte {need_bytes}, file has {have_bytes}")]
    DataTruncated {
        /// Bytes that the archives take, with the header.
        need_bytes: u64,
        /// Bytes of the file.
        have_bytes: u64,
    },
    /// The file is of the compressed format.
    #[error("file is compressed, open it as such")]
    Compressed,
    /// No method has this code.
    #[error("aggregation code is {code}, expected 1 to 8")]
    Method {
        /// The code.
        code: u32,
    },
    /// The xFilesFactor is no share.
    #[error("xFilesFactor is {x_files_factor}, expected 0 to 1")]
    XFilesFactor {
        /// The factor.
        x_files_factor: f32,
    },
    /// No archives, or more than fit together.
    #[error("header announces {count} archives, expected 1 to {ARCHIVES_MAX}")]
    ArchiveCount {
        /// The number.
        count: u32,
    },
    /// An archive without a step or without points.
    #[error("archive {index} is {step_s}:{points}, expected both above 0")]
    Archive {
        /// Its place, from 0.
        index: usize,
        /// Its step in seconds.
        step_s: u32,
        /// Its points.
        points: u32,
    },
    /// An archive does not start where the one before ends.
    #[error("archive {index} starts at byte {found}, expected {expected}")]
    Offset {
        /// Its place, from 0.
        index: usize,
        /// Where the header has it.
        found: u32,
        /// Where it has to be.
        expected: u64,
    },
}

/// Why a file's settings cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The archives do not fit together.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// The xFilesFactor is no share.
    #[error("xFilesFactor is {x_files_factor}, expected 0 to 1")]
    XFilesFactor {
        /// The factor.
        x_files_factor: f32,
    },
    /// Under the rules of the file, the method's code means another.
    #[error("aggregation method {} is the other dialect's, its code means another here", method.name())]
    Dialect {
        /// The method.
        method: AggregationMethod,
    },
    /// The method needs more than a standard file holds.
    #[error("aggregation method {} exists in compressed files only", method.name())]
    Method {
        /// The method.
        method: AggregationMethod,
    },
}

impl Header {
    /// The header of a new file that is read as `dialect`; `retentions` may come in any order.
    ///
    /// # Errors
    /// When such a file cannot be.
    pub fn new(
        retentions: &[Retention],
        method: AggregationMethod,
        x_files_factor: f32,
        dialect: Dialect,
    ) -> Result<Self, LayoutError> {
        check_settings(method, x_files_factor, dialect)?;
        let mut retentions = retentions.to_vec();
        retentions.sort_by_key(|retention| retention.step_s);
        check_list(&retentions)?;
        let slots: u64 = retentions.iter().map(|retention| u64::from(retention.points)).sum();
        let prefix = PREFIX_LEN + RECORD_LEN * retentions.len() as u64;
        let len_bytes = prefix + SLOT_LEN * slots;
        if len_bytes > u32::MAX.into() {
            return Err(RetentionError::TooLarge { len_bytes }.into());
        }
        let mut offset = prefix as u32;
        let mut archives = Vec::with_capacity(retentions.len());
        for Retention { step_s, points } in retentions {
            archives.push(ArchiveInfo { offset, step_s, points });
            offset += points * SLOT_LEN as u32;
        }
        let mut header =
            Self { method, last_update_s: None, max_retention_s: 0, x_files_factor, archives };
        header.max_retention_s = u32::try_from(header.reach_s()).expect("each archive was checked");
        Ok(header)
    }

    /// Reads the header of `file`, whose codes 6 to 8 are of `dialect`.
    ///
    /// # Errors
    /// When the file cannot be read, or is no standard file.
    pub fn read(file: &impl FileBytes, dialect: Dialect) -> Result<Self, OpenError> {
        const LONGEST: usize = (PREFIX_LEN + RECORD_LEN * ARCHIVES_MAX as u64) as usize;
        let file_len = file.len()?;
        let mut bytes = [0; LONGEST];
        let bytes = &mut bytes[..file_len.min(LONGEST as u64) as usize];
        file.read_at(0, bytes)?;
        Ok(Self::parse(bytes, file_len, dialect)?)
    }

    /// Reads a header off the front of `bytes`, the first ones of a file of `file_len`.
    ///
    /// # Errors
    /// When they are no header of such a file.
    pub fn parse(bytes: &[u8], file_len: u64, dialect: Dialect) -> Result<Self, HeaderError> {
        if file_len == 0 {
            return Err(HeaderError::Empty);
        }
        if bytes.starts_with(COMPRESSED_MAGIC) {
            return Err(HeaderError::Compressed);
        }
        let truncated = |need_bytes| HeaderError::Truncated { need_bytes, have_bytes: file_len };
        let mut words = Words(bytes);
        let short = truncated(PREFIX_LEN);
        let [code, max_retention_s, factor, count] = words.take().ok_or(short)?;
        let last_update_s = (code > LAST_CODE_S).then_some(code);
        let method = match last_update_s {
            Some(_) => AggregationMethod::Average,
            None => {
                AggregationMethod::from_code(code, dialect).ok_or(HeaderError::Method { code })?
            }
        };
        let x_files_factor = f32::from_bits(factor);
        if !is_share(x_files_factor) {
            return Err(HeaderError::XFilesFactor { x_files_factor });
        }
        if !(1..=ARCHIVES_MAX).contains(&count) {
            return Err(HeaderError::ArchiveCount { count });
        }
        let mut end = PREFIX_LEN + RECORD_LEN * u64::from(count);
        let short = truncated(end);
        let mut archives = Vec::with_capacity(count as usize);
        for index in 0..count as usize {
            let [offset, step_s, points] = words.take().ok_or_else(|| short.clone())?;
            if step_s == 0 || points == 0 {
                return Err(HeaderError::Archive { index, step_s, points });
            }
            if u64::from(offset) != end {
                return Err(HeaderError::Offset { index, found: offset, expected: end });
            }
            let archive = ArchiveInfo { offset, step_s, points };
            end += archive.len_bytes();
            archives.push(archive);
        }
        if file_len < end {
            return Err(HeaderError::DataTruncated { need_bytes: end, have_bytes: file_len });
        }
        Ok(Self { method, last_update_s, max_retention_s, x_files_factor, archives })
    }

    /// Appends the bytes of the header to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let code = self.last_update_s.unwrap_or(self.method.code());
        let count = self.archives.len() as u32;
        let prefix = [code, self.max_retention_s, self.x_files_factor.to_bits(), count];
        let records = self.archives.iter().flat_map(|a| [a.offset, a.step_s, a.points]);
        prefix.into_iter().chain(records).for_each(|word| out.extend(word.to_be_bytes()));
    }

    /// Seconds that the longest archive reaches back.
    #[must_use]
    pub fn reach_s(&self) -> i64 {
        self.archives.iter().map(ArchiveInfo::reach_s).max().unwrap_or(0)
    }

    /// Bytes of the header and all archives.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        let last = self.archives.last().map(|last| u64::from(last.offset) + last.len_bytes());
        last.unwrap_or(PREFIX_LEN)
    }

    /// Steps and points of the archives, finest first.
    pub fn retentions(&self) -> impl Iterator<Item = Retention> {
        self.archives.iter().map(ArchiveInfo::retention)
    }
}

/// Largest value that is read as a code: what lies above is a time.
const LAST_CODE_S: u32 = 1024;

/// Whether a standard file can have the method and factor.
pub(super) fn check_settings(
    method: AggregationMethod,
    x_files_factor: f32,
    dialect: Dialect,
) -> Result<(), LayoutError> {
    if !method.is_whole() {
        return Err(LayoutError::Method { method });
    }
    if method.dialect().is_some_and(|own| own != dialect) {
        return Err(LayoutError::Dialect { method });
    }
    if !is_share(x_files_factor) {
        return Err(LayoutError::XFilesFactor { x_files_factor });
    }
    Ok(())
}

fn is_share(x_files_factor: f32) -> bool {
    (0.0..=1.0).contains(&x_files_factor)
}

/// What is left of a row of big-endian words.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u32; N]> {
        let mut words = [0; N];
        for word in &mut words {
            let (bytes, rest) = self.0.split_first_chunk()?;
            *word = u32::from_be_bytes(*bytes);
            self.0 = rest;
        }
        Some(words)
    }
}

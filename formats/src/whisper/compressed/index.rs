//! The index area: all of a file but the blocks, rewritten whole by each update.
//!
//! ```text
//!  0 magic "whisper_compressed"       18 version u8 = 1    19 aggregation code
//! 23 max retention, seconds           27 xFilesFactor f32  31 points per block
//! 35 archives A                       39 bytes per point f32
//! 43 CRC-32 of the area, itself as 0  47 16 zeros
//! 63 A archive records of 128 bytes: see `put_archive`
//!    for each archive: its block records of 16 bytes, its buffer cells of 12
//! ```
//!
//! Numbers are u32 unless said, all big-endian. The blocks follow at once,
//! archive by archive.

use super::block::{FIRST_POINT_BYTES, MARKER_RESERVE_BYTES, crc32};
use super::buffer::Buffer;
use super::wire::{Fields, put_point};
use super::{Archive, BlockRecord, CompressedError, OpenBlock, Point, Summary};
use crate::whisper::{AggregationMethod, ArchiveInfo, Dialect, FileBytes};

/// First bytes of each file.
pub const MAGIC: &[u8; 18] = b"whisper_compressed";

/// The one version.
const VERSION: u8 = 1;

/// Bytes before the archive records.
pub(super) const PREFIX_BYTES: u64 = 63;

/// Bytes of an archive record.
pub(super) const ARCHIVE_BYTES: u64 = 128;

/// Bytes of a record of the block table.
pub(super) const BLOCK_RECORD_BYTES: u64 = 16;

/// Bytes of a buffer cell.
pub(super) const CELL_BYTES: u64 = 12;

/// Where the aggregation code is.
const METHOD_OFFSET: u64 = 19;

/// Where the xFilesFactor is.
const X_FILES_FACTOR_OFFSET: u64 = 27;

/// Where the checksum is.
const CRC_OFFSET: usize = 43;

/// More archives than any schema has: a mixed file may have several for each step.
const ARCHIVES_MAX: u32 = 256;

/// Longest index area that is read: a buffer of a day for each second has 2 MiB.
const LEN_BYTES_MAX: u64 = 64 << 20;

/// An archive that claims more points than this must have bytes for them.
const POINTS_UNPROVEN_MAX: u64 = 1 << 22;

/// Points for each byte of its blocks that an archive may claim beyond that:
/// a point takes two bits at least, and blocks may be made too small.
const POINTS_PER_BYTE_MAX: u64 = 8;

/// All of a file but the blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// How coarser points are made.
    pub method: AggregationMethod,
    /// Seconds that the longest archive reaches back.
    pub max_retention_s: u32,
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub x_files_factor: f32,
    /// Points that a block is made for.
    pub points_per_block: u32,
    /// Bytes that a point was thought to take when the file was made; nothing depends on it.
    pub bytes_per_point: f32,
    /// The archives, finest first; in a mixed file several may have the same step.
    pub archives: Vec<Archive>,
}

impl Index {
    /// Whether each coarser archive has a way of its own to be made.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.method == AggregationMethod::Mix
    }

    /// Bytes of the index area.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        let of_archive = |archive: &Archive| {
            ARCHIVE_BYTES
                + BLOCK_RECORD_BYTES * archive.blocks.len() as u64
                + CELL_BYTES * archive.buffer.cells.len() as u64
        };
        PREFIX_BYTES + self.archives.iter().map(of_archive).sum::<u64>()
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.len_bytes() + self.archives.iter().map(Archive::data_bytes).sum::<u64>()
    }

    /// The point of the next coarser archive that the points of its interval make, oldest first,
    /// if there are enough of them. The archive has a buffer.
    pub(super) fn aggregate(
        &self,
        level: usize,
        interval_s: u32,
        points: &[Point],
    ) -> Option<Point> {
        let share = points.len() as f32 / self.archives[level].buffer.ratio() as f32;
        if share < self.x_files_factor {
            return None;
        }
        let values: Vec<f64> = points.iter().map(|point| point.value).collect();
        let value = self.archives[level + 1].summary.aggregate(&values)?;
        Some(Point { time_s: interval_s, value })
    }

    /// Reads the index of a file.
    ///
    /// # Errors
    ///
    /// See [`CompressedError`]. The checksum is not compared: other writers leave a stale one
    /// when they change the method in place.
    pub fn read<F: FileBytes + ?Sized>(file: &F) -> Result<Self, CompressedError> {
        Self::read_writing(file).map(|(index, _)| index)
    }

    /// The same, and whether its checksum is right.
    pub(super) fn read_writing<F: FileBytes + ?Sized>(
        file: &F,
    ) -> Result<(Self, Writing), CompressedError> {
        let bytes = read_area(file)?;
        let have_bytes = file.len()?;
        let index = Self::parse(&bytes)?;
        let need_bytes = index.file_bytes();
        if need_bytes > have_bytes {
            return Err(CompressedError::Truncated { need_bytes, have_bytes });
        }
        let writings = [Writing::Torn, Writing::Whole];
        Ok((index, writings[usize::from(checksum_is_right(&bytes))]))
    }

    /// Writes the index at the start of a file.
    ///
    /// # Errors
    ///
    /// Whatever the place of the bytes answers.
    pub fn write<F: FileBytes + ?Sized>(&self, file: &mut F) -> Result<(), CompressedError> {
        Ok(file.write_at(0, &self.to_bytes())?)
    }

    /// Writes method and xFilesFactor alone, which leaves the checksum stale.
    pub(super) fn write_settings<F: FileBytes>(&self, file: &mut F) -> Result<(), CompressedError> {
        file.write_at(METHOD_OFFSET, &self.method.code().to_be_bytes())?;
        Ok(file.write_at(X_FILES_FACTOR_OFFSET, &self.x_files_factor.to_be_bytes())?)
    }

    /// The index area.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len_bytes() as usize);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        put_u32s(&mut out, [self.method.code(), self.max_retention_s]);
        put_u32s(&mut out, [self.x_files_factor.to_bits(), self.points_per_block]);
        put_u32s(&mut out, [self.archives.len() as u32, self.bytes_per_point.to_bits()]);
        out.resize(PREFIX_BYTES as usize, 0);
        for (position, archive) in self.archives.iter().enumerate() {
            let end = out.len() + ARCHIVE_BYTES as usize;
            put_archive(&mut out, archive, self.is_mixed() && position > 0);
            out.resize(end, 0);
        }
        for archive in &self.archives {
            for block in &archive.blocks {
                put_u32s(&mut out, [block.start_s, block.end_s, block.count, block.crc]);
            }
            archive.buffer.cells.iter().for_each(|&cell| put_point(&mut out, cell));
        }
        let crc = crc32(0, &out);
        out[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads an index area; what follows it is not looked at.
    ///
    /// A process that is killed while it writes a long one leaves the rest of the one before: the
    /// checksum tells, and what contradicts the new part is taken from there.
    fn parse(bytes: &[u8]) -> Result<Self, CompressedError> {
        let found = Self::parse_as(bytes, Writing::Whole);
        match found {
            Err(CompressedError::Field { .. }) if !checksum_is_right(bytes) => {
                Self::parse_as(bytes, Writing::Torn)
            }
            found => found,
        }
    }

    fn parse_as(bytes: &[u8], writing: Writing) -> Result<Self, CompressedError> {
        let mut fields = Fields::new(bytes);
        let (method, archive_count, mut index) = parse_prefix(&mut fields)?;
        let mixed = method == AggregationMethod::Mix;
        let mut block_counts = Vec::new();
        for position in 0..archive_count {
            let record = fields.take_slice(ARCHIVE_BYTES as usize)?;
            let own = Summary::from_method(method).unwrap_or(Summary::Average);
            let kind = if mixed && position > 0 { Kind::Mixed } else { Kind::Plain(own) };
            let (archive, block_count) = parse_archive(&mut Fields::new(record), kind)?;
            index.archives.push(archive);
            block_counts.push(block_count);
        }
        check_order(&index.archives, mixed)?;
        let coarser: Vec<u32> =
            index.archives.iter().skip(1).map(|next| next.info.step_s).collect();
        for (position, archive) in index.archives.iter_mut().enumerate() {
            parse_blocks(&mut fields, archive, block_counts[position])?;
            if let Some(&coarse_step_s) = coarser.get(position).filter(|_| !mixed) {
                archive.buffer = parse_buffer(&mut fields, archive.info.step_s, coarse_step_s)?;
            }
            if writing == Writing::Torn {
                settle_torn(archive);
            }
        }
        index.archives.iter().try_for_each(check_buffer)?;
        check_places(&index)?;
        index.archives.iter_mut().for_each(settle_place);
        index.archives.iter().try_for_each(check_open)?;
        Ok(index)
    }
}

/// How an index came to be as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// It was written to its end.
    Whole,
    /// It was written up to some place in the block records and buffers.
    Torn,
}

/// Makes old block records and buffer cells agree with the new archive record.
///
/// Nothing is lost but points of the update that was cut short: the blocks were written before,
/// so that cells of an interval that has left the buffer are in them.
fn settle_torn(archive: &mut Archive) {
    archive.buffer.forget_misplaced();
    if (archive.current as usize) < archive.blocks.len() {
        archive.record_open();
    }
}

/// Whether the checksum of the index of a file is right.
///
/// # Errors
///
/// See [`Index::read`].
pub(super) fn index_checksum_is_right<F: FileBytes + ?Sized>(
    file: &F,
) -> Result<bool, CompressedError> {
    Ok(checksum_is_right(&read_area(file)?))
}

/// Whether the checksum in an index area, which has room for one, is right.
fn checksum_is_right(bytes: &[u8]) -> bool {
    let (before, rest) = bytes.split_at(CRC_OFFSET);
    let Some((stored, after)) = rest.split_first_chunk() else { return false };
    crc32(crc32(crc32(0, before), &[0; 4]), after) == u32::from_be_bytes(*stored)
}

/// The bytes of the index area, which ends where the first block begins.
fn read_area<F: FileBytes + ?Sized>(file: &F) -> Result<Vec<u8>, CompressedError> {
    const HEAD_BYTES: u64 = PREFIX_BYTES + 4;
    let have_bytes = file.len()?;
    let head_bytes = HEAD_BYTES.min(have_bytes);
    let mut head = vec![0; head_bytes as usize];
    file.read_at(0, &mut head)?;
    if !head.starts_with(&MAGIC[..MAGIC.len().min(head.len())]) || head.is_empty() {
        return Err(CompressedError::NotCompressed);
    }
    let Some(end) = head.get(PREFIX_BYTES as usize..).and_then(<[u8]>::first_chunk) else {
        return Err(CompressedError::Truncated { need_bytes: HEAD_BYTES, have_bytes });
    };
    let need_bytes = u64::from(u32::from_be_bytes(*end));
    if need_bytes > have_bytes {
        return Err(CompressedError::Truncated { need_bytes, have_bytes });
    }
    if !(HEAD_BYTES..=LEN_BYTES_MAX).contains(&need_bytes) {
        let expected = format!("{HEAD_BYTES} to {LEN_BYTES_MAX}");
        return Err(CompressedError::field("offset of the first block", need_bytes, expected));
    }
    let mut bytes = vec![0; need_bytes as usize];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

fn parse_prefix(
    fields: &mut Fields<'_>,
) -> Result<(AggregationMethod, u32, Index), CompressedError> {
    if fields.take_slice(MAGIC.len())? != MAGIC {
        return Err(CompressedError::NotCompressed);
    }
    let version = fields.u8()?;
    if version != VERSION {
        return Err(CompressedError::Version { found: version });
    }
    let code = fields.u32()?;
    let method = AggregationMethod::from_code(code, Dialect::Go)
        .filter(|&method| method != AggregationMethod::Percentile)
        .ok_or_else(|| CompressedError::field("aggregation code", code, "1 to 7"))?;
    let max_retention_s = fields.u32()?;
    let x_files_factor = fields.f32()?;
    if !(0.0..=1.0).contains(&x_files_factor) {
        return Err(CompressedError::field("xFilesFactor", x_files_factor, "0 to 1"));
    }
    let points_per_block = fields.u32()?;
    let archive_count = fields.u32()?;
    if !(1..=ARCHIVES_MAX).contains(&archive_count) {
        let expected = format!("1 to {ARCHIVES_MAX}");
        return Err(CompressedError::field("number of archives", archive_count, expected));
    }
    let bytes_per_point = fields.f32()?;
    // The checksum and what is reserved.
    fields.take_slice(4 + 16)?;
    let index = Index {
        method,
        max_retention_s,
        x_files_factor,
        points_per_block,
        bytes_per_point,
        archives: Vec::new(),
    };
    Ok((method, archive_count, index))
}

/// Which fields an archive record has.
enum Kind {
    /// The usual ones; its points are made as the file says.
    Plain(Summary),
    /// Between them, how its points are made.
    Mixed,
}

fn parse_archive(fields: &mut Fields<'_>, kind: Kind) -> Result<(Archive, u32), CompressedError> {
    let info = ArchiveInfo { offset: fields.u32()?, step_s: fields.u32()?, points: fields.u32()? };
    if info.step_s == 0 || info.points == 0 || info.step_s.checked_mul(info.points).is_none() {
        let found = format!("{}:{}", info.step_s, info.points);
        return Err(CompressedError::field("step:points of an archive", found, "1:1 at least"));
    }
    let (block_bytes, block_count) = (fields.u32()?, fields.u32()?);
    if block_count == 0 {
        return Err(CompressedError::field("number of blocks", 0, "1 at least"));
    }
    let bytes_per_point = fields.f32()?;
    let summary = match kind {
        Kind::Plain(summary) => summary,
        Kind::Mixed => {
            let (code, percentile) = (fields.u8()?, fields.f32()?);
            Summary::from_record(code, percentile).ok_or_else(|| {
                let found = format!("{code} {percentile}");
                CompressedError::field("method of an archive", found, "1 to 6, or 8 and 0 to 100")
            })?
        }
    };
    let current = fields.u32()?;
    let (first, newest, before) = (fields.point()?, fields.point()?, fields.point()?);
    let open = OpenBlock {
        first,
        newest,
        before,
        last_byte: fields.u32()? as u8,
        last_byte_offset: fields.u32()?,
        bit_position: u8::try_from(fields.u32()?).unwrap_or(u8::MAX),
        count: fields.u32()?,
        crc: fields.u32()?,
    };
    let archive = Archive {
        info,
        block_bytes,
        bytes_per_point,
        summary,
        current,
        open,
        dropped: fields.u32()?,
        extended: fields.u32()?,
        blocks: Vec::new(),
        buffer: Buffer::default(),
    };
    Ok((archive, block_count))
}

/// The record of one archive, which is padded with zeros to 128 bytes.
fn put_archive(out: &mut Vec<u8>, archive: &Archive, mixed: bool) {
    let open = &archive.open;
    put_u32s(out, [archive.info.offset, archive.info.step_s, archive.info.points]);
    put_u32s(out, [archive.block_bytes, archive.blocks.len() as u32]);
    put_u32s(out, [archive.bytes_per_point.to_bits()]);
    if mixed {
        out.push(archive.summary.method().code() as u8);
        put_u32s(out, [archive.summary.percentile().to_bits()]);
    }
    put_u32s(out, [archive.current]);
    [open.first, open.newest, open.before].into_iter().for_each(|point| put_point(out, point));
    put_u32s(out, [open.last_byte.into(), open.last_byte_offset, open.bit_position.into()]);
    put_u32s(out, [open.count, open.crc, archive.dropped, archive.extended]);
}

fn parse_blocks(
    fields: &mut Fields<'_>,
    archive: &mut Archive,
    block_count: u32,
) -> Result<(), CompressedError> {
    let bytes = fields.take_slice(BLOCK_RECORD_BYTES as usize * block_count as usize)?;
    archive.blocks.reserve_exact(block_count as usize);
    let mut records = Fields::new(bytes);
    for _ in 0..block_count {
        archive.blocks.push(BlockRecord {
            start_s: records.u32()?,
            end_s: records.u32()?,
            count: records.u32()?,
            crc: records.u32()?,
        });
    }
    Ok(())
}

fn parse_buffer(
    fields: &mut Fields<'_>,
    step_s: u32,
    coarse_step_s: u32,
) -> Result<Buffer, CompressedError> {
    let cells = 2 * u64::from(coarse_step_s / step_s);
    let mut cells_bytes = Fields::new(fields.take_slice((CELL_BYTES * cells) as usize)?);
    let mut buffer = Buffer::between(step_s, coarse_step_s);
    for cell in &mut buffer.cells {
        *cell = cells_bytes.point()?;
    }
    Ok(buffer)
}

fn check_buffer(archive: &Archive) -> Result<(), CompressedError> {
    match archive.buffer.misplaced() {
        Some(point) => {
            Err(CompressedError::field("time of a buffer cell", point.time_s, "another"))
        }
        None => Ok(()),
    }
}

/// Each step has to be a multiple of the finer ones, or intervals do not nest.
fn check_order(archives: &[Archive], mixed: bool) -> Result<(), CompressedError> {
    for pair in archives.windows(2) {
        let (fine_s, coarse_s) = (pair[0].info.step_s, pair[1].info.step_s);
        let same = mixed && coarse_s == fine_s;
        if coarse_s % fine_s != 0 || (coarse_s == fine_s && !same) {
            let expected = format!("a multiple of {fine_s}");
            return Err(CompressedError::field("step of an archive", coarse_s, expected));
        }
    }
    Ok(())
}

/// Blocks have to follow the index and each other, and the open one lie where it says:
/// what is written next goes there unseen.
fn check_places(index: &Index) -> Result<(), CompressedError> {
    let mut offset = index.len_bytes();
    for archive in &index.archives {
        if u64::from(archive.info.offset) != offset {
            return Err(CompressedError::field("offset of blocks", archive.info.offset, offset));
        }
        offset += archive.data_bytes();
        if offset > u32::MAX.into() {
            return Err(CompressedError::field("length of a file", offset, "4294967295 at most"));
        }
        let points_max = (archive.data_bytes() * POINTS_PER_BYTE_MAX).max(POINTS_UNPROVEN_MAX);
        if u64::from(archive.info.points) > points_max {
            return Err(CompressedError::field("points", archive.info.points, points_max));
        }
    }
    Ok(())
}

/// An offset of 0 stands for the start of the block.
fn settle_place(archive: &mut Archive) {
    if archive.open.last_byte_offset == 0 && (archive.current as usize) < archive.blocks.len() {
        archive.open.last_byte_offset = archive.block_offset(archive.current);
    }
}

fn check_open(archive: &Archive) -> Result<(), CompressedError> {
    let block_count = archive.blocks.len();
    if archive.current as usize >= block_count {
        return Err(CompressedError::field("current block", archive.current, block_count));
    }
    let (open, record) = (&archive.open, archive.blocks[archive.current as usize]);
    if (open.first.time_s, open.newest.time_s) != (record.start_s, record.end_s) {
        let found = format!("{} to {}", open.first.time_s, open.newest.time_s);
        let expected = format!("{} to {}", record.start_s, record.end_s);
        return Err(CompressedError::field("times of the current block", found, expected));
    }
    // A point takes two bits at least.
    let count_max = archive.block_bytes.saturating_mul(4);
    if open.count > count_max {
        return Err(CompressedError::field("points of the current block", open.count, count_max));
    }
    // Less does not hold a point and the end marker.
    let least = FIRST_POINT_BYTES as u32 + MARKER_RESERVE_BYTES as u32;
    if archive.block_bytes <= least {
        let expected = format!("more than {least}");
        return Err(CompressedError::field("size of a block", archive.block_bytes, expected));
    }
    let (place, bit) = (archive.open.last_byte_offset, archive.open.bit_position);
    let start = archive.block_offset(archive.current);
    // The end marker has to fit behind, and an empty block is written from its start.
    let last = match archive.open.is_empty() {
        true => start,
        false => start + archive.block_bytes - MARKER_RESERVE_BYTES as u32 - 1,
    };
    if !(start..=last).contains(&place) || (archive.open.is_empty() && bit != 7) {
        let expected = format!("{start} to {last}");
        return Err(CompressedError::field("offset of the last byte", place, expected));
    }
    if bit > 7 {
        return Err(CompressedError::field("bit position", bit, "0 to 7"));
    }
    Ok(())
}

fn put_u32s<const N: usize>(out: &mut Vec<u8>, values: [u32; N]) {
    values.into_iter().for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
}

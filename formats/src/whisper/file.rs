//! A standard file: made, opened, described, its settings changed.

use std::io;

use super::header::{HeaderError, LayoutError, check_settings};
use super::retention::check_list;
use super::ring::Ring;
use super::{AggregationMethod, FileBytes, Header, Retention, RetentionError, Rules};

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Unix seconds.
    pub time_s: u32,
    /// The value. NaN can be written, for the format has room for it, and is read as missing.
    pub value: f64,
}

/// What a new file is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout<'a> {
    /// The archives, in any order.
    pub retentions: &'a [Retention],
    /// How coarser points are made.
    pub method: AggregationMethod,
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub x_files_factor: f32,
}

/// How a new file gets its length. What it holds is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocation {
    /// All slots are written, so that the disk has room for them from the start.
    #[default]
    Filled,
    /// Only the length is set, so that the disk has room as slots are written.
    Sparse,
}

/// Why a file could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// Such a file cannot be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The file has bytes already; nothing was written.
    #[error("file has {len_bytes} bytes already, expected none")]
    NotEmpty {
        /// Its length.
        len_bytes: u64,
    },
    /// Writing failed; the file is to be removed.
    #[error("cannot write the new file: {0}")]
    Io(#[from] io::Error),
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is no standard file, or a damaged one.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Reading failed.
    #[error("cannot read the header: {0}")]
    Io(#[from] io::Error),
}

/// Why a file can be read but takes no points.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadOnly {
    /// The file is from before aggregation methods.
    #[error(
        "file was last written at {last_update_s} by a whisper without aggregation methods, set a method first"
    )]
    Ancient {
        /// When it was last written, Unix seconds.
        last_update_s: u32,
    },
    /// A standard file cannot be aggregated with this method.
    #[error("file has the method {}, which a standard file cannot follow, set another or read its code as Python's", method.name())]
    Method {
        /// The method.
        method: AggregationMethod,
    },
    /// The archives do not fit together.
    #[error("archives of the file do not fit together: {0}")]
    Retention(#[from] RetentionError),
}

/// Why settings could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Such settings cannot be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Writing failed.
    #[error("cannot write the settings: {0}")]
    Io(#[from] io::Error),
}

/// A standard whisper file over the bytes of `F`.
///
/// It keeps nothing but the header in memory, so several may look at the same file as long as
/// one of them at most writes.
#[derive(Debug)]
pub struct Whisper<F> {
    pub(super) file: F,
    pub(super) header: Header,
    pub(super) rules: Rules,
    /// Whether the header allows of points.
    pub(super) writable: Result<(), ReadOnly>,
}

impl<F: FileBytes> Whisper<F> {
    /// Makes a file in `file`, which has no bytes yet.
    ///
    /// # Errors
    /// When the layout cannot be, and when writing fails.
    pub fn create(
        mut file: F,
        layout: &Layout<'_>,
        allocation: Allocation,
        rules: Rules,
    ) -> Result<Self, CreateError> {
        let header =
            Header::new(layout.retentions, layout.method, layout.x_files_factor, rules.dialect)?;
        match file.len()? {
            0 => {}
            len_bytes => return Err(CreateError::NotEmpty { len_bytes }),
        }
        file.set_len(header.file_len())?;
        let mut bytes = Vec::new();
        header.encode_into(&mut bytes);
        if allocation == Allocation::Filled {
            fill(&mut file, bytes.len() as u64, header.file_len())?;
        }
        file.write_at(0, &bytes)?;
        Ok(Self { file, header, rules, writable: Ok(()) })
    }

    /// Opens the file in `file`. Reads the header, not the slots.
    ///
    /// # Errors
    /// When the file is none of the format, or cannot be read.
    pub fn open(file: F, rules: Rules) -> Result<Self, OpenError> {
        let header = Header::read(&file, rules.dialect)?;
        let writable = writable(&header);
        Ok(Self { file, header, rules, writable })
    }

    /// What the file says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The rules it was opened with.
    pub const fn rules(&self) -> Rules {
        self.rules
    }

    /// Whether the file takes points.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn check_writable(&self) -> Result<(), ReadOnly> {
        self.writable.clone()
    }

    /// The bytes, with all that was written.
    pub fn into_inner(self) -> F {
        self.file
    }

    /// Sets how coarser points are made from now on; those in the file stay.
    ///
    /// # Errors
    /// When a file cannot have such settings, and when writing fails.
    pub fn set_aggregation(
        &mut self,
        method: AggregationMethod,
        x_files_factor: f32,
    ) -> Result<(), SettingsError> {
        check_settings(method, x_files_factor, self.rules.dialect)?;
        let header = Header { method, x_files_factor, last_update_s: None, ..self.header.clone() };
        let mut bytes = Vec::new();
        header.encode_into(&mut bytes);
        self.file.write_at(0, &bytes)?;
        self.writable = writable(&header);
        self.header = header;
        Ok(())
    }

    /// Calls `visit` with the number and content of each slot of an archive as they lie in the
    /// file: time 0 was never written, and any other may be from an earlier turn of the ring.
    /// An `archive` that the file has not is empty.
    ///
    /// # Errors
    /// When reading fails.
    pub fn visit_slots(&self, archive: usize, visit: impl FnMut(u64, Point)) -> io::Result<()> {
        match self.header.archives.get(archive) {
            Some(&info) => Ring::read(&self.file, info)?.visit_slots(&self.file, visit),
            None => Ok(()),
        }
    }
}

fn writable(header: &Header) -> Result<(), ReadOnly> {
    if let Some(last_update_s) = header.last_update_s {
        return Err(ReadOnly::Ancient { last_update_s });
    }
    if !header.method.is_whole() {
        return Err(ReadOnly::Method { method: header.method });
    }
    let retentions: Vec<_> = header.retentions().collect();
    Ok(check_list(&retentions)?)
}

/// Writes zeros from `start` to `end`.
fn fill(file: &mut impl FileBytes, start: u64, end: u64) -> io::Result<()> {
    const ZEROS: [u8; 16_384] = [0; 16_384];
    let mut offset = start;
    while offset < end {
        let len = (end - offset).min(ZEROS.len() as u64);
        file.write_at(offset, &ZEROS[..len as usize])?;
        offset += len;
    }
    Ok(())
}

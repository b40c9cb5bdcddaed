//! Tags of the base in a mapped file: nothing of it is in memory but the pages that were touched.
//! Every block and set is compared with its checksum when it is read.

use super::tables::Ids;
use crate::error::Damage;
use crate::storage::FileBytes;
use roaring::RoaringBitmap;
use silverback_formats::tags::{Fault, SetRef, TagsError, TagsLayout, TagsView, mark_of, verify};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct TagFile {
    bytes: FileBytes,
    layout: TagsLayout,
    path: PathBuf,
}

impl TagFile {
    /// Takes the bytes of a file that lies at `path`, and those of the index that it belongs to;
    /// checks its ends.
    ///
    /// # Errors
    /// When they are not the tags of that index.
    pub fn open(path: &Path, bytes: FileBytes, index: &[u8]) -> Result<Self, TagsError> {
        let layout = TagsLayout::read(&bytes)?;
        let (found, expected) = (layout.mark, mark_of(index));
        if found != expected {
            let fault = Fault::Mark { found, expected };
            return Err(TagsError::Damaged { offset: 0, fault });
        }
        Ok(Self { bytes, layout, path: path.to_path_buf() })
    }

    /// Length of the file.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Reads all of the file.
    ///
    /// # Errors
    /// At the first thing that is wrong.
    pub fn verify(&self) -> Result<(), Damage> {
        verify(&self.bytes).map(drop).map_err(|error| self.damage(error))
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.layout.tagged as usize
    }

    pub(super) fn view(&self) -> TagsView<'_> {
        self.layout.view(&self.bytes)
    }

    pub(super) fn set(&self, ids: SetRef) -> Result<Ids, Damage> {
        match ids {
            SetRef::One(id) => Ok(Ids::One(id)),
            many @ SetRef::Many { .. } => {
                let set = self.view().set(many).map_err(|error| self.damage(error))?;
                Ok(Ids::Many(Arc::new(set)))
            }
        }
    }

    pub(super) fn all(&self) -> Result<RoaringBitmap, Damage> {
        self.view().all().map_err(|error| self.damage(error))
    }

    /// Who has a value.
    pub(super) fn with(&self, tag: &[u8], value: &[u8]) -> Result<Option<Ids>, Damage> {
        let find = || {
            let mut cursor = self.view().seek_value(tag, value)?;
            let is_any = cursor.advance()?;
            let entry = cursor.entry();
            Ok((is_any && entry.tag == tag && entry.value == value).then_some(entry.ids))
        };
        let found = find().map_err(|error| self.damage(error))?;
        found.map(|ids| self.set(ids)).transpose()
    }

    /// The first tag that begins with `prefix` and comes after the one of `after`.
    pub(super) fn next_tag(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, Damage> {
        let find = || {
            let view = self.view();
            let mut cursor = match after {
                Some(after) => view.seek_after_tag(after)?,
                None => view.seek_tag(prefix)?,
            };
            let is_any = cursor.advance()?;
            let tag = cursor.entry().tag;
            Ok((is_any && tag.starts_with(prefix)).then(|| tag.to_vec()))
        };
        find().map_err(|error| self.damage(error))
    }

    /// What an error of this file's is to people.
    pub(super) fn damage(&self, error: TagsError) -> Damage {
        let path = self.path.clone();
        match error {
            TagsError::Damaged { offset, fault } => {
                Damage { path, offset, reason: fault.to_string() }
            }
            other => Damage { path, offset: 0, reason: other.to_string() },
        }
    }
}

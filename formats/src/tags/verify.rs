//! Checks all of sealed tags.

use super::layout::{Fault, TagsError, TagsLayout};
use super::view::SetRef;
use roaring::RoaringBitmap;

/// Reads every block and every set, and checks that all series of the sets together are those that
/// are said to have tags.
///
/// # Errors
/// At the first thing that is wrong.
pub fn verify(bytes: &[u8]) -> Result<TagsLayout, TagsError> {
    let layout = TagsLayout::read(bytes)?;
    let view = layout.view(bytes);
    let all = view.all()?;
    let mut found = RoaringBitmap::new();
    let mut cursor = view.first();
    while cursor.advance()? {
        match cursor.entry().ids {
            SetRef::One(id) => _ = found.insert(id),
            many @ SetRef::Many { .. } => found |= view.set(many)?,
        }
    }
    if found != all {
        let fault = Fault::Malformed("set of all tagged series");
        return Err(TagsError::Damaged { offset: layout.all_at, fault });
    }
    Ok(layout)
}

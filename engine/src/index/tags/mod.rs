//! Tagged series by their tags: which tags there are, their values, and who has them.
//!
//! ```text
//! tag -> value -> ids
//! ```
//!
//! A name like `disk.used;dc=ams;host=a` has the tags that it writes, and the tag `name`, which is
//! what comes before the first `;`, as graphite-web has it: a `name` among the tags is overruled,
//! and `~` in front is left out. A name with a `;` that is not of this form has the tag `name`
//! alone, which is all of it. So every name that a wildcard of graphite-web's passes over is found
//! by its tags. The trees hold these names too: a find by path sees them.
//!
//! Each part of the [index](super::Index) has the tags of its own names: the live ones in tables
//! that change with them, the base in a file beside its own. The file never changes, so series
//! removed since are kept beside it, and left out of what is found.
//!
//! | module | its one job |
//! |---|---|
//! | `tables` | tags of names in memory |
//! | `file` | tags of the base, in a mapped file |
//! | `sealed` | tags of the base: where they are, and who was removed |
//! | `layers` | the tags of all parts as one |
//! | `ask` | the questions |
//!
//! Where the base has no such file, or a damaged one, its tags are entered into tables from its
//! names by [`Index::load_tags`](super::Index::load_tags), by a thread of its own; a question that
//! comes earlier waits for it until its deadline. Where there is no such thread, the first question
//! does it. The next base has a file again.
//!
//! Questions go through tags and values in order. Of tables they take handles of the sets of a
//! page and let go of the tables before they work, so a series that is created waits for the
//! copying of a page of handles at most; of the file they decode a key after the other, and the
//! sets that matter. They look at the clock at every value, since what tests one may take long.
//! Where filters leave few series, their names are read instead.

mod ask;
mod file;
mod layers;
mod sealed;
mod tables;

pub use file::TagFile;
pub(super) use layers::{AskError, Layers};
pub(super) use sealed::{SealedTags, Source};
pub(super) use tables::Tags;

use super::glob::is_tagged;

/// The tag for what a name says before its first `;`.
const NAME: &[u8] = b"name";

/// What the value of a tag must be. A series without the tag has the empty value.
pub struct TagFilter<'a> {
    /// The tag.
    pub tag: &'a [u8],
    /// The test of its value.
    pub test: TagTest<'a>,
}

/// Whether a value passes.
pub type ValueTest<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

/// A test of a tag's value.
pub enum TagTest<'a> {
    /// It is this.
    Is(&'a [u8]),
    /// It is not this.
    IsNot(&'a [u8]),
    /// It passes.
    Passes(ValueTest<'a>),
}

impl std::fmt::Debug for TagFilter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tag = String::from_utf8_lossy(self.tag);
        match &self.test {
            TagTest::Is(value) => write!(f, "{tag}={}", String::from_utf8_lossy(value)),
            TagTest::IsNot(value) => write!(f, "{tag}!={}", String::from_utf8_lossy(value)),
            TagTest::Passes(_) => write!(f, "{tag}=~"),
        }
    }
}

impl std::fmt::Debug for TagTest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Is(_) => "Is",
            Self::IsNot(_) => "IsNot",
            Self::Passes(_) => "Passes",
        })
    }
}

/// Tags or values that begin with something, the first so many of them.
#[derive(Debug, Clone, Copy)]
pub struct Completion<'a> {
    /// What they begin with.
    pub prefix: &'a [u8],
    /// Most of them.
    pub most: usize,
}

impl Completion<'_> {
    /// All of them.
    pub const ALL: Self = Self { prefix: b"", most: usize::MAX };
}

/// The tags of a tagged name; see the module.
fn tags_of(name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut parts = name.split(|&byte| byte == b';');
    let metric = parts.next().unwrap_or_default();
    let tags = parts.map(|part| {
        let equals = memchr::memchr(b'=', part)?;
        Some((&part[..equals], &part[equals + 1..]))
    });
    let is_whole = tags.clone().all(|tag| tag.is_some());
    let markers = metric.iter().take_while(|&&byte| byte == b'~').count();
    let metric = if is_whole { &metric[markers..] } else { name };
    let tags = tags.flatten().filter(move |(tag, _)| is_whole && *tag != NAME);
    std::iter::once((NAME, metric)).chain(tags)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

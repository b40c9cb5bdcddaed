//! One spelling for all names that mean the same series.
//!
//! go-carbon turns a name into a path, `.` into `/`, and cleans the path: so
//! `a..b`, `.a.b` and `a/b` are stored in the file of `a.b`. Here the canonical
//! spelling says the same without a file: parts joined by single dots.
//!
//! One difference: a dot at the end (`a.`) makes a nameless file in the
//! directory `a` there, which no query finds; here it is dropped as empty parts
//! elsewhere are, and the point belongs to `a`.

use memchr::{memchr, memchr2_iter};
use std::borrow::Cow;

/// Longest name that is taken, in bytes, tags included.
pub const NAME_BYTES_MAX: usize = 16_384;

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing but dots and slashes in it.
    #[error("name is empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("name is {len_bytes} bytes long, at most {NAME_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        len_bytes: usize,
    },
    /// It holds a NUL byte, which no file name can.
    #[error("name has a NUL byte at {position}")]
    Nul {
        /// Byte offset of the first one.
        position: usize,
    },
}

/// The canonical spelling of a name; borrowed when the name has it already.
///
/// Of a tagged name only what stands before the first `;` is a path; tags are
/// kept as they are (see [`tags::normalise`](super::tags::normalise)).
///
/// # Errors
/// On names that are empty, too long, or hold a NUL byte.
///
/// # Examples
/// ```
/// use silverback_formats::carbon::name::canonical;
/// assert_eq!(canonical(b".servers//web01..load")?.as_ref(), b"servers.web01.load");
/// assert_eq!(canonical(b"disk;path=/var")?.as_ref(), b"disk;path=/var");
/// # Ok::<(), silverback_formats::carbon::name::NameError>(())
/// ```
pub fn canonical(name: &[u8]) -> Result<Cow<'_, [u8]>, NameError> {
    let path_end = memchr(b';', name).unwrap_or(name.len());
    canonical_to(name, path_end)
}

/// As [`canonical`] for a database without tags, where `;` is a byte like any
/// other: the whole name is a path.
///
/// # Errors
/// As [`canonical`].
pub fn canonical_untagged(name: &[u8]) -> Result<Cow<'_, [u8]>, NameError> {
    canonical_to(name, name.len())
}

fn canonical_to(name: &[u8], path_end: usize) -> Result<Cow<'_, [u8]>, NameError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { len_bytes: name.len() });
    }
    if let Some(position) = memchr(0, name) {
        return Err(NameError::Nul { position });
    }
    let (path, tags) = name.split_at(path_end);
    if is_canonical(path) {
        return Ok(Cow::Borrowed(name));
    }
    let mut canonical = Vec::with_capacity(name.len());
    for part in path.split(is_separator).filter(|part| !part.is_empty()) {
        if !canonical.is_empty() {
            canonical.push(b'.');
        }
        canonical.extend_from_slice(part);
    }
    if canonical.is_empty() {
        return Err(NameError::Empty);
    }
    canonical.extend_from_slice(tags);
    Ok(Cow::Owned(canonical))
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'.' | b'/')
}

/// Whether every part has bytes in it and all separators are dots.
fn is_canonical(path: &[u8]) -> bool {
    let mut part_start = 0;
    for at in memchr2_iter(b'.', b'/', path) {
        if at == part_start || path[at] == b'/' {
            return false;
        }
        part_start = at + 1;
    }
    part_start < path.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VECTORS: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/ingest.json"));

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let found = canonical(name.as_bytes()).unwrap();
        assert_eq!(found, expected.as_bytes(), "{name}");
        assert_eq!(matches!(found, Cow::Borrowed(_)), name == expected, "{name}");
    }

    #[test]
    fn spellings() {
        check("a", "a");
        check("a.b.c", "a.b.c");
        check("a..b", "a.b");
        check(".a.b", "a.b");
        check("a.b.", "a.b");
        check("a/b", "a.b");
        check("x/../../y", "x.y");
        check("a.b;path=/var/log.d..", "a.b;path=/var/log.d..");
        check("a..b;path=/var/log.d..", "a.b;path=/var/log.d..");
        check(" tab\tand é", " tab\tand é");
    }

    #[test]
    fn without_tags_all_is_path() {
        let found = canonical_untagged(b"sl;p=/var/log").unwrap();
        assert_eq!(found.as_ref(), b"sl;p=.var.log");
    }

    /// go-carbon's file is the canonical name with `/` for `.`, but for names
    /// that end in a dot, where the file has no name.
    #[test]
    fn as_go_carbon_files() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let mut compared = 0;
        for case in vectors["file_paths"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let Some(path) = case["tags_off"].as_str() else { continue };
            let Some(path) = path.strip_suffix(".wsp") else { continue };
            let Ok(found) = canonical_untagged(name.as_bytes()) else {
                assert_eq!(path, "", "{name}");
                continue;
            };
            let found = String::from_utf8(found.into_owned()).unwrap();
            assert_eq!(found.replace('.', "/"), path.strip_suffix('/').unwrap_or(path), "{name}");
            compared += 1;
        }
        assert!(compared >= 14, "only {compared} paths compared");
    }

    #[test]
    fn refused() {
        for name in ["", ".", "..", "/", "./.", ";a=1", ".;a=1"] {
            assert_eq!(canonical(name.as_bytes()), Err(NameError::Empty), "{name}");
        }
        assert_eq!(canonical(b"a\0b"), Err(NameError::Nul { position: 1 }));
        assert_eq!(canonical(b"a;k=\0"), Err(NameError::Nul { position: 4 }));
        assert!(canonical(&[b'a'; NAME_BYTES_MAX]).is_ok());
        let len_bytes = NAME_BYTES_MAX + 1;
        assert_eq!(canonical(&vec![b'a'; len_bytes]), Err(NameError::TooLong { len_bytes }));
    }

    proptest! {
        #[test]
        fn canonical_is_canonical(name in "[a./;=]{0,12}") {
            if let Ok(once) = canonical(name.as_bytes()) {
                prop_assert_eq!(canonical(&once), Ok(Cow::Borrowed(once.as_ref())));
            }
        }

        #[test]
        fn any_bytes_are_no_panic(name: Vec<u8>) {
            let _ = canonical(&name);
            let _ = canonical_untagged(&name);
        }
    }
}

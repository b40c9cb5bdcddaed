//! Name of a series ⇄ path of its file, as go-carbon has them.
//!
//! | name | path |
//! |---|---|
//! | `a.b` | `a/b.wsp` |
//! | `a.b;t=c.d`, hashed | `_tagged/` 3 digits `/` 3 digits `/` SHA-256 of the name in hexadecimal |
//! | `a.b;t=c.d`, not hashed | `_tagged/` 3 digits `/` 3 digits `/a_DOT_b;t=c_DOT_d.wsp` |
//!
//! Dots become slashes before paths are cleaned, so no name leads out of the folder.

use super::FileFailure;
use crate::storage::in_place::{bytes_of, path_of};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What a whisper file's name ends with.
const SUFFIX: &[u8] = b".wsp";
/// Folder of series with tags.
const TAGGED: &[u8] = b"_tagged/";
/// What stands for a dot in the names of files there.
const DOT: &[u8] = b"_DOT_";
/// Longest path in bytes.
const PATH_BYTES_MAX: usize = 4095;
/// Longest part of a path in bytes.
const PART_BYTES_MAX: usize = 255;

/// How names and paths follow from each other.
#[derive(Debug)]
pub(super) struct Naming {
    root: PathBuf,
    /// Whether names with tags have a folder of their own.
    tags: bool,
    /// Whether the files there are named by hashes.
    hash_filenames: bool,
}

impl Naming {
    pub(super) fn new(root: PathBuf, tags: bool, hash_filenames: bool) -> Self {
        Self { root, tags, hash_filenames }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file of a series is.
    pub(super) fn path(&self, name: &[u8]) -> Result<PathBuf, FileFailure> {
        let never = |reason| Err(FileFailure::Never { name_bytes: name.len(), reason });
        if name.contains(&0) {
            return never("paths cannot have a byte of 0");
        }
        let relative = self.relative(name);
        if relative.split(|&byte| byte == b'/').any(|part| part.len() > PART_BYTES_MAX) {
            return never("a part of the path has more than 255 bytes");
        }
        let path = self.root.join(path_of(&relative));
        if bytes_of(&path).len() > PATH_BYTES_MAX {
            return never("the path has more than 4095 bytes");
        }
        Ok(path)
    }

    /// The series whose file this is, by its path from the root; `None` when it is none.
    ///
    /// Of a file that is named by a hash nothing tells the name, so it is named by its path, as
    /// go-carbon has it.
    pub(super) fn name(&self, relative: &Path) -> Option<Vec<u8>> {
        let relative = bytes_of(relative);
        let stem = relative.strip_suffix(SUFFIX)?;
        let is_name = |name: &Vec<u8>| !name.is_empty() && self.relative(name) == relative;
        let plain = || stem.iter().map(|&byte| if byte == b'/' { b'.' } else { byte }).collect();
        self.tagged_name(stem).filter(is_name).or_else(|| Some(plain()).filter(is_name))
    }

    fn tagged_name(&self, stem: &[u8]) -> Option<Vec<u8>> {
        let mut parts = stem.strip_prefix(TAGGED)?.splitn(3, |&byte| byte == b'/');
        let mut rest = parts.nth(2).filter(|_| self.tags)?;
        let mut name = Vec::with_capacity(rest.len());
        while let Some((&byte, after)) = rest.split_first() {
            let dot = rest.strip_prefix(DOT);
            name.push(if dot.is_some() { b'.' } else { byte });
            rest = dot.unwrap_or(after);
        }
        Some(name)
    }

    /// Path of a series' file from the root.
    fn relative(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(name.len() + SUFFIX.len());
        if self.tags && name.contains(&b';') {
            let hash = hexadecimal(&Sha256::digest(name));
            path.extend_from_slice(TAGGED);
            path.extend_from_slice(format!("{}/{}/", &hash[..3], &hash[3..6]).as_bytes());
            if self.hash_filenames {
                path.extend_from_slice(hash.as_bytes());
            } else {
                name.iter().for_each(|byte| match byte {
                    b'.' => path.extend_from_slice(DOT),
                    &other => path.push(other),
                });
            }
        } else {
            path.extend(name.iter().map(|&byte| if byte == b'.' { b'/' } else { byte }));
        }
        path.extend_from_slice(SUFFIX);
        cleaned(&path)
    }
}

/// A path without empty parts.
fn cleaned(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(&b'/')
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naming(tags: bool, hash_filenames: bool) -> Naming {
        Naming::new(PathBuf::from("/data"), tags, hash_filenames)
    }

    #[track_caller]
    fn check(naming: &Naming, name: &str, expected: &str) {
        let path = naming.path(name.as_bytes()).unwrap();
        assert_eq!(path.strip_prefix("/data").unwrap(), Path::new(expected), "{name:?}");
    }

    #[test]
    fn plain_names() {
        for naming in [naming(true, true), naming(true, false), naming(false, true)] {
            check(&naming, "a.b-c.d", "a/b-c/d.wsp");
            check(&naming, "a..d", "a/d.wsp");
            check(&naming, ".lead", "lead.wsp");
            check(&naming, "trail.", "trail/.wsp");
            check(&naming, "x/../../y", "x/y.wsp");
            for name in [".", "..", "/", ""] {
                check(&naming, name, ".wsp");
            }
        }
        check(&naming(false, true), "a;b=c.d", "a;b=c/d.wsp");
    }

    #[test]
    fn tagged_names() {
        for (name, hashed, plain) in [
            (
                "some.metric;tag1=value2;tag2=value.2",
                "_tagged/eff/aae/effaae5b55950b150a7493d2f5430772ca2460bf7cccb4d9e523643df54c010f.wsp",
                "_tagged/eff/aae/some_DOT_metric;tag1=value2;tag2=value_DOT_2.wsp",
            ),
            (
                "t.m;a=1;b=2",
                "_tagged/bec/f22/becf2263fb5d296535fbb7f12149e1749b3f9723e1c66aebbeb1fa038e92476e.wsp",
                "_tagged/bec/f22/t_DOT_m;a=1;b=2.wsp",
            ),
            (
                "e;x=",
                "_tagged/8ea/1d4/8ea1d49babfc24b2d9415fc4022e66280b7efdb222b5766a6ac6c16d4ee18556.wsp",
                "_tagged/8ea/1d4/e;x=.wsp",
            ),
        ] {
            check(&naming(true, true), name, hashed);
            check(&naming(true, false), name, plain);
            let found = naming(true, false).name(Path::new(plain));
            assert_eq!(found.as_deref(), Some(name.as_bytes()));
            let found = naming(true, true).name(Path::new(hashed)).unwrap();
            let stem = hashed.strip_suffix(".wsp").unwrap();
            assert_eq!(found, stem.replace('/', ".").as_bytes());
            // The path's own name leads back to it.
            assert_eq!(naming(true, true).relative(&found), hashed.as_bytes());
        }
    }

    #[test]
    fn names_that_no_file_can_have() {
        let naming = naming(true, true);
        let fits = |name: &[u8]| match naming.path(name) {
            Ok(_) => true,
            Err(FileFailure::Never { name_bytes, .. }) => {
                assert_eq!(name_bytes, name.len());
                false
            }
            Err(other) => panic!("{other}"),
        };
        assert!(fits(&[b'a'; 251]) && !fits(&[b'a'; 252]));
        assert!(!fits(b"a\0b"));
        // With the root and the suffix.
        let long = |parts: usize| vec!["abc"; parts].join(".").into_bytes();
        assert_eq!(4 * 1021 - 1 + "/data/.wsp".len(), 4093);
        assert!(fits(&long(1021)) && !fits(&long(1022)));
        assert!(fits(&[&[b'a'; 3000][..], b";b=c"].concat()));
    }

    #[test]
    fn files_that_are_no_series() {
        let naming = naming(true, false);
        for path in [
            ".wsp",
            "a/b",
            "a/b.wsp.ooo",
            "a/b.wsp.migrate",
            "a/b.cwsp",
            "a.b/c.wsp",
            "a/.0123456789abcdef.silverback",
            "_tagged/000/000/t_DOT_m;a=1;b=2.wsp",
        ] {
            assert_eq!(naming.name(Path::new(path)), None, "{path}");
        }
        let name = naming.name(Path::new("_tagged/a/b.wsp"));
        assert_eq!(name.as_deref(), Some(&b"_tagged.a.b"[..]));
    }

    proptest! {
        /// No name leads out of the folder, and the name of a path leads to the path.
        #[test]
        fn names_stay_inside(
            name in "[ab./;=_DOT]{0,12}",
            tags in any::<bool>(),
            hash_filenames in any::<bool>(),
        ) {
            let naming = naming(tags, hash_filenames);
            let relative = naming.relative(name.as_bytes());
            let parts: Vec<&[u8]> = relative.split(|&byte| byte == b'/').collect();
            prop_assert!(parts.iter().all(|part| ![&b""[..], b".", b".."].contains(part)));
            if let Some(found) = naming.name(path_of(&relative)) {
                prop_assert_eq!(naming.relative(&found), relative);
            }
        }
    }
}

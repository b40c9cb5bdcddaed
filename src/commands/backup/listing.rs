//! The listing of a backup: which files the database had, and under which checksum each lies.
//!
//! One line of JSON and, on the next, the SHA-256 of the first: a listing that was cut or changed
//! is not read. It is written last, so a backup without one does not count.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{self, Read};
use std::path::{Component, Path};

/// Folder of the listings, and of what they list.
pub(crate) const LISTINGS: &str = "backups";
/// Folder of the files, each under its checksum.
pub(crate) const OBJECTS: &str = "objects";
/// What a listing's name ends with.
pub(crate) const ENDING: &str = ".json";
const VERSION: u32 = 1;

/// All files of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    version: u32,
    pub(crate) files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Path in the folder of the database, with slashes.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// When it was last changed, nanoseconds since 1970: with path and length it tells a file
    /// that was copied before.
    pub(crate) modified_ns: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

impl Listing {
    pub(crate) fn new(files: Vec<Entry>) -> Self {
        Self { version: VERSION, files }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).expect("texts and numbers are JSON");
        let sum = hex(&Sha256::digest(json.as_bytes()));
        format!("{json}\n{sum}\n").into_bytes()
    }

    /// Reads what [`Listing::encode`] wrote, or says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
        let (json, sum) = text.split_once('\n').ok_or("it is cut off")?;
        if sum.trim_end() != hex(&Sha256::digest(json.as_bytes())) {
            return Err("its checksum does not match".to_owned());
        }
        let listing: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if listing.version != VERSION {
            return Err(format!("version {} is not known here", listing.version));
        }
        let mut paths = BTreeSet::new();
        for Entry { path, sha256, .. } in &listing.files {
            let is_inside =
                Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            if path.is_empty() || !is_inside || !paths.insert(path) {
                return Err(format!("{path:?} is no path of a database"));
            }
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if sha256.len() != 64 || !sha256.bytes().all(is_hex) {
                return Err(format!("{sha256:?} is no checksum"));
            }
        }
        Ok(listing)
    }
}

impl Entry {
    /// Where the file lies in the backup.
    pub(crate) fn key(&self) -> String {
        format!("{OBJECTS}/{}", self.sha256)
    }
}

/// Length and SHA-256 of all that can be read.
pub(crate) fn digest(mut from: impl Read) -> io::Result<(u64, String)> {
    let (mut sum, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&sum.finalize()))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        bytes += read as u64;
        sum.update(&buffer[..read]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{Entry, Listing, digest};

    fn listing(path: &str) -> Listing {
        let (bytes, sha256) = digest(&b"abc"[..]).unwrap();
        Listing::new(vec![Entry { path: path.to_owned(), bytes, modified_ns: 7, sha256 }])
    }

    #[test]
    fn a_listing_comes_back_and_no_changed_one_does() {
        let listing = listing("blocks/0000000001.block");
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((listing.files[0].bytes, listing.files[0].sha256.as_str()), (3, sum));
        let bytes = listing.encode();
        assert_eq!(Listing::decode(&bytes), Ok(listing));
        for end in 0..bytes.len() - 1 {
            assert!(Listing::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() - 1 {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Listing::decode(&changed).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["", "/etc/x", "../x", "a/../../x", "./x/..", ".."] {
            assert!(Listing::decode(&listing(path).encode()).is_err(), "{path}");
        }
        let mut twice = listing("a");
        twice.files.push(twice.files[0].clone());
        assert!(Listing::decode(&twice.encode()).is_err());
        let mut bad = listing("a");
        bad.files[0].sha256 = "../../x".to_owned();
        assert!(Listing::decode(&bad.encode()).is_err());
    }
}

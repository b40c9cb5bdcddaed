//! A place of backups as commands work with it: what goes wrong there says what, where, and what
//! to do about it.

use super::target::{CopyError, Target};
use crate::commands::whisper::CommandError;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Characters of what a server says that are passed on.
const SAID_MAX: usize = 700;

/// A folder or a bucket, under the name that was given.
pub(crate) struct Place {
    name: String,
    target: Target,
}

impl Place {
    /// What an argument names: `s3://BUCKET/PREFIX`, or a folder.
    pub(crate) fn open(name: &str) -> Result<Self, CommandError> {
        Ok(Self { name: name.to_owned(), target: Target::open(name)? })
    }

    /// Keeps other backups away as long as the answer lives. `database` is the folder of what is
    /// backed up.
    pub(super) fn lock(&self, database: &Path) -> Result<File, CommandError> {
        let path = self.target.lock_path(database);
        self.target.lock(database).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => CommandError::Database(format!(
                "{}: another backup to it is running, which has {} locked: run this one again when \
                 that has ended",
                self.name,
                path.display()
            )),
            _ => failed(&path, &error),
        })
    }

    /// See [`Target::list`].
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>, CommandError> {
        self.target.list(folder).map_err(|error| self.trouble(folder, &error))
    }

    /// See [`Target::remove_unfinished`].
    pub(super) fn remove_unfinished(&self, folder: &str) -> Result<(), CommandError> {
        self.target.remove_unfinished(folder).map_err(|error| self.trouble(folder, &error))
    }

    /// Puts the bytes of a file there.
    pub(super) fn put_file(&self, key: &str, from: &Path) -> Result<(), CommandError> {
        self.target.put_file(key, from).map_err(|error| match error {
            CopyError::Source(error) => failed(from, &error),
            CopyError::Target(error) => self.trouble(key, &error),
        })
    }

    /// Puts some bytes there.
    pub(super) fn put(&self, key: &str, bytes: &[u8]) -> Result<(), CommandError> {
        self.target.put(key, bytes).map_err(|error| self.trouble(key, &error))
    }

    /// Puts some bytes there unless others are. Whether they are there.
    pub(super) fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, CommandError> {
        self.target.create(key, bytes).map_err(|error| self.trouble(key, &error))
    }

    /// What is there.
    pub(super) fn read(&self, key: &str) -> Result<Vec<u8>, CommandError> {
        self.target.read(key).map_err(|error| self.trouble(key, &error))
    }

    /// Writes what is there to `out`.
    pub(crate) fn get(&self, key: &str, out: &mut dyn Write) -> Result<(), CopyError> {
        self.target.get(key, out)
    }

    /// Removes what is there.
    pub(super) fn remove(&self, key: &str) -> Result<(), CommandError> {
        self.target.remove(key).map_err(|error| self.trouble(key, &error))
    }

    /// Something cannot be read or written there.
    pub(crate) fn trouble(&self, key: &str, error: &io::Error) -> CommandError {
        self.wrong(key, &format!("{}; {}", said(error), advice(error)))
    }

    /// Something is not as it should be there.
    pub(crate) fn wrong(&self, key: &str, reason: &str) -> CommandError {
        CommandError::Database(format!("{}, {key}: {reason}", self.name))
    }
}

/// Something is wrong with a file on this side.
pub(crate) fn failed(path: &Path, error: &io::Error) -> CommandError {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; make room there and run it again, it goes on where it was"
        }
        _ => "",
    };
    CommandError::Database(format!("{}: {error}{advice}", path.display()))
}

/// An error on one line, and not at any length: servers answer pages.
fn said(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(SAID_MAX) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

/// What to do about it. The status of a server stands in the text alone, for some requests.
fn advice(error: &io::Error) -> &'static str {
    let text = error.to_string();
    let is_answer = |status| text.contains(&format!("status code: {status} "));
    match error.kind() {
        _ if is_answer(401) || is_answer(403) => {
            "look at the credentials in the environment, and whether they may list, get, put and \
             delete there"
        }
        _ if is_answer(404) => "look whether there is such a bucket",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room there and run it again, what was copied is kept"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "let this user write there and run it again"
        }
        _ => "run it again, what was copied is kept",
    }
}

#[cfg(test)]
mod tests {
    use super::{SAID_MAX, said};
    use std::io;

    #[test]
    fn pages_become_a_line() {
        assert_eq!(said(&io::Error::other("a\n  <b>\r\nc")), "a <b> c");
        let long = said(&io::Error::other("ü".repeat(10_000)));
        assert_eq!(long.chars().count(), SAID_MAX + " ...".len());
    }
}

//! Where lines end up. A log file that was moved or deleted by a log rotator is opened anew.

use super::LoggingError;
use super::output::Target;
use parking_lot::Mutex;
use silverback_engine::clock;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a log file is looked after; go-carbon's period.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// An open place for lines. Lines that cannot be written are lost: logging must never stop
/// the server.
#[derive(Debug)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    None,
    /// A file. The lock keeps lines whole and guards the replacement of the file.
    File(Mutex<LogFile>),
}

impl Sink {
    /// Opens a target.
    ///
    /// # Errors
    /// When its file cannot be opened.
    pub fn open(target: &Target) -> Result<Self, LoggingError> {
        Ok(match target {
            Target::Stdout => Self::Stdout,
            Target::Stderr => Self::Stderr,
            Target::None => Self::None,
            Target::File(path) => {
                let file = LogFile::open(path.clone())
                    .map_err(|source| LoggingError::File { path: path.clone(), source })?;
                Self::File(Mutex::new(file))
            }
        })
    }

    /// Writes a line that ends in a line feed.
    pub fn write(&self, line: &str) {
        let _ = match self {
            Self::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Self::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            Self::None => Ok(()),
            Self::File(file) => file.lock().write(line, clock::monotonic()),
        };
    }
}

/// A file that follows its path.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// When the path was last compared with the open file.
    checked: Instant,
}

impl LogFile {
    /// Opens a file for appending, with the folders it needs.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = append_to(&path)?;
        Ok(Self { path, file, checked: clock::monotonic() })
    }

    /// Writes a line at `now`.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, line: &str, now: Instant) -> io::Result<()> {
        if now.saturating_duration_since(self.checked) >= CHECK_EVERY {
            self.checked = now;
            self.follow();
        }
        self.file.write_all(line.as_bytes())
    }

    /// Opens the path anew when the open file no longer stands there. When that fails, the
    /// old file is still better than none.
    fn follow(&mut self) {
        let same = match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(open)) => there.dev() == open.dev() && there.ino() == open.ino(),
            _ => false,
        };
        if !same && let Ok(file) = append_to(&self.path) {
            self.file = file;
        }
    }
}

fn append_to(path: &std::path::Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::{CHECK_EVERY, LogFile};
    use silverback_engine::clock;

    #[test]
    fn a_moved_file_is_followed_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("logs/a.log"), folder.path().join("a.log.1"));
        let start = clock::monotonic();
        let mut log = LogFile::open(path.clone()).unwrap();
        log.write("one\n", start).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        log.write("two\n", start).unwrap();
        log.write("three\n", start + CHECK_EVERY * 2).unwrap();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
    }
}

//! What work on many files tells as it goes on.

use std::path::PathBuf;

/// Something that is told.
#[derive(Debug)]
pub enum JobEvent<Outcome, Error> {
    /// Something that concerns all of the files.
    Note(String),
    /// So many files are to be done.
    Files(usize),
    /// A file was read; what becomes of it is told when that is durable.
    Read,
    /// A file is done.
    File(JobFile<Outcome, Error>),
}

impl<Outcome, Error> JobEvent<Outcome, Error> {
    /// The same with another outcome of a file that is done well.
    pub fn map<Other>(self, change: impl FnOnce(Outcome) -> Other) -> JobEvent<Other, Error> {
        match self {
            Self::Note(text) => JobEvent::Note(text),
            Self::Files(files) => JobEvent::Files(files),
            Self::Read => JobEvent::Read,
            Self::File(JobFile { path, name, points, too_old, differs, outcome }) => {
                let outcome = outcome.map(change);
                JobEvent::File(JobFile { path, name, points, too_old, differs, outcome })
            }
        }
    }
}

/// A file that is done.
#[derive(Debug)]
pub struct JobFile<Outcome, Error> {
    /// Where it is, or was.
    pub path: PathBuf,
    /// Name of its series; empty when it is a folder that could not be listed.
    pub name: Vec<u8>,
    /// Points of all its archives.
    pub points: u64,
    /// Points that no archive reaches back to from the clock's time: they are left out of a file
    /// that is written, and go from blocks as all that is too old does.
    pub too_old: u64,
    /// What of an imported file is not as the rules have it, both sides in words.
    pub differs: Option<String>,
    /// What became of it.
    pub outcome: Result<Outcome, Error>,
}

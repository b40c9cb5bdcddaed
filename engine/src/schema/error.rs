//! What is wrong in the rule files, and where.

use super::re2::PatternError;
use super::retention::RetentionError;
use std::fmt;

/// All mistakes of the rule files; one line each when printed. Callers never see it empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaErrors(Vec<SchemaError>);

impl SchemaErrors {
    /// The mistakes, file by file and line by line.
    pub fn iter(&self) -> std::slice::Iter<'_, SchemaError> {
        self.0.iter()
    }

    /// To be filled while reading.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, error: SchemaError) {
        self.0.push(error);
    }

    /// Takes the mistakes of the next file, bringing them into the order of its lines.
    pub(super) fn append(&mut self, mut file: Self) {
        file.0.sort_by_key(|error| error.line);
        self.0.append(&mut file.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for SchemaErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SchemaErrors {}

impl From<SchemaError> for SchemaErrors {
    fn from(error: SchemaError) -> Self {
        Self(vec![error])
    }
}

/// One mistake in a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {mistake}")]
pub struct SchemaError {
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub mistake: Mistake,
}

impl SchemaError {
    pub(super) fn new(file: &str, line: usize, mistake: Mistake) -> Self {
        Self { file: file.to_owned(), line, mistake }
    }
}

/// What is wrong with a line or a section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// A line starts with `[` and does not end with `]`.
    #[error("section header {text:?} must end with ], and nothing may follow it")]
    UnfinishedSection {
        /// The line.
        text: String,
    },
    /// Nothing between the brackets.
    #[error("section name is empty, expected [name]")]
    EmptySectionName,
    /// Something before the first section.
    #[error("{text:?} stands before any section, expected [name] first")]
    OutsideSection {
        /// The line.
        text: String,
    },
    /// A line that is nothing the grammar knows.
    #[error("{text:?} is not a line of the form key = value, a [section] or a comment (# or ;)")]
    NotKeyValue {
        /// The line.
        text: String,
    },
    /// Nothing before the equals sign.
    #[error("key is empty, expected key = value")]
    EmptyKey,
    /// A key that each section needs is not there, or empty.
    #[error("section [{section}] has no {key}, expected {expected}")]
    Missing {
        /// The section.
        section: String,
        /// The key as the manual spells it.
        key: &'static str,
        /// What may stand there.
        expected: &'static str,
    },
    /// The value is none of those that the key may have.
    #[error("{key} is {value:?}, expected {expected}")]
    Value {
        /// The key as the manual spells it.
        key: &'static str,
        /// The value as written.
        value: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// The archives are wrong.
    #[error(transparent)]
    Retentions(#[from] RetentionError),
    /// The regular expression is wrong.
    #[error("pattern {pattern:?}: {error}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        error: PatternError,
    },
    /// The file is too long.
    #[error("the file is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The compiled patterns of a file, up to this one, take too much memory.
    #[error(
        "patterns up to {pattern:?} compile to more than {limit_bytes} bytes; use smaller repeat counts or classes"
    )]
    TooLarge {
        /// The pattern that passes the limit.
        pattern: String,
        /// The limit for the patterns of one file, in bytes.
        limit_bytes: usize,
    },
}

//! `whisper verify`: what is damaged.

use super::super::jobs::Jobs;
use super::error::{CommandError, FileError};
use super::file::{Kind, WhisperFile, open_sidecar};
use super::walk::Walked;
use super::{DialectName, complain};
use clap::Args;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `whisper verify`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Exit codes: 0 all is well, 1 some file is damaged or cannot be read, 2 usage.\n\n\
    Examples:\n  \
    silverback whisper verify load.wsp\n  \
    silverback whisper verify --json --jobs 4 /var/lib/graphite/whisper"
)]
pub(crate) struct Verify {
    /// Files, and folders whose .wsp files are checked
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    jobs: Jobs,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
}

/// A file without damage.
struct Sound {
    kind: Kind,
    points: u64,
}

impl Verify {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        let mut walked = Walked::default();
        for path in &self.paths {
            if path.is_dir() {
                walked.look_below(path);
            } else {
                walked.files.push(path.clone());
            }
        }
        let mut sound = true;
        self.jobs.run(
            walked,
            |path| self.verify(path),
            |sound| sound.points,
            |path, result| {
                sound &= result.is_ok();
                self.report(path, result, out)
            },
        )?;
        Ok(sound)
    }

    fn verify(&self, path: &Path) -> Result<Sound, FileError> {
        let file = WhisperFile::open_path(path, self.dialect.rules())?;
        file.verify()?;
        if file.kind() == Kind::Cwhisper {
            open_sidecar(path, self.dialect.rules()).map_err(|error| match error {
                FileError::Io(_) => error,
                _ => FileError::Sidecar(error.to_string()),
            })?;
        }
        Ok(Sound { kind: file.kind(), points: file.stored_points()? })
    }

    fn report(
        &self,
        path: &Path,
        result: Result<Sound, FileError>,
        out: &mut dyn Write,
    ) -> Result<(), CommandError> {
        let (shown, name) = (path.display(), path.to_string_lossy());
        match (result, self.jobs.json) {
            (Ok(Sound { kind, points }), true) => {
                let format = kind.name();
                let line =
                    json!({ "path": name, "status": "ok", "format": format, "points": points });
                writeln!(out, "{line}")?;
            }
            (Ok(Sound { kind, points }), false) => {
                writeln!(out, "{shown}: ok, {}, {points} points", kind.name())?;
            }
            (Err(error), true) => {
                let line = json!({ "path": name, "status": "failed", "error": error.to_string() });
                writeln!(out, "{line}")?;
            }
            (Err(error), false) => complain(&error.at(path)),
        }
        Ok(())
    }
}

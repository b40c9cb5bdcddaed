//! `/admin/import`: whisper files of the server's machine into its blocks, while it serves.
//!
//! Files stay where they are; what was imported before is left alone, so that a request that was
//! cut off is repeated.

use super::delete::DRY_RUN;
use super::{failed, flag, json};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use serde_json::{Value, json};
use silverback_engine::{ImportError, ImportEvent, ImportOptions, ImportOutcome, JobEvent};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::TryLockError;

/// All that is read here.
pub(super) const PARAMETERS: &[&str] =
    &["from", "jobs", "filenames", "dryRun", "dryrun", "dry-run", "dry_run"];
/// Failed files that an answer tells of.
const FAILURES_MAX: usize = 1000;
/// Files that may be read at a time.
const JOBS_MAX: usize = 64;

/// What became of the files of an import.
#[derive(Debug, Default)]
struct Done {
    imported: u64,
    skipped: u64,
    failed: u64,
    points: u64,
    /// Path and reason of the first that failed.
    failures: Vec<Value>,
    notes: Vec<String>,
}

/// Takes over the files of the folder in parameter `from`, and says how many and what is wrong
/// with the others.
///
/// # Errors
/// Without an absolute folder, while another import goes on, when the database has no blocks, and
/// when a block cannot be written.
pub fn import(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    // One that panicked is over.
    let Ok(_only) = api.importing.try_lock().or_else(|error| match error {
        TryLockError::Poisoned(poisoned) => Ok(poisoned.into_inner()),
        TryLockError::WouldBlock => Err(()),
    }) else {
        return Err(Refusal::parameters("another import goes on: wait for its end"));
    };
    let dry_run = flag(request, DRY_RUN)?;
    let options = ImportOptions {
        jobs: jobs(request)?,
        dry_run,
        hash_filenames: hash_filenames(api, request)?,
        node: api.options.whisper.clone(),
        ..ImportOptions::new(from(request)?)
    };
    let mut done = Done::default();
    api.db.import_folder(&options, &mut |event| done.take(event)).map_err(refusal)?;
    let Done { imported, skipped, failed, points, failures, notes } = done;
    tracing::info!(imported, skipped, failed, points, dry_run, "imported on demand");
    Ok(json(&json!({
        "imported": imported, "skipped": skipped, "failed": failed, "points": points,
        "dryRun": dry_run, "failures": failures, "notes": notes,
    })))
}

impl Done {
    fn take(&mut self, event: ImportEvent) -> ControlFlow<()> {
        match event {
            JobEvent::Note(text) => self.notes.push(text),
            JobEvent::Files(_) | JobEvent::Read => {}
            JobEvent::File(file) => match file.outcome {
                Ok(ImportOutcome::Held) => self.skipped += 1,
                Ok(ImportOutcome::Imported | ImportOutcome::WouldImport) => {
                    self.imported += 1;
                    self.points += file.points;
                }
                Err(error) => {
                    self.failed += 1;
                    if self.failures.len() < FAILURES_MAX {
                        let path = file.path.to_string_lossy();
                        let failure = json!({ "path": path, "error": error.to_string() });
                        self.failures.push(failure);
                    }
                }
            },
        }
        ControlFlow::Continue(())
    }
}

fn from(request: &Request) -> Result<&Path, Refusal> {
    let from = request.params.last("from").map(Path::new);
    let from = from.ok_or_else(|| Refusal::parameters("from is not given"))?;
    // Where the server was started means nothing to who asks.
    if !from.is_absolute() || !from.is_dir() {
        let reason = "allowed is the absolute path of a folder on the server's machine";
        return Err(Refusal::parameters(format!("from = {:?}: {reason}", from.display())));
    }
    Ok(from)
}

/// Whether the files of tagged series are named by hashes.
fn hash_filenames(api: &Api, request: &Request) -> Result<bool, Refusal> {
    match request.params.last("filenames") {
        None => Ok(api.options.whisper.hash_filenames),
        Some("hashed") => Ok(true),
        Some("plain") => Ok(false),
        Some(names) => {
            let reason = format!("filenames = {names:?}: allowed is hashed or plain");
            Err(Refusal::parameters(reason))
        }
    }
}

/// Files read at a time: one, unless more are asked for, since the server has other work.
fn jobs(request: &Request) -> Result<usize, Refusal> {
    let Some(jobs) = request.params.last("jobs") else { return Ok(1) };
    match jobs.parse::<usize>() {
        Ok(jobs @ 1..=JOBS_MAX) => Ok(jobs),
        _ => {
            let allowed = format!("allowed is a number from 1 to {JOBS_MAX}");
            Err(Refusal::parameters(format!("jobs = {jobs:?}: {allowed}")))
        }
    }
}

fn refusal(error: ImportError) -> Refusal {
    match error {
        error @ (ImportError::NoBlocks | ImportError::Source(_)) => Refusal::parameters(error),
        error => failed(error),
    }
}

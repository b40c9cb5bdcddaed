//! Settings → how samples are kept after the head.

use super::settings::Settings;
use silverback_engine::{
    AfterImport, ImportOptions, MigrationOptions, StoreOptions, WhisperOptions, WriteStrategy,
    moved_folder,
};
use std::path::PathBuf;

/// What `[storage] engine` and, for whisper files, go-carbon's keys ask for.
pub(super) fn options(settings: &Settings) -> StoreOptions {
    let storage = settings.table("storage");
    if storage.text("engine") == "block" {
        return StoreOptions::Blocks;
    }
    StoreOptions::Whisper(Box::new(whisper(settings)))
}

/// How whisper files are kept, where they are.
pub(super) fn whisper(settings: &Settings) -> WhisperOptions {
    let (storage, whisper) = (settings.table("storage"), settings.table("whisper"));
    let write_strategy = match settings.table("cache").text("write-strategy").as_str() {
        "sorted" => WriteStrategy::Sorted,
        "noop" => WriteStrategy::Noop,
        _ => WriteStrategy::Max,
    };
    WhisperOptions {
        dir: whisper.text("data-dir").into(),
        workers: usize::try_from(whisper.int("workers")).unwrap_or(1).max(1),
        updates_per_second: rate(whisper.int("max-updates-per-second")),
        creates_per_second: rate(whisper.int("max-creates-per-second")),
        write_strategy,
        flush_interval: storage.duration("flush-interval"),
        checkpoint_interval: storage.duration("checkpoint-interval"),
        scan_interval: settings.table("carbonserver").duration("scan-frequency"),
        stuck_points_max: super::limit(storage.int("stuck-points-max")),
        compressed: whisper.flag("compressed"),
        sparse_create: whisper.flag("sparse-create"),
        flock: whisper.flag("flock"),
        hash_filenames: whisper.flag("hash-filenames"),
        remove_empty_file: whisper.flag("remove-empty-file"),
        migration: whisper.flag("online-migration").then(|| {
            let scope = whisper.text("online-migration-global-scope");
            // Words are compared as they stand, without trimming, as in go-carbon.
            let covers = |word: &str| scope.split(',').any(|part| part == word);
            MigrationOptions {
                per_second: rate(whisper.int("online-migration-rate")),
                x_files_factor: covers("xff"),
                method: covers("aggregationMethod"),
                archives: covers("schema"),
            }
        }),
    }
}

/// The whisper files that are to be moved into blocks, if there are any.
pub(super) fn migrate_from(settings: &Settings) -> Option<ImportOptions> {
    let storage = settings.table("storage");
    let from = storage.text("migrate-from");
    if from.is_empty() || storage.text("engine") != "block" {
        return None;
    }
    let from = PathBuf::from(from);
    let after = match storage.text("migrated-files").as_str() {
        "remove" => AfterImport::Remove,
        "leave" => AfterImport::Keep,
        _ => AfterImport::MoveTo(moved_folder(&from)),
    };
    Some(ImportOptions {
        files_per_second: rate(storage.int("migrate-files-per-second")),
        hash_filenames: settings.table("whisper").flag("hash-filenames"),
        node: whisper(settings),
        after,
        ..ImportOptions::new(from)
    })
}

/// A rate per second; what the machine cannot count is no limit.
fn rate(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

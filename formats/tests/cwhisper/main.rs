//! Recorded compressed files of go-whisper, read and written.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod case;
mod codec;
#[path = "../recorded/mod.rs"]
mod recorded;
mod replay;

use silverback_formats::whisper::compressed::{Compressed, Conduct, Damage};
use silverback_formats::whisper::{Rules, Whisper};

use case::{Case, Read, cases, recorded};
use recorded::Answer;
use replay::{replay, replay_standard};

/// Files that are read but not written, and why.
const NOT_WRITTEN: &[(&str, &str)] = &[
    ("c46_config_wrong_flag", "the header is overwritten as if it were a standard one"),
    ("c58_update_call_on_compressed", "a cell is written over a block"),
    ("c59_old_version_duplicates", "an old version repeats times"),
];

#[test]
fn every_read_of_every_file_is_answered_as_by_go_whisper() {
    let mut reads = 0;
    for (name, case) in cases() {
        for read in &case.fetch {
            let answer = answer(&case, read, Conduct::GoWhisper);
            assert_eq!(answer, read.answer(), "{name} {}", read_of(read));
            reads += 1;
        }
    }
    assert!(reads > 1000, "only {reads} reads");
}

#[test]
fn every_file_is_written_byte_for_byte() {
    let mut failed = Vec::new();
    let mut files = 0;
    for (name, case) in cases() {
        if is_written(&case) {
            files += 1;
            let found = replay(&case, Conduct::GoWhisper);
            failed.extend((found != recorded(&case)).then_some(name));
        }
    }
    assert!(failed.is_empty(), "written otherwise: {failed:#?}");
    assert!(files >= 62, "only {files} files");
}

fn is_written(case: &Case) -> bool {
    !NOT_WRITTEN.iter().any(|(name, _)| case.name == *name)
}

fn answer(case: &Case, read: &Read, conduct: Conduct) -> Answer {
    let Read { from, until, now, .. } = *read;
    let bytes = recorded(case);
    if case.structure.compressed == Some(false) {
        let file = Whisper::open(bytes, Rules::GO).unwrap();
        return match file.fetch(from, until, now) {
            Err(_) => Answer::Error,
            Ok(fetched) => fetched.as_ref().map_or(Answer::None, Answer::of),
        };
    }
    let Ok(file) = Compressed::open(bytes, conduct) else { return Answer::Error };
    let fetched = match &read.spec {
        Some(spec) => file.fetch_summary(spec.summary(), from, until, now),
        None => file.fetch(from, until, now),
    };
    match fetched {
        Err(_) => Answer::Error,
        Ok(fetched) => fetched.as_ref().map_or(Answer::None, Answer::of),
    }
}

fn read_of(read: &Read) -> String {
    format!("from {} until {} at {}", read.from, read.until, read.now)
}

#[test]
fn checksums_and_blocks_are_found_as_sound_as_they_are() {
    for (name, case) in cases() {
        let Ok(file) = Compressed::open(recorded(&case), Conduct::GoWhisper) else { continue };
        let found = file.verify().unwrap();
        if case.structure.integrity.as_deref() == Some("ok") {
            assert_eq!(found, [], "{name}");
        } else {
            assert_ne!(found, [], "{name}");
        }
        let stale_index = name == "c44_config_inplace";
        assert_eq!(found.contains(&Damage::Index), stale_index, "{name}");
    }
}

/// Files that differ when nothing may be lost, and why.
const CORRECTED: &[(&str, &str)] = &[
    ("c20_out_of_order_dropped", "late points are kept"),
    ("c21_rewrite_single", "the last value of a time counts, not the first"),
    ("c22_rewrite_buffered", "values are replaced in blocks too"),
    ("c24_big_batch", "blocks grow before live ones are recycled"),
    ("c27_custom_ppb_extend", "points per block outlive an extension"),
    ("c28_custom_ppb", "the same"),
    ("c29_batch_across_archives", "a batch is cut where archives end"),
    ("c36_flush_order_bug", "the older interval leaves the buffer first"),
    ("c40_compress_to", "intervals that were half converted become whole"),
    ("c41_migrate_retention", "the same"),
    ("c42_migrate_std_to_comp", "the same"),
    ("c44_config_inplace", "the checksum is kept right"),
    ("c48_future_points", "points before future ones are kept"),
    ("c52_four_archives", "no point is made out of an end marker"),
    ("c54_no_buffer_last_level", "a batch is cut where archives end"),
    ("c55_update_many_ignore_now", "the same"),
    ("c56_phantom_after_two_extensions", "no point is made out of an end marker"),
    ("c57_convert_then_phantom", "the same"),
    ("c61_xff_drops_partial_flush", "late points are kept"),
];

/// What go-whisper does right is done in the same way.
#[test]
fn files_differ_only_where_go_whisper_loses_points() {
    let mut differ = Vec::new();
    for (name, case) in cases() {
        if is_written(&case) && case.structure.compressed == Some(true) {
            let found = replay(&case, Conduct::Corrected);
            let file = Compressed::open(found.clone(), Conduct::Corrected).unwrap();
            assert_eq!(file.verify().unwrap(), [], "{name}");
            differ.extend((found != recorded(&case)).then_some(name));
        }
    }
    let expected: Vec<&str> = CORRECTED.iter().map(|(name, _)| *name).collect();
    assert_eq!(differ, expected);
}

/// Cases in which a standard file answers otherwise, and why.
const NOT_AS_STANDARD: &[(&str, &str)] = &[(
    "c29_batch_across_archives",
    "its oldest slot was overwritten by the newest before the coarser point was made",
)];

/// Nothing is lost or hidden: a compressed file answers as the standard file of the same points.
#[test]
fn answers_are_those_of_a_standard_file() {
    let mut differ = Vec::new();
    let mut reads = 0;
    for (name, case) in cases() {
        let Some(twin) = replay_standard(&case) else { continue };
        let file = Compressed::open(replay(&case, Conduct::Corrected), Conduct::Corrected).unwrap();
        let differs = |read: &Read| {
            let found = file.fetch(read.from, read.until, read.now);
            let expected = twin.fetch(read.from, read.until, read.now);
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    found.as_ref().map(Answer::of) != expected.as_ref().map(Answer::of)
                }
                (found, expected) => found.is_ok() || expected.is_ok(),
            }
        };
        reads += case.fetch.len();
        differ.extend(case.fetch.iter().any(differs).then_some(name));
    }
    let expected: Vec<&str> = NOT_AS_STANDARD.iter().map(|(name, _)| *name).collect();
    assert_eq!(differ, expected);
    assert!(reads > 800, "only {reads} reads");
}

//! Recorded files of Python whisper and go-whisper, read and written.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod case;
#[path = "../recorded/mod.rs"]
mod recorded;
mod replay;

use std::fs;

use silverback_formats::whisper::{Rules, Whisper};

use case::{Case, Read, cases, folder};
use recorded::Answer;
use replay::{content, replay, rules_of};

/// Files that are not imitated, and why.
const NOT_WRITTEN: &[(&str, &str, &str)] = &[
    ("s21_batch_across_archives", "go", "oldest point of a batch moves down an archive"),
    ("s22_batch_too_old_single", "go", "the same, and it is lost"),
    ("s23_batch_boundary_empty", "go", "the same"),
    ("s26_backfill_lower", "go", "the same"),
    ("s54_unaligned_now", "go", "the same, in the last batch"),
    ("s41_future_batch_overflow", "both", "writes over the end of an archive"),
    ("s44_very_old_header", "go", "files without a method are read only"),
    ("s56_go_on_code7", "go", "points are written and then cannot be aggregated"),
    ("s57_go_on_code8", "go", "the same"),
];

/// Files of which Python wrote the coarse archives of a batch in no order: equal up to a turn.
const TURNED: &[&str] = &[
    "s21_batch_across_archives",
    "s48_src_for_merge",
    "s51_python_resize",
    "s52_python_resize_aggregate",
];

#[test]
fn every_read_of_every_file_is_answered() {
    let mut reads = 0;
    for (name, case) in cases() {
        for file in &case.files {
            let bytes = fs::read(folder().join(&file.path)).unwrap();
            let rules = if file.writer == "go" { Rules::GO } else { Rules::SILVERBACK };
            let whisper = Whisper::open(bytes, rules).unwrap();
            for read in &case.fetch {
                let answer = answer(&whisper, read);
                assert_eq!(answer, read.answer(&file.path), "{name} {}", read_of(read));
                reads += 1;
            }
        }
    }
    assert!(reads > 1000, "only {reads} reads");
}

#[test]
fn every_file_is_written_byte_for_byte() {
    let mut files = 0;
    let mut failed = Vec::new();
    for (name, case) in cases() {
        for (writer, path) in written(&case) {
            let rules = rules_of(writer);
            let found = replay(&case, writer, rules);
            let expected = fs::read(folder().join(path)).unwrap();
            let turned = content(&found, rules) == content(&expected, rules);
            let may_turn = writer == "python" && TURNED.contains(&name.as_str());
            if found != expected && !(may_turn && turned) {
                failed.push(format!("{name} as {writer}, same but turned: {turned}"));
            }
            files += 1;
        }
    }
    assert!(failed.is_empty(), "written otherwise: {failed:#?}");
    assert!(files > 80, "only {files} files");
}

/// Silverback's own rules take the best of both, and so lie between them.
#[test]
fn files_on_which_both_writers_agree_are_written_by_silverback_too() {
    for (name, case) in cases() {
        if case.files.len() == 1 && case.files[0].writer == "both" && is_written(&case, "both") {
            let found = replay(&case, "python", Rules::SILVERBACK);
            let expected = fs::read(folder().join(&case.files[0].path)).unwrap();
            assert!(found == expected, "{name} is written otherwise");
        }
    }
}

/// Writer and path of each file that is to be written.
fn written(case: &Case) -> Vec<(&str, &str)> {
    let mut written = Vec::new();
    for file in &case.files {
        for writer in &case.writers {
            let of = file.writer == "both" || file.writer == *writer;
            if of && is_written(case, &file.writer) {
                written.push((writer.as_str(), file.path.as_str()));
            }
        }
    }
    written
}

fn is_written(case: &Case, writer: &str) -> bool {
    !NOT_WRITTEN.iter().any(|(name, by, _)| case.name == *name && *by == writer)
}

fn answer(file: &Whisper<Vec<u8>>, read: &Read) -> Answer {
    let Read { from, until, now, archive_step, .. } = *read;
    let fetched = match archive_step {
        Some(step_s) => file.fetch_step(step_s, from, until, now),
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

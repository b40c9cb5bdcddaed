//! Every body over every file of its corpus.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use silverback_fuzz::BODIES;

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn corpus_is_survived() {
    for (name, body) in BODIES {
        let files = entries(&home().join("corpus").join(name));
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            // Shown when the body panics.
            eprintln!("{}", file.display());
            body(&fs::read(&file).unwrap());
        }
    }
}

#[test]
fn each_body_has_a_target_and_a_corpus_and_no_others_exist() {
    let bodies: BTreeSet<OsString> = BODIES.iter().map(|(name, _)| name.into()).collect();
    for folder in ["corpus", "fuzz_targets"] {
        let paths = entries(&home().join(folder));
        let names: BTreeSet<OsString> =
            paths.iter().map(|path| path.file_stem().unwrap().into()).collect();
        assert_eq!(names, bodies, "in {folder}");
    }
}

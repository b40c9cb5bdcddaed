//! The place of all backups of a run: what is there, and what each backup has to hold.

use crate::backup::Known;
use crate::command::{Command, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// See the module.
pub(crate) struct Place {
    dir: TempDir,
    /// What each of them has to hold at least, and may hold at most.
    backups: BTreeMap<String, Known>,
}

/// Files of a folder that have their names, and which files they are.
type Files = BTreeMap<String, (u64, i64, i64)>;

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), backups: BTreeMap::new() }
    }

    fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    /// Where the files of backups appear.
    pub(crate) fn objects(&self) -> PathBuf {
        self.dir.path().join("objects")
    }

    /// How many backups there are.
    pub(crate) fn len(&self) -> usize {
        self.backups.len()
    }

    /// A backup by this server or, stopped, this configuration.
    pub(crate) fn start(&self, source: [&str; 2]) -> Command {
        Command::start(&[&["backup", "--to", self.path()], &source[..]].concat())
    }

    /// A backup that nothing disturbs: it copies what is new and nothing else, and clears away
    /// what killed ones left. `keep` of all remain, when it is given.
    pub(crate) fn run(&self, source: [&str; 2], keep: Option<u64>) {
        let before = files(&self.objects());
        let keep = keep.map(|keep| keep.to_string());
        let keep: Vec<&str> = keep.iter().flat_map(|keep| ["--keep", keep]).collect();
        let done = run(&[&["backup", "--to", self.path()], &source[..], &keep[..]].concat());
        let copied = done[0]["copiedFiles"].as_u64().unwrap();
        let after = files(&self.objects());
        let again: Vec<_> = before
            .iter()
            .filter(|(name, file)| after.get(*name).is_some_and(|now| now != *file))
            .collect();
        assert!(again.is_empty(), "copied again: {again:?}");
        let new = after.keys().filter(|name| !before.contains_key(*name)).count();
        assert_eq!(new as u64, copied, "{:?}", done[0]);
        let unfinished: Vec<_> = after.keys().filter(|name| name.starts_with('.')).collect();
        assert!(unfinished.is_empty(), "left behind: {unfinished:?}");
    }

    /// Takes down what has appeared since: one backup at most, that holds what is known. Others
    /// are gone only if `may_prune`.
    pub(crate) fn settle(&mut self, known: &Known, may_prune: bool) -> Option<String> {
        let listed = run(&["restore", "--from", self.path(), "--list"]);
        let name = |line: &Value| line["backup"].as_str().unwrap().to_owned();
        let listed: BTreeSet<String> = listed.iter().map(name).collect();
        let gone: Vec<String> =
            self.backups.keys().filter(|name| !listed.contains(*name)).cloned().collect();
        assert!(gone.is_empty() || may_prune, "lost backups: {gone:?}");
        gone.iter().for_each(|name| _ = self.backups.remove(name));
        let mut new = listed.into_iter().filter(|name| !self.backups.contains_key(name));
        let (first, second) = (new.next(), new.next());
        assert_eq!(second, None, "two backups by one command");
        if let Some(name) = &first {
            self.backups.insert(name.clone(), known.clone());
        }
        first
    }

    /// Restores the backup with so many newer ones, if there is one, to a folder and verifies all
    /// that is in it; what it has to hold.
    pub(crate) fn restore(&mut self, newer: usize, to: &Path) -> Option<&mut Known> {
        let to = to.to_str().unwrap();
        let name = self.backups.keys().nth_back(newer)?.clone();
        let restore = ["restore", "--from", self.path(), "--to", to];
        // The newest is restored when none is named.
        let named: &[&str] = if newer == 0 { &[] } else { &["--backup", &name] };
        let restored = run(&[&restore, named].concat());
        assert_eq!(restored[0]["backup"], name);
        run(&["verify", to]);
        self.backups.get_mut(&name)
    }

    /// Without a backup there is nothing to restore, and that is said.
    pub(crate) fn check_empty(&self, to: &Path) {
        let to = to.to_str().unwrap();
        let refused = Command::start(&["restore", "--from", self.path(), "--to", to]).end();
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
}

fn files(dir: &Path) -> Files {
    let entries = std::fs::read_dir(dir).into_iter().flatten().map(Result::unwrap);
    let file = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        let file = (metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
        (entry.file_name().into_string().unwrap(), file)
    };
    entries.map(file).collect()
}

//! `kill -9` under load, again and again on one data folder.
//!
//! Each round some connections send while the server is read back; then it is killed: at a
//! random moment, or just when a seal has begun to write, and sometimes once more while it
//! starts. After the restart every line that was answered for is there with its exact value,
//! and so are all lines before it of the same connection; nothing else is there than what was
//! sent, and what one restart has shown every later one shows too.
//!
//! `SILVERBACK_CRASH_ROUNDS` sets the number of rounds, `SILVERBACK_CRASH_SEED` repeats a run as
//! far as its choices go; the moments themselves depend on the machine.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod backup;
mod command;
mod ledger;
mod load;
mod merge;
mod mortal;
mod place;
#[path = "../support/mod.rs"]
mod support;

use ledger::Ledger;
use load::{Random, SENDERS, Sender, Stream};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use support::node::{Node, config_of, run};
use tempfile::TempDir;

/// An engine and how it is made to write all the time, and to sync so often that kills land there
/// too.
struct Engine {
    name: &'static str,
    settings: &'static str,
    rules: &'static str,
    /// Where new files appear, under the folder of a run.
    files: &'static str,
}

const BLOCK: Engine = Engine {
    name: "block",
    settings: "[wal]\nsync-interval = \"20ms\"\n[block]\nduration = \"1s\"\n",
    rules: "[crash]\npattern = ^crash\\.\nretentions = 1s:30d\n",
    files: "data/blocks",
};

const WHISPER: Engine = Engine {
    name: "whisper",
    settings: "flush-interval = \"50ms\"\ncheckpoint-interval = \"500ms\"\n\
               [wal]\nsync-interval = \"20ms\"\n",
    rules: "[plain]\npattern = [02468]$\nretentions = 1s:2d,1m:3d\ncompressed = false\n\
            [packed]\npattern = ^crash\\.\nretentions = 1s:2d,1m:3d\ncompressed = true\n",
    files: "whisper/crash/s0",
};

impl Engine {
    fn config(&self, folder: &Path) -> String {
        // The settings begin in the section that the text ends with but for the log.
        let text = config_of(self.name, folder);
        let (before, log) = text.split_at(text.find("[[logging]]").unwrap());
        format!("{before}{}{log}", self.settings)
    }

    fn start(&self, folder: TempDir) -> Node {
        let text = self.config(folder.path());
        Node::start_with(folder, &text)
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} = {text:?} is not a number")))
}

#[test]
fn nothing_answered_for_is_lost() {
    run_rounds(&BLOCK, 20);
}

#[test]
fn nothing_answered_for_is_lost_in_whisper_files() {
    run_rounds(&WHISPER, 10);
}

fn run_rounds(engine: &Engine, rounds: u64) {
    let rounds = number_from("SILVERBACK_CRASH_ROUNDS").unwrap_or(rounds);
    let seed =
        number_from("SILVERBACK_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random(seed);
    let mut ledger = Ledger::new(support::now_s() - 86_400);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), engine.rules).unwrap();
    let mut node = engine.start(folder);
    let (mut under_load, mut while_starting) = (0, 0);
    while ledger.rounds() < rounds as usize {
        let (folder, was_loaded) = round(engine, node, &mut ledger, &mut random);
        under_load += usize::from(was_loaded);
        let (folder, kills) = kill_starts(engine, folder, &mut random);
        while_starting += kills;
        node = engine.start(folder);
        ledger.check(node.address("node-api"));
        check_unharmed(&node);
    }
    eprintln!(
        "{} lines stored; {under_load} kills under load, {while_starting} while starting",
        ledger.stored()
    );
    assert!(under_load * 2 > rounds as usize, "the load ended before most of the kills");
    // A stop in good order, after all that, keeps everything too.
    node.signal("TERM");
    let (status, folder) = node.wait();
    assert_eq!(status.code(), Some(0));
    let node = engine.start(folder);
    ledger.check_all(node.address("node-api"));
    check_files(&node);
}

/// Load, a read-back and a kill. Says whether lines were still being sent at the kill.
fn round(engine: &Engine, node: Node, ledger: &mut Ledger, random: &mut Random) -> (TempDir, bool) {
    let round = ledger.begin_round();
    let (carbon, node_api) = (node.address("carbon-tcp"), node.address("node-api"));
    let senders: [Sender; SENDERS] = std::array::from_fn(|sender| {
        let stream = Stream { round, sender };
        Sender::start(stream, ledger.first_s, carbon, Random(random.below(u64::MAX)))
    });
    pause(random.below(400));
    ledger.read_back(node_api);
    if round % 4 == 3 {
        wait_for_files(&node.folder().join(engine.files));
        std::thread::sleep(Duration::from_micros(random.below(5000)));
    } else {
        pause(random.below(500));
    }
    let was_loaded = senders.iter().any(|sender| !sender.is_finished());
    let folder = node.kill();
    ledger.end_round(senders.map(Sender::end));
    (folder, was_loaded)
}

/// Every other time the next server does not live to see its start end either.
fn kill_starts(engine: &Engine, mut folder: TempDir, random: &mut Random) -> (TempDir, usize) {
    let kills = random.below(3).saturating_sub(1) as usize * (1 + random.below(2) as usize);
    for _ in 0..kills {
        let text = engine.config(folder.path());
        let node = Node::spawn(folder, &text);
        pause(random.below(80));
        folder = node.kill();
    }
    (folder, kills)
}

/// Waits until a file appears. When nothing is to be written there is none: then the wait ends
/// by itself.
fn wait_for_files(dir: &Path) {
    let before = names(dir);
    for _ in 0..5000 {
        if !names(dir).is_subset(&before) {
            return;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

type Names = BTreeSet<OsString>;

/// What is in a folder; nothing where there is none.
fn names(dir: &Path) -> Names {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.flatten().map(|entry| entry.file_name()).collect()
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Every whisper file opens, whenever its writer was killed.
#[track_caller]
fn check_files(node: &Node) {
    let dir = node.folder().join("whisper");
    if dir.exists() {
        let output = run(&["whisper", "verify", dir.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}

/// A kill is no damage, and nothing of ours panics.
#[track_caller]
fn check_unharmed(node: &Node) {
    assert!(!node.folder().join("data/quarantine").exists(), "files in quarantine");
    let log = node.log();
    for word in ["damaged", "panicked", "lost"] {
        assert!(!log.contains(word), "{word:?} in the log:\n{log}");
    }
}

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

mod ledger;
mod load;
#[path = "../support/mod.rs"]
mod support;

use ledger::Ledger;
use load::{Random, SENDERS, Sender, Stream};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use support::node::{Node, config};
use tempfile::TempDir;

/// Seals every second, and syncs so often that kills land there too.
const CONFIG: &str = "[wal]\nsync-interval = \"20ms\"\n[block]\nduration = \"1s\"\n";
const RULES: &str = "[crash]\npattern = ^crash\\.\nretentions = 1s:30d\n";

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} = {text:?} is not a number")))
}

#[test]
fn nothing_answered_for_is_lost() {
    let rounds = number_from("SILVERBACK_CRASH_ROUNDS").unwrap_or(20);
    let seed =
        number_from("SILVERBACK_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random(seed);
    let mut ledger = Ledger::new(support::now_s() - 86_400);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    let mut node = Node::start_in(folder, CONFIG);
    let (mut under_load, mut while_starting) = (0, 0);
    while ledger.rounds() < rounds as usize {
        let (folder, was_loaded) = round(node, &mut ledger, &mut random);
        under_load += usize::from(was_loaded);
        let (folder, kills) = kill_starts(folder, &mut random);
        while_starting += kills;
        node = Node::start_in(folder, CONFIG);
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
    let node = Node::start_in(folder, CONFIG);
    ledger.check_all(node.address("node-api"));
}

/// Load, a read-back and a kill. Says whether lines were still being sent at the kill.
fn round(node: Node, ledger: &mut Ledger, random: &mut Random) -> (TempDir, bool) {
    let round = ledger.begin_round();
    let (carbon, node_api) = (node.address("carbon-tcp"), node.address("node-api"));
    let senders: [Sender; SENDERS] = std::array::from_fn(|sender| {
        let stream = Stream { round, sender };
        Sender::start(stream, ledger.first_s, carbon, Random(random.below(u64::MAX)))
    });
    pause(random.below(400));
    ledger.read_back(node_api);
    if round % 4 == 3 {
        wait_for_seal(&node.folder().join("data/blocks"));
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
fn kill_starts(mut folder: TempDir, random: &mut Random) -> (TempDir, usize) {
    let kills = random.below(3).saturating_sub(1) as usize * (1 + random.below(2) as usize);
    for _ in 0..kills {
        let text = config(folder.path()) + CONFIG;
        let node = Node::spawn(folder, &text);
        pause(random.below(80));
        folder = node.kill();
    }
    (folder, kills)
}

/// Waits until a seal begins to write a file. Without anything to seal there is none: then the
/// wait ends by itself.
fn wait_for_seal(blocks: &Path) {
    let names = || -> BTreeSet<_> {
        std::fs::read_dir(blocks).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let before = names();
    for _ in 0..5000 {
        if !names().is_subset(&before) {
            return;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
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

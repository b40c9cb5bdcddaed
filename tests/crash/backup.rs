//! `kill -9` while a node is backed up: of the server, or of the command.
//!
//! Each round, under load as in the other kinds, a backup or a snapshot is begun, often while
//! blocks are merged and series deleted; then the server or the command is killed, and sometimes
//! a backup of the stopped node too. Afterwards
//!
//! * the node has all that it answered for, and no deleted series is back;
//! * a snapshot is whole or gone, and what is whole opens as the database that was;
//! * a backup that is listed is restored, verified and started, and has every point that was
//!   there when it began; one that is not listed left nothing that another would take for one;
//! * the next backup is whole, copies nothing that was copied before, and clears away what killed
//!   ones left.

use crate::command::{Command, run};
use crate::ledger::Ledger;
use crate::load::{Random, SENDERS, Sender, Stream};
use crate::mortal::Mortals;
use crate::place::Place;
use crate::support::node::Node;
use crate::{
    BLOCK, Engine, Names, check_unharmed, kill_starts, names, number_from, pause, support,
};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const NODE: Engine = Engine {
    settings: "[wal]\nsync-interval = \"20ms\"\n[block]\nduration = \"1s\"\n\
               [admin]\nenabled = true\nlisten = \"127.0.0.1:0\"\n",
    rules: "[crash]\npattern = ^(crash|mortal)\\.\nretentions = 1s:30d\n",
    ..BLOCK
};

/// What a database has to hold, and may hold.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    ledger: Ledger,
    mortals: Mortals,
}

impl Known {
    fn new(first_s: i64) -> Self {
        Self { ledger: Ledger::new(first_s), mortals: Mortals::new(first_s) }
    }

    /// What a copy has to hold that was begun at `self` and had ended at `end`.
    fn until(&self, end: &Self) -> Self {
        Self { ledger: self.ledger.clone(), mortals: self.mortals.until(&end.mortals) }
    }

    /// Compares with a server that was started over it.
    fn check(&mut self, node: &Node) {
        self.ledger.check(node.address("node-api"));
        self.mortals.check(node);
        check_unharmed(node);
    }
}

/// What is under way when the kill comes, and who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    ServerAtBackup,
    CommandAtBackup,
    ServerAtSnapshot,
}

const KILLS: [Kill; 3] = [Kill::ServerAtBackup, Kill::CommandAtBackup, Kill::ServerAtSnapshot];

/// How many kills came before what they were to hit had ended.
#[derive(Debug, Default)]
struct Hits {
    backups: usize,
    snapshots: usize,
    /// Backups of the stopped node.
    offline: usize,
}

/// A snapshot that was begun.
struct Snapshot {
    known: Known,
    /// Whether the command said that it was taken.
    is_done: bool,
}

const SNAPSHOT: &str = "one";

struct Run {
    random: Random,
    known: Known,
    place: Place,
    /// Longest times until a kill, in milliseconds: about twice of what it takes.
    backup_ms: u64,
    snapshot_ms: u64,
    offline_ms: u64,
    hits: Hits,
}

#[test]
fn backups_and_snapshots_are_whole_or_do_not_count() {
    let rounds = number_from("SILVERBACK_CRASH_ROUNDS").unwrap_or(6) as usize;
    let seed =
        number_from("SILVERBACK_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{rounds} rounds, seed {seed}");
    let mut run = Run {
        random: Random(seed),
        known: Known::new(support::now_s() - 86_400),
        place: Place::new(),
        backup_ms: 100,
        snapshot_ms: 30,
        offline_ms: 200,
        hits: Hits::default(),
    };
    run.place.check_empty(&tempfile::tempdir().unwrap().path().join("data"));
    let mut node = start(tempfile::tempdir().unwrap());
    while run.known.ledger.rounds() < rounds {
        let kill = KILLS[run.known.ledger.rounds() % KILLS.len()];
        node = run.round(node, kill);
        if run.known.ledger.rounds().is_multiple_of(20) {
            eprintln!("{} rounds done: {:?}", run.known.ledger.rounds(), run.hits);
        }
    }
    eprintln!(
        "{} lines stored; {} backups; killed at work: {:?}",
        run.known.ledger.stored(),
        run.place.len(),
        run.hits
    );
    let Hits { backups, snapshots, offline } = run.hits;
    assert!(rounds < 20 || backups > 0, "every backup had ended before it was killed");
    assert!(rounds < 60 || snapshots > 0 && offline > 0, "kills came too late");
}

impl Run {
    /// Load, a kill, and all comparisons. The server that was started after it.
    fn round(&mut self, node: Node, kill: Kill) -> Node {
        let round = self.known.ledger.begin_round();
        let senders = self.senders(&node, round);
        self.known.mortals.send(&node);
        pause(self.random.below(300));
        self.known.ledger.read_back(node.address("node-api"));
        let (folder, snapshot) = self.disturb(node, kill);
        self.known.ledger.end_round(senders.map(Sender::end));
        let (folder, _) = kill_starts(&NODE, folder, &mut self.random);
        self.kill_offline(folder.path());
        let node = NODE.start(folder);
        self.known.check(&node);
        self.check_snapshots(&node, snapshot);
        // The newest that was finished, be it by one that was killed afterwards.
        self.check_backup(0);
        // Now and then older ones are removed, and what only they had.
        self.back_up(&node, (round % 6 == 5).then_some(4));
        if self.random.below(2) == 0 {
            let newer = self.random.below(4) as usize;
            self.check_backup(newer);
        }
        node
    }

    fn senders(&mut self, node: &Node, round: usize) -> [Sender; SENDERS] {
        let carbon = node.address("carbon-tcp");
        let first_s = self.known.ledger.first_s;
        std::array::from_fn(|sender| {
            let random = Random(self.random.below(u64::MAX));
            Sender::start(Stream { round, sender }, first_s, carbon, random)
        })
    }

    /// Begins what is to be killed, with other commands beside it, and kills. The folder of the
    /// server, which is down at the end, and the snapshot that may be in it.
    fn disturb(&mut self, node: Node, kill: Kill) -> (TempDir, Option<Snapshot>) {
        let server = url(&node);
        let before = self.known.clone();
        let merging =
            (self.random.below(2) == 0).then(|| Command::start(&["compact", "--server", &server]));
        let deleting = (self.random.below(3) > 0).then(|| {
            let condemned = self.known.mortals.condemn(&mut self.random);
            let args = ["delete", "--match", &condemned.pattern, "--server", &server];
            (Command::start(&args), condemned)
        });
        let ended = match kill {
            Kill::ServerAtSnapshot => {
                let dir = node.folder().join("data/snapshots");
                let files = names(&dir);
                let mut command = Command::start(&["snapshot", SNAPSHOT, "--server", &server]);
                self.wait(&dir, &mut command, self.snapshot_ms, &files);
                let was_running = command.is_running();
                self.hits.snapshots += usize::from(was_running);
                adapt(&mut self.snapshot_ms, was_running);
                (node.kill(), Some(command.end().code == Some(0)))
            }
            Kill::ServerAtBackup | Kill::CommandAtBackup => {
                let files = names(&self.place.objects());
                let mut command = self.place.start(["--server", &server]);
                self.wait(&self.place.objects(), &mut command, self.backup_ms, &files);
                let was_running = command.is_running();
                self.hits.backups += usize::from(was_running);
                adapt(&mut self.backup_ms, was_running);
                if kill == Kill::CommandAtBackup {
                    command.kill();
                    self.settle_backup(&before);
                    // The server goes on, and the next backup where that one was.
                    self.back_up(&node, None);
                    (node.kill(), None)
                } else {
                    let folder = node.kill();
                    command.end();
                    self.settle_backup(&before);
                    (folder, None)
                }
            }
        };
        if let Some((command, condemned)) = deleting
            && command.end().code == Some(0)
        {
            self.known.mortals.bury(&condemned);
        }
        merging.map(Command::end);
        let (folder, is_done) = ended;
        let known = before.until(&self.known);
        (folder, is_done.map(|is_done| Snapshot { known, is_done }))
    }

    /// Waits for the moment of the kill: a random one, or one soon after a file has appeared.
    fn wait(&mut self, dir: &Path, command: &mut Command, most_ms: u64, before: &Names) {
        let mut most_us = 1000 * most_ms;
        if self.random.below(2) == 0 || self.known.ledger.rounds() <= KILLS.len() {
            while command.is_running() && names(dir).is_subset(before) {
                std::thread::sleep(Duration::from_micros(200));
            }
            // The first of each kind comes at once, so that some are sure to hit.
            most_us = if self.known.ledger.rounds() <= KILLS.len() { 1 } else { most_us / 2 };
        }
        std::thread::sleep(Duration::from_micros(self.random.below(most_us)));
    }

    /// Backs up the stopped node, and kills that, or not in time.
    fn kill_offline(&mut self, folder: &Path) {
        if self.random.below(3) > 0 {
            return;
        }
        let before = self.known.clone();
        let config = folder.join("silverback.toml");
        let mut command = self.place.start(["--config", config.to_str().unwrap()]);
        pause(self.random.below(self.offline_ms));
        let was_running = command.is_running();
        command.kill();
        self.hits.offline += usize::from(was_running);
        adapt(&mut self.offline_ms, was_running);
        self.settle_backup(&before);
    }

    /// If a backup that was begun at `before` has come to be listed, that is what it has to hold.
    fn settle_backup(&mut self, before: &Known) {
        self.place.settle(&before.until(&self.known), false);
    }

    /// A whole backup, after which nothing is left of what was killed.
    fn back_up(&mut self, node: &Node, keep: Option<u64>) {
        let before = self.known.clone();
        self.place.run(["--server", &url(node)], keep);
        let new = self.place.settle(&before.until(&self.known), keep.is_some());
        assert!(new.is_some(), "a backup that succeeded is not listed");
        let left: Names = names(&node.folder().join("data/snapshots"));
        assert!(left.is_empty(), "snapshots left behind: {left:?}");
    }

    /// The backup with so many newer ones, if there is one, holds what it has to.
    fn check_backup(&mut self, newer: usize) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(known) = self.place.restore(newer, &folder.path().join("data")) {
            known.check(&start(folder));
        }
    }

    /// After a start: snapshots are whole, and that of the last round, which has to be there if
    /// `is_done`, is the database of that moment.
    fn check_snapshots(&mut self, node: &Node, snapshot: Option<Snapshot>) {
        let dir = node.folder().join("data/snapshots");
        for name in names(&dir) {
            assert!(dir.join(&name).join("MANIFEST").exists(), "half a snapshot: {name:?}");
        }
        let Some(Snapshot { mut known, is_done }) = snapshot else { return };
        let path = dir.join(SNAPSHOT);
        assert!(path.exists() || !is_done, "a snapshot is gone");
        if path.exists() {
            run(&["verify", path.to_str().unwrap()]);
            let folder = tempfile::tempdir().unwrap();
            fs::rename(path, folder.path().join("data")).unwrap();
            known.check(&start(folder));
        }
    }
}

/// A server over the `data` of a folder that is new.
fn start(folder: TempDir) -> Node {
    fs::write(folder.path().join("rules.conf"), NODE.rules).unwrap();
    NODE.start(folder)
}

fn url(node: &Node) -> String {
    format!("http://{}", node.address("admin-api"))
}

/// The next kill comes earlier when the last one came too late, or else later.
fn adapt(most_ms: &mut u64, was_running: bool) {
    let eighth = *most_ms / 8 + 1;
    *most_ms = if was_running { *most_ms + eighth } else { *most_ms - eighth };
    *most_ms = (*most_ms).clamp(4, 5000);
}

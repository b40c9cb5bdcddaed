//! What must be there after a crash, and the comparison with what is.

use crate::load::{LINES, SENDERS, SLOTS, Stream};
use crate::support::http;
use crate::support::series::{self, Series};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

/// What is known about one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account {
    /// Lines that were read back: these must be there.
    answered_for: usize,
    /// Lines that the server can have seen; no others may be there.
    sent: usize,
}

/// Lines of each stream, as they were seen on one read-back: true where a line is stored.
type Seen = Vec<[Vec<bool>; SENDERS]>;

/// All rounds so far.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// Time of slot 0, Unix seconds.
    pub(crate) first_s: i64,
    rounds: Vec<[Account; SENDERS]>,
}

impl Ledger {
    pub(crate) fn new(first_s: i64) -> Self {
        Self { first_s, rounds: Vec::new() }
    }

    /// Rounds that were begun.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// Begins a round; its number is returned.
    pub(crate) fn begin_round(&mut self) -> usize {
        self.rounds.push([Account { answered_for: 0, sent: LINES }; SENDERS]);
        self.rounds.len() - 1
    }

    /// Reads back under load. Whatever the server shows it has answered for, and so all that
    /// came before it over the same connection.
    pub(crate) fn read_back(&mut self, node_api: SocketAddr) {
        let round = self.rounds.len() - 1;
        let seen = self.seen(node_api, round..round + 1);
        for (account, lines) in self.rounds[round].iter_mut().zip(&seen[round]) {
            let last = lines.iter().rposition(|&stored| stored);
            account.answered_for = account.answered_for.max(last.map_or(0, |line| line + 1));
        }
    }

    /// How many lines each connection of this round began.
    pub(crate) fn end_round(&mut self, sent: [usize; SENDERS]) {
        let round = self.rounds.last_mut().expect("a round was begun");
        for (account, sent) in round.iter_mut().zip(sent) {
            account.sent = sent;
        }
    }

    /// Compares with a server that was restarted after a kill: the last rounds each time, all of
    /// them after every tenth. What it shows of the last one is answered for from now on.
    pub(crate) fn check(&mut self, node_api: SocketAddr) {
        let rounds = self.rounds.len();
        if rounds <= 20 || rounds.is_multiple_of(10) {
            self.check_all(node_api);
        } else {
            self.check_rounds(node_api, rounds - 10);
        }
    }

    /// Compares all rounds, and the names.
    pub(crate) fn check_all(&mut self, node_api: SocketAddr) {
        self.check_rounds(node_api, 0);
        self.check_names(node_api);
    }

    fn check_rounds(&mut self, node_api: SocketAddr, first: usize) {
        let seen = self.seen(node_api, first..self.rounds.len());
        for (round, senders) in seen.iter().enumerate().skip(first) {
            for (sender, lines) in senders.iter().enumerate() {
                let account = &mut self.rounds[round][sender];
                let whole = lines.iter().take_while(|&&stored| stored).count();
                let stored = lines.iter().filter(|&&stored| stored).count();
                let place = format!("round {round}, connection {sender}");
                assert_eq!(whole, stored, "{place}: lines stored after a line that is lost");
                assert!(
                    (account.answered_for..=account.sent).contains(&whole),
                    "{place}: {whole} lines stored, {account:?}"
                );
                *account = Account { answered_for: whole, sent: whole };
            }
        }
    }

    /// The lines stored of `rounds`, each of which is where it belongs, and only there.
    fn seen(&self, node_api: SocketAddr, rounds: std::ops::Range<usize>) -> Seen {
        let lines = || std::array::from_fn(|_| vec![false; LINES]);
        let mut seen: Seen = (0..self.rounds.len()).map(|_| lines()).collect();
        // Some at a time, or one request would take longer than it may.
        let parts = rounds.clone().step_by(20).map(|first| first..rounds.end.min(first + 20));
        let series = parts.flat_map(|part| self.fetch(node_api, part).unwrap());
        for Series { name, step_s, points } in series {
            assert_eq!(step_s, 1);
            let name = String::from_utf8_lossy(&name);
            for (time_s, value) in points {
                // Only spelled when it is shown.
                let place = || format!("{name} has {value} at {time_s}");
                let (stream, line) =
                    Stream::of_value(value).unwrap_or_else(|| panic!("{}", place()));
                assert!(stream.round < self.rounds.len(), "{}: never sent", place());
                assert_eq!(stream.name(line), name, "{}", place());
                assert_eq!(self.first_s + stream.slot(line) as i64, time_s, "{}", place());
                let stored = &mut seen[stream.round][stream.sender][line];
                assert!(!std::mem::replace(stored, true), "{}: stored twice", place());
            }
        }
        seen
    }

    fn fetch(
        &self,
        node_api: SocketAddr,
        rounds: std::ops::Range<usize>,
    ) -> io::Result<Vec<Series>> {
        let slots = |rounds: std::ops::Range<usize>| {
            let at = |round: usize| self.first_s + (round * SLOTS) as i64;
            at(rounds.start)..at(rounds.end)
        };
        let mut targets = vec![("crash.s*.m*".to_owned(), slots(rounds.clone()))];
        for round in rounds {
            targets.push((format!("crash.s*.r{round:03}n*"), slots(round..round + 1)));
        }
        series::fetch(node_api, &targets)
    }

    /// Every name that has lines is listed once, and no other than what was sent.
    fn check_names(&self, node_api: SocketAddr) {
        let (mut stored, mut sent) = (BTreeSet::new(), BTreeSet::new());
        for (round, accounts) in self.rounds.iter().enumerate() {
            for (sender, account) in accounts.iter().enumerate() {
                let stream = Stream { round, sender };
                stored.extend(stream.names(account.answered_for));
                sent.extend(stream.names(LINES));
            }
        }
        let listed = http::get(node_api, "/metrics/list/?format=json").unwrap().json();
        let listed =
            listed["Metrics"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let listed: Vec<&str> = listed.filter(|name| name.starts_with("crash.")).collect();
        let unique: BTreeSet<String> = listed.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(listed.len(), unique.len(), "names listed twice");
        let lost: Vec<_> = stored.difference(&unique).collect();
        assert!(lost.is_empty(), "lost names: {lost:?}");
        let strange: Vec<_> = unique.difference(&sent).collect();
        assert!(strange.is_empty(), "names that nobody sent: {strange:?}");
        let found = http::get(node_api, "/metrics/find/?format=json&query=crash.*.*").unwrap();
        let found = found.json();
        let mut leaves = 0;
        for glob in found["metrics"].as_array().unwrap() {
            leaves += glob["matches"].as_array().unwrap().len();
        }
        assert_eq!(leaves, unique.len(), "find and list differ");
    }

    /// Lines that are stored for good.
    pub(crate) fn stored(&self) -> usize {
        self.rounds.iter().flatten().map(|account| account.answered_for).sum()
    }
}

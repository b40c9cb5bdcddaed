//! What a plain map says that the database must answer.
//!
//! Each slot of each series, and whether the series is there, has a history of what was written to
//! it. The last acknowledged entry is what must be read. Entries after it came of calls that
//! failed, and may count or not. A power cut may go back as far as the last entry that is durable.
//! After a restart what is read is one of these, and is from then on durable itself.

use std::collections::{BTreeMap, BTreeSet};

/// One thing that was written, again and again.
#[derive(Debug, Clone)]
struct History<T> {
    writes: Vec<T>,
    /// The last entry that was acknowledged.
    acked: usize,
    /// The last entry that no power cut takes.
    durable: usize,
    /// What was overwritten before: it is read again where what overwrote it has expired first.
    past: Vec<T>,
}

impl<T: Copy> History<T> {
    fn new(first: T) -> Self {
        Self { writes: vec![first], acked: 0, durable: 0, past: Vec::new() }
    }

    fn write(&mut self, entry: T, outcome: Outcome) {
        self.writes.push(entry);
        let last = self.writes.len() - 1;
        match outcome {
            Outcome::Unknown => {}
            Outcome::Visible => self.acked = last,
            Outcome::Durable => (self.acked, self.durable) = (last, last),
        }
    }

    /// The same for good: nothing of before is ever read again.
    fn end(&mut self, entry: T) {
        *self = Self::new(entry);
    }

    /// Forgets what can no longer be read.
    fn restart(&mut self, loss: Loss) {
        let from = match loss {
            Loss::Nothing => self.acked,
            Loss::Unsynced => self.durable,
        };
        self.past.extend(self.writes.drain(..from));
        (self.acked, self.durable) = (0, 0);
    }

    /// From now on it is this.
    fn settle(&mut self, entry: T) {
        self.past.append(&mut self.writes);
        self.writes.push(entry);
        (self.acked, self.durable) = (0, 0);
    }

    /// From now on it is any entry, or `none`.
    fn doubt(&mut self, none: T) {
        self.past.push(none);
        self.writes.splice(..0, self.past.drain(..));
        (self.acked, self.durable) = (0, 0);
    }

    /// What may be read.
    fn allowed(&self) -> &[T] {
        &self.writes[self.acked..]
    }
}

/// What is known of a call that wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It failed: done or not, or only in the log.
    Unknown,
    /// It is done, and a power cut may take it.
    Visible,
    Durable,
}

/// What an end of the process may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Nothing,
    Unsynced,
}

/// A value of a slot, or none.
#[derive(Debug, Clone, Copy)]
struct Entry {
    bits: Option<u64>,
    /// How old it was when it came, in seconds.
    age_s: i64,
    /// Seconds that it is kept at least.
    keep_s: i64,
}

const NONE: Entry = Entry { bits: None, age_s: 0, keep_s: i64::MAX };

#[derive(Debug, Clone)]
struct Series {
    is_here: History<bool>,
    /// By time of slot.
    slots: BTreeMap<i64, History<Entry>>,
    /// Time and bits of all that was ever sent to it.
    sent: BTreeSet<(i64, u64)>,
    /// Time and bits of roll-ups that may be stored of what expired. They are read where the finest
    /// archive has nothing, once the rules have no archive of their step and the clock is set back.
    rolled_up: BTreeSet<(i64, u64)>,
    /// The step changed since its first sample: answers are made of the samples of several.
    is_resampled: bool,
}

/// A sample as it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) time_s: i64,
    pub(crate) value: f64,
    pub(crate) age_s: i64,
}

/// All series, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    series: BTreeMap<String, Series>,
    events: BTreeMap<String, History<bool>>,
    /// Newest sample that was ever sent.
    newest_s: i64,
}

/// How the rules that hold keep series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) retentions: &'static str,
    /// Of the finest archive, in seconds.
    pub(crate) step_s: i64,
    /// Seconds that the finest archive reaches back.
    pub(crate) finest_s: i64,
    /// Seconds that the longest archive reaches back.
    pub(crate) reach_s: i64,
}

/// Seconds that the finest archive of any rule reaches back.
const SHORTEST_S: i64 = 1800;

/// A slot's answer that cannot be.
pub(crate) type Wrong = String;

impl Model {
    pub(crate) fn names(&self) -> Vec<String> {
        self.series.keys().cloned().collect()
    }

    fn series(&mut self, name: &str) -> &mut Series {
        self.series.entry(name.to_owned()).or_insert_with(|| Series {
            is_here: History::new(false),
            slots: BTreeMap::new(),
            sent: BTreeSet::new(),
            rolled_up: BTreeSet::new(),
            is_resampled: false,
        })
    }

    /// A sample was sent to the series.
    pub(crate) fn append(&mut self, name: &str, sample: Sample, rule: Rule, outcome: Outcome) {
        let Sample { time_s, value, age_s } = sample;
        self.newest_s = self.newest_s.max(time_s);
        let series = self.series(name);
        series.is_here.write(true, outcome);
        // Also one that is refused: it is in the log, and other rules may take it at a restart.
        series.sent.insert((time_s, value.to_bits()));
        let entry = Entry { bits: Some(value.to_bits()), age_s, keep_s: rule.finest_s };
        let mut write = |slot_s, outcome| {
            let slot = series.slots.entry(time_s - time_s.rem_euclid(slot_s));
            slot.or_insert_with(|| History::new(NONE)).write(entry, outcome);
        };
        write(rule.step_s, if age_s <= rule.finest_s { outcome } else { Outcome::Unknown });
        if age_s <= SHORTEST_S {
            return;
        }
        // It is one of a coarser archive, or becomes one at a restart under other rules. Such are
        // shown where the finest has none.
        write(60, Outcome::Unknown);
        write(600, Outcome::Unknown);
    }

    /// The series was deleted.
    pub(crate) fn delete(&mut self, name: &str, outcome: Outcome) {
        let series = self.series(name);
        series.is_here.write(false, outcome);
        if outcome == Outcome::Durable {
            series.slots.values_mut().for_each(|slot| slot.end(NONE));
            series.sent.clear();
            series.rolled_up.clear();
            series.is_resampled = false;
        } else {
            series.slots.values_mut().for_each(|slot| slot.write(NONE, outcome));
        }
    }

    pub(crate) fn add_event(&mut self, what: &str, outcome: Outcome) {
        self.events
            .entry(what.to_owned())
            .or_insert_with(|| History::new(false))
            .write(true, outcome);
    }

    /// All that was acknowledged is durable.
    pub(crate) fn sync(&mut self) {
        for series in self.series.values_mut() {
            series.is_here.durable = series.is_here.acked;
            series.slots.values_mut().for_each(|slot| slot.durable = slot.acked);
        }
    }

    /// What is past its retention may be gone since `now_s`, and what it had overwritten be seen:
    /// that of the rules by which it came, unless `rule` has its step for longer.
    pub(crate) fn expire(&mut self, now_s: i64, rule: Rule) {
        // Time does not pass where no samples come, but for a part of what is kept.
        let passed_s = |keep_s: i64| now_s.min(self.newest_s + (keep_s / 4).min(86_400));
        for series in self.series.values_mut() {
            let mut expired = Vec::new();
            for (slot_s, slot) in &mut series.slots {
                let keep_s = |entry: &Entry| entry.keep_s.max(rule.finest_s);
                let is_past =
                    |entry: &Entry| slot_s.saturating_add(keep_s(entry)) <= passed_s(keep_s(entry));
                if slot.writes.iter().any(is_past) {
                    let values =
                        slot.writes.iter().chain(&slot.past).filter_map(|entry| entry.bits);
                    for bits in values {
                        let begins = [60, 600].map(|step_s| slot_s - slot_s.rem_euclid(step_s));
                        series.rolled_up.extend(begins.map(|begin_s| (begin_s, bits)));
                    }
                    slot.doubt(NONE);
                    let entries = slot.writes.iter().filter(|entry| entry.bits.is_some());
                    expired.extend(entries.map(|entry| (*slot_s, *entry)));
                }
            }
            // What is made of them is shown where rules of later have nothing finer.
            for (slot_s, entry) in expired {
                for coarse_s in [60, 600] {
                    let slot = series.slots.entry(slot_s - slot_s.rem_euclid(coarse_s));
                    let slot = slot.or_insert_with(|| History::new(NONE));
                    if !slot.allowed().iter().any(|known| known.bits == entry.bits) {
                        slot.write(entry, Outcome::Unknown);
                    }
                }
            }
        }
    }

    /// The step of the rules is another one.
    pub(crate) fn resample(&mut self) {
        for series in self.series.values_mut() {
            series.is_resampled |= !series.slots.is_empty();
        }
    }

    /// The process ended. What is in the log is stored once more, by the rules under which it came.
    pub(crate) fn restart(&mut self, loss: Loss) {
        for series in self.series.values_mut() {
            series.is_here.restart(loss);
            for slot in series.slots.values_mut() {
                slot.restart(loss);
            }
        }
        self.events.values_mut().for_each(|event| event.restart(loss));
    }

    /// Names of the series that must be found, and of those that may be.
    pub(crate) fn found(&self) -> (BTreeSet<&str>, BTreeSet<&str>) {
        let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
        for (name, series) in &self.series {
            let allowed = series.is_here.allowed();
            if allowed.contains(&true) {
                may.insert(name.as_str());
            }
            if !allowed.contains(&false) {
                must.insert(name.as_str());
            }
        }
        (must, may)
    }

    /// After a restart: whether a series is there is settled.
    pub(crate) fn settle_series(&mut self, name: &str, is_here: bool) {
        if let Some(series) = self.series.get_mut(name) {
            series.is_here = History::new(is_here);
        }
    }

    /// Compares what was read of the finest archive in the slots `first_s..=last_s`.
    pub(crate) fn check(
        &mut self,
        name: &str,
        found: &BTreeMap<i64, f64>,
        (first_s, last_s): (i64, i64),
        settle: bool,
    ) -> Result<(), Wrong> {
        let Some(series) = self.series.get_mut(name).filter(|series| !series.is_resampled) else {
            return self.check_sent(name, found);
        };
        let is_rolled_up =
            |slot_s: i64, value: f64| series.rolled_up.contains(&(slot_s, value.to_bits()));
        for (slot_s, value) in found {
            if !series.slots.contains_key(slot_s) && !is_rolled_up(*slot_s, *value) {
                return Err(format!("{name} has {value} at {slot_s}, where nothing was written"));
            }
        }
        for (slot_s, slot) in series.slots.range_mut(first_s..=last_s) {
            let bits = found.get(slot_s).map(|value| value.to_bits());
            let Some(entry) = slot.allowed().iter().rev().find(|entry| entry.bits == bits) else {
                if found.get(slot_s).is_some_and(|&value| is_rolled_up(*slot_s, value)) {
                    continue;
                }
                let told = |entry: &Entry| entry.bits.map(f64::from_bits);
                let allowed: Vec<_> = slot.allowed().iter().map(told).collect();
                let value = bits.map(f64::from_bits);
                return Err(format!(
                    "{name} has {value:?} at {slot_s}, and not one of {allowed:?}"
                ));
            };
            // The log may hold older ones, which are stored or not at each restart as the rules say.
            let is_settled = slot.writes.iter().all(|entry| entry.age_s <= SHORTEST_S);
            if settle && is_settled {
                let entry = *entry;
                slot.settle(entry);
            }
        }
        Ok(())
    }

    /// Every value that was read was sent to the series for about this time.
    pub(crate) fn check_sent(&self, name: &str, found: &BTreeMap<i64, f64>) -> Result<(), Wrong> {
        /// Longest step of all rules.
        const ABOUT_S: i64 = 600;
        for (time_s, value) in found {
            let sent = self.series.get(name).map(|series| &series.sent);
            let about = (time_s - ABOUT_S, 0)..(time_s + ABOUT_S, u64::MAX);
            let mut sent = sent.into_iter().flat_map(|sent| sent.range(about.clone()));
            if !sent.any(|(_, bits)| *bits == value.to_bits()) {
                return Err(format!("{name} has {value} at {time_s}, which was never sent"));
            }
        }
        Ok(())
    }

    pub(crate) fn check_events(
        &mut self,
        found: &BTreeSet<String>,
        settle: bool,
    ) -> Result<(), Wrong> {
        if let Some(what) = found.iter().find(|what| !self.events.contains_key(*what)) {
            return Err(format!("event {what} was never posted"));
        }
        for (what, event) in &mut self.events {
            let is_here = found.contains(what);
            if !event.allowed().contains(&is_here) {
                return Err(format!("event {what} was acknowledged and is lost"));
            }
            if settle {
                *event = History::new(is_here);
            }
        }
        Ok(())
    }
}

//! Series that are deleted again and again, and get new points afterwards.
//!
//! Every round each of them gets one point, whose value says which round and series it is of.
//! A point moves along three stages and never back, so what is known of it is the first and the
//! last stage that it can be at.

use crate::load::{Random, SLOTS};
use crate::support::http;
use crate::support::node::Node;
use crate::support::series::{self, Series};
use std::collections::BTreeSet;

/// How many of them there are.
const MORTALS: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Unsent,
    Stored,
    Deleted,
}

/// What is known of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    first: Stage,
    last: Stage,
}

impl Known {
    fn is(stage: Stage) -> Self {
        Self { first: stage, last: stage }
    }

    /// Whether the point may be there, or may not.
    fn allows(self, is_there: bool) -> bool {
        let may_be = (self.first..=self.last).contains(&Stage::Stored);
        if is_there { may_be } else { self != Self::is(Stage::Stored) }
    }
}

/// All of them.
#[derive(Debug, Clone)]
pub(crate) struct Mortals {
    first_s: i64,
    /// Points of each series by round.
    points: Vec<[Known; MORTALS]>,
}

impl Mortals {
    pub(crate) fn new(first_s: i64) -> Self {
        Self { first_s, points: Vec::new() }
    }

    /// What is known of a copy that was made at some moment between `self` and `end`.
    pub(crate) fn until(&self, end: &Self) -> Self {
        let mut copied = self.clone();
        for (round, points) in copied.points.iter_mut().enumerate() {
            for (point, end) in points.iter_mut().zip(&end.points[round]) {
                point.last = end.last;
            }
        }
        copied
    }

    /// Sends the points of a new round, and waits until they are there.
    pub(crate) fn send(&mut self, node: &Node) {
        let round = self.points.len();
        self.points.push([Known { first: Stage::Unsent, last: Stage::Stored }; MORTALS]);
        let line = |mortal| {
            let (value, time_s) = self.point(round, mortal);
            format!("{} {value} {time_s}\n", name(mortal))
        };
        node.send((0..MORTALS).map(line).collect::<String>().as_bytes());
        node.wait_for("points of this round", |node| {
            let there = self.stored(node);
            (0..MORTALS).all(|mortal| there.contains(&(round, mortal)))
        });
        self.points[round] = [Known::is(Stage::Stored); MORTALS];
    }

    /// Chooses some to be deleted; the pattern that names them. They may be gone from now on.
    pub(crate) fn condemn(&mut self, random: &mut Random) -> Condemned {
        let mortals: BTreeSet<usize> =
            (0..1 + random.below(4)).map(|_| random.below(MORTALS as u64) as usize).collect();
        for point in self.points_of(&mortals) {
            point.last = Stage::Deleted;
        }
        let numbers: Vec<String> = mortals.iter().map(|mortal| format!("m{mortal:02}")).collect();
        Condemned { pattern: format!("mortal.{{{}}}", numbers.join(",")), mortals }
    }

    /// The server has said that they are gone.
    pub(crate) fn bury(&mut self, condemned: &Condemned) {
        for point in self.points_of(&condemned.mortals) {
            point.first = Stage::Deleted;
        }
    }

    fn points_of(&mut self, mortals: &BTreeSet<usize>) -> impl Iterator<Item = &mut Known> {
        let points = self.points.iter_mut().flat_map(|points| points.iter_mut().enumerate());
        points.filter_map(|(mortal, point)| mortals.contains(&mortal).then_some(point))
    }

    /// Compares with a server that was started. What it shows holds from now on.
    pub(crate) fn check(&mut self, node: &Node) {
        let there = self.stored(node);
        for mortal in 0..MORTALS {
            let mut deleted = BTreeSet::new();
            for (round, points) in self.points.iter_mut().enumerate() {
                let (point, is_there) = (&mut points[mortal], there.contains(&(round, mortal)));
                let what = format!("{} of round {round} is {point:?}", name(mortal));
                assert!(point.allows(is_there), "{what}, and there: {is_there}");
                if *point == (Known { first: Stage::Stored, last: Stage::Deleted }) {
                    deleted.insert(is_there);
                }
                *point = Known::is(if is_there { Stage::Stored } else { Stage::Deleted });
            }
            assert!(deleted.len() < 2, "{} was deleted by half", name(mortal));
        }
        self.check_names(node);
    }

    /// Those that have a point are listed, each once, and no others: after [`Mortals::check`].
    fn check_names(&self, node: &Node) {
        let listed = http::get(node.address("node-api"), "/metrics/list/?format=json");
        let listed = listed.unwrap().json();
        let listed = listed["Metrics"].as_array().unwrap().iter();
        let mut listed: Vec<&str> = listed.map(|name| name.as_str().unwrap()).collect();
        listed.retain(|name| name.starts_with("mortal."));
        listed.sort_unstable();
        let has_points = |mortal: &usize| {
            self.points.iter().any(|points| points[*mortal] == Known::is(Stage::Stored))
        };
        let expected: Vec<String> = (0..MORTALS).filter(has_points).map(name).collect();
        assert_eq!(listed, expected);
    }

    /// Round and series of each point that is there.
    fn stored(&self, node: &Node) -> BTreeSet<(usize, usize)> {
        let slots = self.first_s..self.first_s + (self.points.len() * SLOTS) as i64;
        let targets = [("mortal.*".to_owned(), slots)];
        let mut stored = BTreeSet::new();
        for Series { name: found, points, .. } in
            series::fetch(node.address("node-api"), &targets).unwrap()
        {
            for (time_s, value) in points {
                let (round, mortal) = (value as usize / MORTALS, value as usize % MORTALS);
                let found = String::from_utf8_lossy(&found);
                assert_eq!((round as f64) * MORTALS as f64 + mortal as f64, value, "{found}");
                assert_eq!((name(mortal), self.point(round, mortal).1), (found.into(), time_s));
                stored.insert((round, mortal));
            }
        }
        stored
    }

    /// Value and time of a point.
    fn point(&self, round: usize, mortal: usize) -> (usize, i64) {
        (round * MORTALS + mortal, self.first_s + (round * SLOTS + mortal) as i64)
    }
}

/// Some that are to be deleted.
#[derive(Debug)]
pub(crate) struct Condemned {
    /// Names them, and no others.
    pub(crate) pattern: String,
    mortals: BTreeSet<usize>,
}

fn name(mortal: usize) -> String {
    format!("mortal.m{mortal:02}")
}

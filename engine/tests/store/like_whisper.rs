//! A database beside a whisper file: the same points, the same answers, in every archive.

use crate::support::{Bench, NOW_S, put};
use proptest::prelude::*;
use silverback_engine::schema::{AggregationMethod, Retention};
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{Db, FetchRange, ImportArchive, ImportSeries, Importer};
use silverback_formats::whisper::{self, Allocation, FactorPrecision, Layout, Rules, Whisper};

pub(crate) const METHODS: [AggregationMethod; 5] = [
    AggregationMethod::Average,
    AggregationMethod::Sum,
    AggregationMethod::Last,
    AggregationMethod::Max,
    AggregationMethod::Min,
];

/// Rules of a series, and the file that follows them.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) archives: Vec<(u32, u32)>,
    pub(crate) method: AggregationMethod,
    pub(crate) x_files_factor: f32,
}

impl Rule {
    pub(crate) fn bench(&self) -> Bench {
        self.bench_with("")
    }

    /// With extra roll-ups, such as `min,max`.
    pub(crate) fn bench_with(&self, extra: &str) -> Bench {
        let archives: Vec<String> =
            self.archives.iter().map(|(step_s, points)| format!("{step_s}:{points}")).collect();
        let factor = self.x_files_factor.to_string();
        Bench::with_extra(&archives.join(","), self.method.name(), &factor, extra)
    }

    pub(crate) fn file(&self) -> Whisper<Vec<u8>> {
        let retention = |&(step_s, points): &(u32, u32)| whisper::Retention { step_s, points };
        let retentions: Vec<_> = self.archives.iter().map(retention).collect();
        let method = whisper::AggregationMethod::from_name(self.method.name()).unwrap();
        let x_files_factor = self.x_files_factor;
        let layout = Layout { retentions: &retentions, method, x_files_factor };
        // Blocks compare the xFilesFactor as Python's files do.
        let factor_precision = FactorPrecision::Double;
        let rules = Rules { factor_precision, ..Rules::SILVERBACK };
        Whisper::create(Vec::new(), &layout, Allocation::Sparse, rules).unwrap()
    }

    pub(crate) fn reach_s(&self, level: usize) -> i64 {
        let (step_s, points) = self.archives[level];
        i64::from(step_s) * i64::from(points)
    }

    /// Ages at which both keep a point, and count it alike. A file's ring forgets slots that a
    /// coarse slot at its end would still be computed from; a database does not.
    pub(crate) fn is_alike(&self, age_s: i64) -> bool {
        let fits = |level: usize| {
            // The point one ring before the newest takes its slot.
            let margin_s =
                i64::from(self.archives.get(level + 1).unwrap_or(&self.archives[level]).0);
            let begin_s = match level {
                0 => 0,
                _ => self.reach_s(level - 1) + i64::from(self.archives[level].0) + 1,
            };
            (begin_s..self.reach_s(level) - margin_s).contains(&age_s)
        };
        (0..self.archives.len()).any(fits)
    }
}

pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    // Of five and ten slots just that share may be known which a factor below says.
    let ratio = prop_oneof![3 => 2..5_u32, 1 => Just(5), 1 => Just(10)];
    let archives = (1..4_u32, ratio, 2..4_u32, 1..4_usize).prop_map(|(base, a, b, levels)| {
        let steps = [base * 10, base * 10 * a, base * 10 * a * b];
        let points = [a * 6, a * b * 4, a * 5 + b * 10];
        steps.into_iter().zip(points).take(levels).collect::<Vec<_>>()
    });
    let factor = prop::sample::select(&[0.0_f32, 0.1, 0.3, 0.5, 0.6, 0.7, 1.0][..]);
    (archives, 0..METHODS.len(), factor).prop_map(|(archives, method, x_files_factor)| Rule {
        archives,
        method: METHODS[method],
        x_files_factor,
    })
}

/// All that the file holds, for import.
pub(crate) fn contents(file: &Whisper<Vec<u8>>) -> ImportSeries {
    let archives: Vec<ImportArchive> = (0..file.header().archives.len())
        .map(|level| {
            let info = &file.header().archives[level];
            let points = file.archive_points(level).unwrap();
            ImportArchive {
                retention: Retention { step_s: info.step_s, points: info.points },
                points: points.iter().map(|point| (point.time_s, point.value)).collect(),
            }
        })
        .collect();
    ImportSeries::new(b"s", &archives, NOW_S)
}

pub(crate) fn import(db: &Db, file: &Whisper<Vec<u8>>) {
    let mut importer = Importer::new(db);
    importer.add(contents(file)).unwrap();
    importer.commit().unwrap();
    assert!(Importer::holds(db, &contents(file)));
}

/// The bits of values that are known.
pub(crate) fn bits(values: &[f64]) -> Vec<Option<u64>> {
    values.iter().map(|value| (!value.is_nan()).then_some(value.to_bits())).collect()
}

/// Every archive, and every choice of an archive by age.
#[track_caller]
pub(crate) fn compare(db: &Db, file: &Whisper<Vec<u8>>, now_s: i64, what: &str) {
    let Some(id) = db.series(b"s") else {
        return assert!(
            (0..file.header().archives.len())
                .all(|level| file.archive_points(level).unwrap().is_empty())
        );
    };
    for (level, info) in file.header().archives.iter().enumerate() {
        let from_s = now_s - info.reach_s();
        let expected = file.fetch_step(info.step_s, from_s, now_s, now_s).unwrap().unwrap();
        let found = db.fetch_archive(id, level, (from_s, now_s)).unwrap().unwrap();
        assert_eq!((found.start_s, found.step_s), (expected.start_s, expected.step_s));
        assert!(
            bits(&found.values) == bits(&expected.values),
            "{what}: archive {level}\n   found {:?}\nexpected {:?}",
            found.values,
            expected.values
        );
        let range = FetchRange { from_s, until_s: now_s, now_s };
        let found = db.fetch(id, range).unwrap().unwrap();
        let expected = file.fetch(from_s, now_s, now_s).unwrap().unwrap();
        assert_eq!(found.step_s, expected.step_s);
        assert_eq!(bits(&found.values), bits(&expected.values));
    }
}

/// What happens to a database and its twins.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Seconds before now, value.
    Put(i64, i32),
    /// Seconds that pass.
    Wait(i64),
    Seal,
    /// What is past its time becomes roll-ups and goes.
    Expire,
    Compact,
    Kill,
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let ago = prop_oneof![6 => 0..40_i64, 3 => 0..1500_i64];
    prop_oneof![
        12 => (ago, -9..9_i32).prop_map(|(ago, value)| Op::Put(ago, value)),
        6 => prop_oneof![5 => 1..40_i64, 1 => 1..900_i64].prop_map(Op::Wait),
        3 => Just(Op::Seal),
        3 => Just(Op::Expire),
        1 => Just(Op::Compact),
        1 => Just(Op::Kill),
    ]
}

/// A database of one series, to which such things happen.
pub(crate) struct Subject {
    rule: Rule,
    bench: Bench,
    storage: MemoryStorage,
    pub(crate) db: Db,
    pub(crate) now_s: i64,
}

impl Subject {
    pub(crate) fn new(rule: &Rule, bench: Bench) -> Self {
        let storage = MemoryStorage::new();
        let db = bench.open(&storage);
        Self { rule: rule.clone(), bench, storage, db, now_s: NOW_S }
    }

    /// Another database, in which nothing is, at the same time.
    pub(crate) fn replace(&mut self) {
        self.storage = MemoryStorage::new();
        self.db = self.bench.open(&self.storage);
    }

    /// Does it to the database. The answer is the point that its twins are to be given.
    pub(crate) fn apply(&mut self, op: &Op) -> Option<whisper::Point> {
        match op {
            Op::Put(ago, value) if self.rule.is_alike(*ago) => {
                let (time_s, value) = (self.now_s - ago, f64::from(*value) / 4.0);
                put(&self.db, "s", time_s, value);
                return Some(whisper::Point { time_s: time_s as u32, value });
            }
            Op::Put(..) => {}
            Op::Wait(seconds) => {
                self.now_s += seconds;
                self.bench.clock.set(self.now_s);
            }
            Op::Seal => self.db.seal().unwrap(),
            Op::Expire => _ = self.db.expire().unwrap(),
            Op::Compact => _ = self.db.compact().unwrap(),
            Op::Kill => {
                self.storage = self.storage.after_kill();
                self.db = self.bench.open(&self.storage);
            }
        }
        None
    }
}

#[derive(Debug, Clone)]
enum Step {
    Op(Op),
    /// The file into another database, which goes on from there.
    Import,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![26 => op().prop_map(Step::Op), 1 => Just(Step::Import)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_database_answers_as_the_file_does(
        rule in rule(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let (mut subject, mut file) = (Subject::new(&rule, rule.bench()), rule.file());
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Op(op) => {
                    if let Some(point) = subject.apply(op) {
                        file.update_many(&[point], subject.now_s).unwrap();
                    }
                }
                Step::Import => {
                    subject.replace();
                    import(&subject.db, &file);
                }
            }
            compare(&subject.db, &file, subject.now_s, &format!("after {at}, {step:?}"));
        }
        prop_assert_eq!(subject.db.damage(), vec![]);
        prop_assert_eq!(subject.db.verify(), vec![]);
    }
}

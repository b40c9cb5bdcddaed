//! Patterns and windows → series: the only file of the render path that asks the database.
//!
//! Each pattern is looked up once a request. What a series is read over is announced with
//! [`Source::want`] first, so that [`Source::load`] can read each series once, over the
//! widest range that any part of the request needs; windows are then cut out of that without
//! copying. A window may need another archive than a wider one, so ranges are kept by series
//! and archive, and by the roll-ups that are asked for where a series has several.

use crate::api::Api;
use crate::budget::Held;
use crate::origin::Origin;
use crate::parallel;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::routes::tags::tagged_series;
use crate::series::{Column, Series, Tags, Window, stored_tags};
use crate::stats::Stats;
use crate::tag_expr::TagExpr;
use crate::target::tag_expressions;
use silverback_engine::schema::{AggregationMethod, Policy};
use silverback_engine::{Dialect, FetchRange, NodeKind, SeriesId, StoredEvent, clock};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Points that one thread reads before it looks for more work, about.
const POINTS_AT_ONCE: usize = 8192;

/// Most series that one thread reads before that: neighbours share pages of blocks.
const SERIES_AT_ONCE: usize = 16;

/// A series that a pattern matches.
#[derive(Debug)]
struct Leaf {
    id: SeriesId,
    name: String,
    tags: Arc<Tags>,
    policy: Arc<Policy>,
}

/// A series, the archive of its policy that answers, and the method by which that is rolled up
/// instead of the series' own.
type Key = (SeriesId, usize, Option<AggregationMethod>);

/// What was read of one archive of a series.
#[derive(Debug)]
struct Loaded {
    policy: Arc<Policy>,
    /// The widest range wanted so far.
    wanted: Window,
    /// The answer over that range; `None` while it is not read.
    grid: Option<Grid>,
}

/// Values on their step.
#[derive(Debug, Clone)]
struct Grid {
    start_s: i64,
    step_s: i64,
    values: Column,
}

/// Reads series for one request, within its limits.
#[derive(Debug)]
pub(crate) struct Source<'r> {
    api: &'r Api,
    request: &'r Request,
    now_s: i64,
    found: HashMap<String, Arc<[Leaf]>>,
    loaded: HashMap<Key, Loaded>,
    /// Those of `loaded` that are not read, in the order they were announced; some twice.
    unread: Vec<Key>,
    /// Series read so far.
    series: HashSet<SeriesId>,
    /// Whether series are to know what they were made from.
    is_traced: bool,
    /// What was read or made so far, and the time that took.
    stats: Stats,
    /// Memory of all that: names, points, and what the evaluation holds beside them.
    held: Held,
    names_bytes: usize,
    evaluation_bytes: usize,
}

impl<'r> Source<'r> {
    /// A source for one request, whose time is `now_s`.
    pub(crate) fn new(api: &'r Api, request: &'r Request, now_s: i64) -> Self {
        Self {
            api,
            request,
            now_s,
            found: HashMap::new(),
            loaded: HashMap::new(),
            unread: Vec::new(),
            series: HashSet::new(),
            is_traced: false,
            stats: Stats::default(),
            held: api.budget.nothing(),
            names_bytes: 0,
            evaluation_bytes: 0,
        }
    }

    /// The same source, whose series know what they were made from.
    pub(crate) fn traced(self) -> Self {
        Self { is_traced: true, ..self }
    }

    /// Whether series know what they were made from.
    pub(crate) fn is_traced(&self) -> bool {
        self.is_traced
    }

    /// Ends the reading: what it took, and the memory it held, of which `list` stays.
    ///
    /// # Errors
    /// Never, as long as `list` holds no more than was counted before.
    pub(crate) fn finish(self, list: &[Series]) -> Result<(Stats, Held), Refusal> {
        let Self { stats, mut held, series, .. } = self;
        held.set(Series::bytes_of_all(list))?;
        Ok((Stats { series: series.len(), ..stats }, held))
    }

    /// Whether the request may go on.
    ///
    /// # Errors
    /// When it was cancelled or its time is over.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.request.check(self.api.limits.request_timeout)
    }

    /// The time that the request takes for now, in Unix seconds.
    pub(crate) fn now_s(&self) -> i64 {
        self.now_s
    }

    /// Counts points that are about to be read or made.
    ///
    /// # Errors
    /// When the request has more than it may, or all requests together.
    pub(crate) fn reserve(&mut self, points: usize) -> Result<(), Refusal> {
        self.stats.points = self.stats.points.saturating_add(points);
        let limit = self.api.limits.rendered_points;
        if self.stats.points > limit {
            return Err(passed(&format!("{limit} points (max-points)")));
        }
        self.hold()
    }

    /// Bounds memory that is about to be taken beside the points read.
    ///
    /// # Errors
    /// When it is more than a request may take.
    pub(crate) fn bound_series_bytes(&self, bytes: usize) -> Result<(), Refusal> {
        let limit = self.api.limits.series_bytes;
        if bytes <= limit {
            return Ok(());
        }
        Err(passed(&format!("{limit} bytes of series (max-series-size)")))
    }

    /// Counts the memory that series take beside the points read.
    ///
    /// # Errors
    /// When it is more than a request may take, or all requests together.
    pub(crate) fn hold_series_bytes(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bound_series_bytes(bytes)?;
        self.evaluation_bytes = bytes;
        self.hold()
    }

    fn hold(&mut self) -> Result<(), Refusal> {
        let points_bytes = self.stats.points.saturating_mul(size_of::<f64>());
        let others_bytes = self.names_bytes.saturating_add(self.evaluation_bytes);
        self.held.set(points_bytes.saturating_add(others_bytes))
    }

    /// The events from the begin of `window` until before its end, sorted by time.
    pub(crate) fn events(&self, window: Window) -> Vec<Arc<StoredEvent>> {
        self.api.db.events(window.from_s..=window.until_s.saturating_sub(1))
    }

    /// Announces that `pattern` will be needed over `window`, rolled up as `asked`.
    ///
    /// # Errors
    /// When the pattern cannot be looked up, a limit is passed, or the request may not go on.
    pub(crate) fn want(
        &mut self,
        pattern: &str,
        window: Window,
        asked: Option<AggregationMethod>,
    ) -> Result<(), Refusal> {
        // A target may name a pattern of very many series very often.
        self.check()?;
        for leaf in self.find(pattern)?.iter() {
            self.want_leaf(leaf, window, asked)?;
        }
        Ok(())
    }

    /// Steps that series of `pattern` have over `window`.
    ///
    /// # Errors
    /// When the pattern cannot be looked up, or a limit is passed.
    pub(crate) fn steps_s(&mut self, pattern: &str, window: Window) -> Result<Vec<i64>, Refusal> {
        let now_s = self.now_s;
        let step = |leaf: &Leaf| {
            let archive = archive(&leaf.policy, now_s, window);
            i64::from(leaf.policy.archives[archive].step_s)
        };
        Ok(self.find(pattern)?.iter().map(step).collect())
    }

    /// Reads everything that was announced.
    ///
    /// # Errors
    /// When a series cannot be read, a limit is passed, or the request may not go on.
    pub(crate) fn load(&mut self) -> Result<(), Refusal> {
        // In order of ids, which is the order in which series lie on disk.
        let mut unread = std::mem::take(&mut self.unread);
        unread.sort_unstable();
        unread.dedup();
        let mut reads = Vec::with_capacity(unread.len());
        for key in unread {
            let Some(Loaded { policy, wanted, .. }) = self.loaded.get(&key) else { continue };
            let (points, wanted) = (self.points_of(policy, *wanted), *wanted);
            self.reserve(points)?;
            reads.push((key, wanted));
        }
        let points = self.stats.points.max(1);
        let at_once = (POINTS_AT_ONCE * reads.len() / points).clamp(1, SERIES_AT_ONCE);
        let begun = clock::monotonic();
        let grids = parallel::try_map(&reads, at_once, |(key, wanted)| self.read(*key, *wanted))?;
        self.stats.fetch += begun.elapsed();
        for ((key, _), grid) in reads.iter().zip(grids) {
            if let Some(loaded) = self.loaded.get_mut(key) {
                loaded.grid = Some(grid);
            }
        }
        Ok(())
    }

    /// All series of `pattern` over `window`, rolled up as `asked`, sorted by name.
    ///
    /// # Errors
    /// When the pattern cannot be looked up, a series cannot be read, a limit is passed, or
    /// the request may not go on.
    pub(crate) fn fetch(
        &mut self,
        pattern: &str,
        (window, asked): (Window, Option<AggregationMethod>),
        x_files_factor: f64,
    ) -> Result<Vec<Series>, Refusal> {
        self.want(pattern, window, asked)?;
        self.load()?;
        let leaves = self.find(pattern)?;
        let path_expression: Arc<str> = pattern.into();
        let mut list = Vec::with_capacity(leaves.len());
        for leaf in leaves.iter() {
            if let Some((grid, end_s)) = self.cut(leaf, window, asked)? {
                list.push(Series {
                    name: leaf.name.clone(),
                    path_expression: Arc::clone(&path_expression),
                    tags: Arc::clone(&leaf.tags),
                    start_s: grid.start_s,
                    end_s,
                    step_s: grid.step_s,
                    values: grid.values,
                    consolidation: crate::consolidate::Consolidation::Average,
                    x_files_factor,
                    is_integer: false,
                    grouped: 1,
                    origin: self.origin(leaf, window, asked),
                });
            }
        }
        Ok(list)
    }

    fn find(&mut self, pattern: &str) -> Result<Arc<[Leaf]>, Refusal> {
        if let Some(leaves) = self.found.get(pattern) {
            return Ok(Arc::clone(leaves));
        }
        self.check()?;
        let begun = clock::monotonic();
        let leaves: Arc<[Leaf]> = match tag_expressions(pattern) {
            Some(expressions) => self.find_tagged(&expressions)?,
            None => self.find_matching(pattern)?,
        };
        self.stats.find += begun.elapsed();
        self.stats.patterns += 1;
        let bytes = |leaf: &Leaf| size_of::<Leaf>() + 2 * leaf.name.len();
        self.names_bytes += leaves.iter().map(bytes).sum::<usize>();
        self.hold()?;
        self.found.insert(pattern.to_owned(), Arc::clone(&leaves));
        Ok(leaves)
    }

    /// The series that a pattern of names matches.
    fn find_matching(&self, pattern: &str) -> Result<Arc<[Leaf]>, Refusal> {
        let limits = self.request.find_limits(self.api);
        let found = self.api.db.find(pattern.as_bytes(), Dialect::Graphite, &limits);
        let found = found.map_err(|error| Refusal::find(error, &self.api.limits))?;
        let leaves = found.into_iter().filter_map(|node| {
            let NodeKind::Leaf(id) = node.kind else { return None };
            self.leaf(id, &node.path)
        });
        Ok(leaves.collect())
    }

    /// The series whose tags fit all expressions, sorted by name.
    fn find_tagged(&self, expressions: &[&str]) -> Result<Arc<[Leaf]>, Refusal> {
        let expressions = TagExpr::parse_all(expressions).map_err(Refusal::parameters)?;
        let limits = self.request.find_limits(self.api);
        let series = tagged_series(self.api, &limits, &expressions);
        let series = series.map_err(|refusal| match refusal {
            // That is how the tag endpoints word it; here it is a wrong target.
            Refusal::BadJsonRequest(reason) => Refusal::parameters(reason),
            refusal => refusal,
        })?;
        Ok(series.into_iter().filter_map(|(name, id)| self.leaf(id, &name)).collect())
    }

    /// A series; `None` when it expired since it was found.
    fn leaf(&self, id: SeriesId, path: &[u8]) -> Option<Leaf> {
        let name = String::from_utf8_lossy(path).into_owned();
        let policy = self.api.db.policy(id, path)?;
        Some(Leaf { id, tags: Arc::new(stored_tags(&name)), name, policy })
    }

    /// What answers for a series over a window.
    fn key(&self, leaf: &Leaf, window: Window, asked: Option<AggregationMethod>) -> Key {
        let archive = archive(&leaf.policy, self.now_s, window);
        let is_extra = |method: &AggregationMethod| archive > 0 && leaf.policy.has_extra(*method);
        (leaf.id, archive, asked.filter(is_extra))
    }

    fn want_leaf(
        &mut self,
        leaf: &Leaf,
        window: Window,
        asked: Option<AggregationMethod>,
    ) -> Result<(), Refusal> {
        let key = self.key(leaf, window, asked);
        let fresh = || Loaded { policy: Arc::clone(&leaf.policy), wanted: window, grid: None };
        let loaded = self.loaded.entry(key).or_insert_with(fresh);
        let wider = Window {
            from_s: loaded.wanted.from_s.min(window.from_s),
            until_s: loaded.wanted.until_s.max(window.until_s),
        };
        if wider != loaded.wanted {
            (loaded.wanted, loaded.grid) = (wider, None);
        }
        if loaded.grid.is_none() {
            self.unread.push(key);
        }
        self.series.insert(leaf.id);
        let limit = self.api.limits.rendered_series;
        if self.series.len() > limit {
            return Err(passed(&format!("{limit} series (max-metrics-rendered)")));
        }
        Ok(())
    }

    fn origin(&self, leaf: &Leaf, window: Window, asked: Option<AggregationMethod>) -> Origin {
        if !self.is_traced {
            return Origin::default();
        }
        let (_, archive, extra) = self.key(leaf, window, asked);
        Origin::read(Arc::clone(&leaf.policy), archive, extra)
    }

    /// How many points a series of this policy has over a range.
    fn points_of(&self, policy: &Policy, wanted: Window) -> usize {
        let archive = &policy.archives[archive(policy, self.now_s, wanted)];
        let from_s = wanted.from_s.max(self.now_s.saturating_sub(policy.reach_s()));
        let span_s = wanted.until_s.min(self.now_s).saturating_sub(from_s).max(0);
        usize::try_from(span_s / i64::from(archive.step_s)).unwrap_or(usize::MAX)
    }

    /// Reads one series; an empty grid when it keeps nothing of the range.
    fn read(&self, (id, _, extra): Key, wanted: Window) -> Result<Grid, Refusal> {
        self.check()?;
        let Window { from_s, until_s } = wanted;
        let range = FetchRange { from_s, until_s, now_s: self.now_s };
        let fetched = match extra {
            Some(method) => self.api.db.fetch_by(id, range, method),
            None => self.api.db.fetch(id, range),
        };
        let fetched = fetched.map_err(|error| Refusal::Internal(error.to_string()))?;
        Ok(match fetched {
            Some(fetched) => {
                self.request.note(&fetched);
                Grid {
                    start_s: fetched.start_s,
                    step_s: i64::from(fetched.step_s),
                    values: fetched.values.into(),
                }
            }
            None => Grid { start_s: 0, step_s: 0, values: Vec::new().into() },
        })
    }

    /// The part of a loaded series that a request for `window` alone would give, and its end;
    /// `None` when the window lies outside what the series keeps.
    fn cut(
        &mut self,
        leaf: &Leaf,
        window: Window,
        asked: Option<AggregationMethod>,
    ) -> Result<Option<(Grid, i64)>, Refusal> {
        let key = self.key(leaf, window, asked);
        let Some(grid) = self.loaded.get(&key).and_then(|loaded| loaded.grid.clone()) else {
            return Ok(None);
        };
        if grid.step_s == 0 {
            return Ok(None);
        }
        let Some((start_s, end_s)) = self.bounds(leaf, window, grid.step_s) else {
            return Ok(None);
        };
        let index = |time_s: i64| usize::try_from((time_s - grid.start_s) / grid.step_s).ok();
        let is_inside = start_s >= grid.start_s && (start_s - grid.start_s) % grid.step_s == 0;
        if let (true, Some(first), Some(last)) = (is_inside, index(start_s), index(end_s))
            && last <= grid.values.len()
        {
            let values = grid.values.cut(first..last);
            return Ok(Some((Grid { start_s, values, ..grid }, end_s)));
        }
        // A window inside one step, at the very end of the wider range: ask for it alone.
        self.reserve(self.points_of(&leaf.policy, window))?;
        let alone = Some(self.read(key, window)?).filter(|grid| grid.step_s > 0);
        Ok(alone.map(|grid| {
            let end_s = grid.start_s + grid.values.len() as i64 * grid.step_s;
            (grid, end_s)
        }))
    }

    /// First time and exclusive end of the points that whisper answers for a window.
    fn bounds(&self, leaf: &Leaf, window: Window, step_s: i64) -> Option<(i64, i64)> {
        let oldest_s = self.now_s.saturating_sub(leaf.policy.reach_s());
        if window.from_s > self.now_s || window.until_s < oldest_s {
            return None;
        }
        let next = |time_s: i64| time_s - time_s.rem_euclid(step_s) + step_s;
        let start_s = next(window.from_s.max(oldest_s));
        let end_s = next(window.until_s.min(self.now_s));
        Some((start_s, if end_s == start_s { end_s + step_s } else { end_s }))
    }
}

/// The finest archive that reaches back to the window's begin; the longest when none does.
fn archive(policy: &Policy, now_s: i64, window: Window) -> usize {
    let age_s = now_s.saturating_sub(window.from_s);
    let reaching = policy.archives.iter().position(|archive| archive.reach_s() >= age_s);
    reaching.unwrap_or(policy.archives.len() - 1)
}

/// The request asks for more than it may.
fn passed(limit: &str) -> Refusal {
    Refusal::BadRequest(format!(
        "the request needs more than {limit}; ask for fewer series or less time"
    ))
}

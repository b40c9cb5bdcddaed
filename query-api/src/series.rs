//! Series as functions pass them on: a name, a grid of times and a shared column of values.

use crate::consolidate::Consolidation;
use crate::origin::Origin;
use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Tag names and values of a series; always holds `name`.
pub(crate) type Tags = BTreeMap<String, String>;

/// A range of request time: from (exclusive) until (inclusive), Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    pub(crate) from_s: i64,
    pub(crate) until_s: i64,
}

impl Window {
    /// The same range at another time.
    pub(crate) fn shifted(self, by_s: i64) -> Self {
        Self {
            from_s: self.from_s.saturating_add(by_s),
            until_s: self.until_s.saturating_add(by_s),
        }
    }
}

/// Values with NaN where nothing is known. Clones and cuts share the memory.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    values: Arc<Vec<f64>>,
    range: Range<usize>,
}

impl Column {
    /// The values at `range` of this column; past its end it is cut.
    pub(crate) fn cut(&self, range: Range<usize>) -> Self {
        let end = (self.range.start.saturating_add(range.end)).min(self.range.end);
        let start = (self.range.start.saturating_add(range.start)).min(end);
        Self { values: Arc::clone(&self.values), range: start..end }
    }
}

impl From<Vec<f64>> for Column {
    fn from(values: Vec<f64>) -> Self {
        let range = 0..values.len();
        Self { values: Arc::new(values), range }
    }
}

impl Deref for Column {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.values[self.range.clone()]
    }
}

/// One series inside a request.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// What the answer shows as target.
    pub(crate) name: String,
    /// What aggregates of this series are named after: the pattern it was found by, or the
    /// call that made it.
    pub(crate) path_expression: Arc<str>,
    pub(crate) tags: Arc<Tags>,
    /// Time of the first value.
    pub(crate) start_s: i64,
    /// Last time that may be shown; values beyond it are cut off in answers.
    pub(crate) end_s: i64,
    /// Seconds between values; more than zero.
    pub(crate) step_s: i64,
    pub(crate) values: Column,
    /// How groups of values become one.
    pub(crate) consolidation: Consolidation,
    /// Least share of known values in a group for the group to be known.
    pub(crate) x_files_factor: f64,
    /// Whether the values are counts, written without `.0`.
    pub(crate) is_integer: bool,
    /// Points that became one value of the answer, of which there were too many.
    pub(crate) grouped: usize,
    /// What it was made from; empty unless the request asks.
    pub(crate) origin: Origin,
}

impl Series {
    /// A series that a function made from nothing but values, from `start_s` on.
    pub(crate) fn built(name: String, start_s: i64, step_s: i64, values: Vec<f64>) -> Self {
        debug_assert!(step_s > 0, "a step is positive");
        Self {
            path_expression: name.as_str().into(),
            tags: Arc::new(computed_tags(&name)),
            name,
            start_s,
            end_s: start_s.saturating_add(step_s.saturating_mul(values.len() as i64)),
            step_s,
            values: values.into(),
            consolidation: Consolidation::Average,
            x_files_factor: 0.0,
            is_integer: false,
            grouped: 1,
            origin: Origin::default(),
        }
    }

    /// Times and values that an answer shows: those up to the end.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        let times = (0..self.shown_len()).map(|index| self.start_s + self.step_s * index as i64);
        times.zip(self.values.iter().copied())
    }

    /// How many points an answer shows.
    pub(crate) fn shown_len(&self) -> usize {
        let steps = self.end_s.saturating_sub(self.start_s).div_euclid(self.step_s);
        usize::try_from(steps).map_or(0, |steps| self.values.len().min(steps.saturating_add(1)))
    }

    /// The same series with another name, after which aggregates are named as well.
    pub(crate) fn renamed(mut self, name: String) -> Self {
        self.path_expression = name.as_str().into();
        self.name = name;
        self
    }

    /// Bytes of memory that this series alone takes: what it shares with others is not counted.
    pub(crate) fn own_bytes(&self) -> usize {
        let mut bytes = size_of::<Self>() + self.name.len();
        if Arc::strong_count(&self.values.values) == 1 {
            bytes += self.values.values.len() * size_of::<f64>();
        }
        if Arc::strong_count(&self.tags) == 1 {
            let of_one = |(tag, value): (&String, &String)| tag.len() + value.len();
            bytes += self.tags.iter().map(of_one).sum::<usize>() + size_of::<Tags>();
        }
        if Arc::strong_count(&self.path_expression) == 1 {
            bytes += self.path_expression.len();
        }
        bytes
    }

    /// Bytes of memory that a list of series takes; columns that series share count once.
    pub(crate) fn bytes_of_all(list: &[Self]) -> usize {
        let mut columns: Vec<&Arc<Vec<f64>>> = list.iter().map(|s| &s.values.values).collect();
        columns.sort_unstable_by_key(|column| Arc::as_ptr(column));
        columns.dedup_by_key(|column| Arc::as_ptr(column));
        let values: usize = columns.iter().map(|column| column.capacity()).sum();
        let names: usize = list.iter().map(|series| size_of::<Self>() + series.name.len()).sum();
        values * size_of::<f64>() + names
    }

    /// The same series with one more tag.
    pub(crate) fn tagged(mut self, tag: &str, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.tags).insert(tag.to_owned(), value.into());
        self
    }

    /// The same series with other values on the same grid.
    pub(crate) fn with_values(mut self, values: Vec<f64>) -> Self {
        self.values = values.into();
        self.is_integer = false;
        self
    }

    /// The same series with every known value replaced by `f` of it.
    pub(crate) fn mapped(self, f: impl Fn(f64) -> f64) -> Self {
        let values = self.values.iter().map(|&v| if v.is_nan() { v } else { f(v) }).collect();
        self.with_values(values)
    }
}

/// Tags of a stored series: those in its name, or its name alone.
pub(crate) fn stored_tags(name: &str) -> Tags {
    let mut parts = name.split(';');
    let metric = parts.next().unwrap_or_default();
    let pairs: Option<Vec<(&str, &str)>> = parts.map(|part| part.split_once('=')).collect();
    match pairs {
        Some(pairs) if !pairs.is_empty() => {
            let mut tags: Tags =
                pairs.into_iter().map(|(tag, value)| (tag.to_owned(), value.to_owned())).collect();
            tags.insert("name".to_owned(), metric.trim_start_matches('~').to_owned());
            tags
        }
        _ => name_only(name),
    }
}

/// Tags of a computed series: `f(…)` has nothing but its name.
pub(crate) fn computed_tags(name: &str) -> Tags {
    let letters = name.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(name.len());
    if letters > 0 && name[letters..].starts_with('(') && name.ends_with(')') {
        return name_only(name);
    }
    stored_tags(name)
}

fn name_only(name: &str) -> Tags {
    Tags::from([("name".to_owned(), name.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_share_and_cut() {
        let column = Column::from(vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!(*column.cut(1..3), [2.0, 3.0]);
        assert_eq!(*column.cut(1..3).cut(1..9), [3.0]);
        assert!(column.cut(7..9).is_empty());
        assert!(Arc::ptr_eq(&column.values, &column.cut(1..2).values));
    }

    #[test]
    fn tags_come_from_the_name() {
        let pairs = |tags: Tags| -> Vec<String> {
            tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect()
        };
        assert_eq!(pairs(stored_tags("a.b")), ["name=a.b"]);
        assert_eq!(pairs(stored_tags("~m;x=1;b=2")), ["b=2", "name=m", "x=1"]);
        assert_eq!(pairs(stored_tags("m;x")), ["name=m;x"]);
        assert_eq!(pairs(computed_tags("f(m;x=1)")), ["name=f(m;x=1)"]);
        assert_eq!(pairs(computed_tags("m;x=1")), ["name=m", "x=1"]);
    }
}

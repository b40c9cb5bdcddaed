//! Which series are meant: globs over names and expressions over tags, as one list of ids.
//!
//! What is selected is about to be deleted, so nothing is read generously: an expression that is
//! no call of `seriesByTag` is a mistake, as is a selection of nothing at all.

use crate::tag_expr::{TagExpr, TagExprError};
use crate::target::{self, Expr};
use silverback_engine::{Db, Dialect, FindError, FindLimits, SeriesId};
use std::cell::RefCell;

/// Why series could not be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// There is neither a pattern nor an expression.
    #[error("nothing is selected: give a pattern or an expression over tags")]
    Nothing,
    /// The text is no call of `seriesByTag` with quoted expressions.
    #[error("{0}: allowed is seriesByTag('TAG=VALUE', …)")]
    NoExpression(String),
    /// One of the expressions over tags is wrong.
    #[error(transparent)]
    Tags(#[from] TagExprError),
    /// A pattern is malformed, or a limit was passed.
    #[error(transparent)]
    Find(#[from] FindError),
}

/// Series by what they are called and how they are tagged.
#[derive(Debug, Clone)]
pub struct Selection {
    globs: Vec<String>,
    /// Of each call of `seriesByTag` the expressions, all of which have to hold.
    tagged: Vec<Vec<TagExpr>>,
}

impl Selection {
    /// Reads globs, and calls of `seriesByTag`.
    ///
    /// # Errors
    /// When there is none of either, and when one of the calls is malformed. Globs are read when
    /// they are matched.
    pub fn parse(globs: &[&str], calls: &[&str]) -> Result<Self, SelectionError> {
        if globs.is_empty() && calls.is_empty() {
            return Err(SelectionError::Nothing);
        }
        let tagged = calls.iter().map(|call| expressions(call)).collect::<Result<_, _>>()?;
        Ok(Self { globs: globs.iter().map(|&glob| glob.to_owned()).collect(), tagged })
    }

    /// Name and id of every series that one of the globs or calls selects, sorted by name.
    ///
    /// # Errors
    /// On a malformed glob, and when a limit is passed.
    pub fn series(
        &self,
        db: &Db,
        limits: &FindLimits,
    ) -> Result<Vec<(Vec<u8>, SeriesId)>, SelectionError> {
        let mut series = Vec::new();
        for glob in &self.globs {
            series.extend(db.series_matching(glob.as_bytes(), Dialect::Graphite, limits)?);
        }
        for exprs in &self.tagged {
            let failed = RefCell::new(None);
            let filters: Vec<_> = exprs.iter().map(|expr| expr.filter(&failed)).collect();
            let found = db.tagged_series(&filters, limits);
            drop(filters);
            if let Some(error) = failed.take() {
                return Err(error.into());
            }
            series.extend(found?);
        }
        series.sort_unstable();
        series.dedup();
        Ok(series)
    }
}

/// The expressions of a call of `seriesByTag`.
fn expressions(call: &str) -> Result<Vec<TagExpr>, SelectionError> {
    let no_expression = || SelectionError::NoExpression(call.to_owned());
    let Ok(Expr::Path(path)) = target::parse(call.trim()) else { return Err(no_expression()) };
    let specs = target::tag_expressions(&path).ok_or_else(no_expression)?;
    Ok(TagExpr::parse_all(&specs)?)
}

#[cfg(test)]
mod tests {
    use super::{Selection, SelectionError};
    use silverback_engine::{Db, FindLimits, Options, Point};

    const NAMES: [&str; 5] =
        ["a.b.c", "a.b.d", "a.x", "cpu;dc=east;host=one", "cpu;dc=west;host=two"];

    #[track_caller]
    fn check(db: &Db, globs: &[&str], calls: &[&str], expected: &[&str]) {
        let selection = Selection::parse(globs, calls).unwrap();
        let found = selection.series(db, &FindLimits::default()).unwrap();
        let names: Vec<_> =
            found.iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect();
        assert_eq!(names, expected, "{globs:?} {calls:?}");
    }

    #[test]
    fn globs_and_tags_select_together_and_each_series_once() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(Options::new(folder.path())).unwrap();
        let time_s = db.now_s();
        for name in NAMES {
            db.append(&[Point { name: name.as_bytes(), time_s, value: 1.0 }]).unwrap();
        }
        check(&db, &["a.b.*"], &[], &["a.b.c", "a.b.d"]);
        check(&db, &["a.**", "a.b.c"], &[], &["a.b.c", "a.b.d", "a.x"]);
        check(&db, &[], &["seriesByTag('dc=east')"], &["cpu;dc=east;host=one"]);
        check(&db, &[], &["seriesByTag('name=cpu', \"host!=one\")"], &["cpu;dc=west;host=two"]);
        let both = ["seriesByTag('dc=~.+')", " seriesByTag('dc=west') "];
        check(&db, &["a.x"], &both, &NAMES[2..]);
        check(&db, &["nothing.*"], &["seriesByTag('dc=north')"], &[]);
    }

    #[test]
    fn what_selects_all_by_mistake_is_refused() {
        assert_eq!(Selection::parse(&[], &[]).unwrap_err(), SelectionError::Nothing);
        let calls = [
            "",
            "a.b.c",
            "dc=east",
            "seriesByTag()",
            "seriesByTag(a)",
            "seriesByTag('dc=east'",
            "seriesByTag('dc=east') or more",
            "sum(seriesByTag('dc=east'))",
        ];
        for call in calls {
            let error = Selection::parse(&[], &[call]).unwrap_err();
            assert_eq!(error, SelectionError::NoExpression(call.to_owned()));
        }
        for call in ["seriesByTag('dc!=east')", "seriesByTag('dc')", "seriesByTag('dc=~[')"] {
            let error = Selection::parse(&[], &[call]).unwrap_err();
            assert!(matches!(error, SelectionError::Tags(_)), "{call}: {error}");
        }
    }
}

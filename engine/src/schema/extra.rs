//! Roll-ups beside the main one: what else coarser archives tell of the points in a slot.

use super::{AggregationMethod, Policy};
pub use silverback_formats::block::Aggregate;

/// Which extra roll-ups a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ExtraRollUps {
    /// A bit for each of [`Aggregate::ALL`].
    bits: u8,
}

impl ExtraRollUps {
    /// No extra roll-ups.
    pub const NONE: Self = Self { bits: 0 };

    /// Reads a list such as `min,max`; an empty one is none. `None` when a name is not one of
    /// `min`, `max`, `sum`, `count`, `last`.
    #[must_use]
    pub fn parse(list: &str) -> Option<Self> {
        if list.is_empty() {
            return Some(Self::NONE);
        }
        let named = |name: &str| Aggregate::ALL.into_iter().find(|known| known.name() == name);
        list.split(',').try_fold(Self::NONE, |found, name| {
            Some(Self { bits: found.bits | 1 << named(name.trim())? as u8 })
        })
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, aggregate: Aggregate) -> bool {
        self.bits & 1 << aggregate as u8 != 0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Aggregate> {
        Aggregate::ALL.into_iter().filter(move |&aggregate| self.has(aggregate))
    }
}

/// What the engine adds to the formats' aggregates.
pub(crate) trait Rolled {
    /// Its name in `storage-aggregation.conf`.
    fn name(self) -> &'static str;

    /// How a coarser archive of it is made of a finer one of it.
    fn method(self) -> AggregationMethod;
}

impl Rolled for Aggregate {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            _ => self.method().name(),
        }
    }

    fn method(self) -> AggregationMethod {
        match self {
            Self::Min => AggregationMethod::Min,
            Self::Max => AggregationMethod::Max,
            Self::Sum | Self::Count => AggregationMethod::Sum,
            Self::Last => AggregationMethod::Last,
        }
    }
}

/// Roll-ups that answer for a method which is not the series' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// These.
    Of(Aggregate),
    /// Sums, which may be the series' own roll-ups, by counts: the mean of all points, however
    /// they lie in the finer slots.
    Mean {
        /// The sums; `None` for the series' own roll-ups.
        sums: Option<Aggregate>,
    },
}

impl Policy {
    /// Whether coarser archives answer for `method` by other roll-ups than the main ones.
    #[must_use]
    pub fn has_extra(&self, method: AggregationMethod) -> bool {
        self.instead(method).is_some()
    }

    /// What is read instead of the main roll-ups when `method` is asked for; `None` when nothing
    /// else is stored for it.
    pub(crate) fn instead(&self, method: AggregationMethod) -> Option<Instead> {
        if method == self.method {
            return None;
        }
        let has = |aggregate| Some(aggregate).filter(|&aggregate| self.extra.has(aggregate));
        match method {
            AggregationMethod::Min => has(Aggregate::Min).map(Instead::Of),
            AggregationMethod::Max => has(Aggregate::Max).map(Instead::Of),
            AggregationMethod::Sum => has(Aggregate::Sum).map(Instead::Of),
            AggregationMethod::Last => has(Aggregate::Last).map(Instead::Of),
            AggregationMethod::Average => {
                has(Aggregate::Count)?;
                let is_main = self.method == AggregationMethod::Sum;
                let sums = if is_main { None } else { Some(has(Aggregate::Sum)?) };
                Some(Instead::Mean { sums })
            }
        }
    }

    /// The extra roll-ups that are stored: those that the main ones do not tell already.
    pub(crate) fn stored_extra(&self) -> impl Iterator<Item = Aggregate> {
        let main = self.method;
        let is_other =
            move |extra: &Aggregate| *extra == Aggregate::Count || extra.method() != main;
        self.extra.iter().filter(is_other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Retention;

    fn policy(method: AggregationMethod, extra: &str) -> Policy {
        let archives = Retention::parse_list("10s:1m,60s:1h").unwrap();
        let extra = ExtraRollUps::parse(extra).unwrap();
        Policy { archives, method, x_files_factor: 0.0, extra }
    }

    #[test]
    fn names_are_read_back() {
        for aggregate in Aggregate::ALL {
            let parsed = ExtraRollUps::parse(aggregate.name()).unwrap();
            assert_eq!(parsed.iter().collect::<Vec<_>>(), [aggregate]);
        }
    }

    #[test]
    fn a_method_is_answered_by_what_is_stored_for_it() {
        use AggregationMethod::{Average, Last, Max, Min, Sum};
        let all = policy(Average, "min,max,sum,count,last");
        assert_eq!(all.instead(Max), Some(Instead::Of(Aggregate::Max)));
        assert_eq!(all.instead(Min), Some(Instead::Of(Aggregate::Min)));
        assert_eq!(all.instead(Last), Some(Instead::Of(Aggregate::Last)));
        assert_eq!(all.instead(Average), None, "it is the main one");
        let none = policy(Average, "");
        assert!([Average, Last, Max, Min, Sum].iter().all(|&method| !none.has_extra(method)));
        assert_eq!(policy(Max, "sum").instead(Average), None, "there are no counts");
        let sums = Some(Aggregate::Sum);
        assert_eq!(policy(Max, "sum,count").instead(Average), Some(Instead::Mean { sums }));
        let sum = policy(Sum, "sum,count");
        assert_eq!(sum.instead(Average), Some(Instead::Mean { sums: None }));
        assert_eq!(sum.stored_extra().collect::<Vec<_>>(), [Aggregate::Count]);
    }
}

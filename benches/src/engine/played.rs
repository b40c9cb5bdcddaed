//! Series that say the same again: what was stored is compared with what they say once more, so
//! that nothing of it has to be kept meanwhile.

use crate::compression::Set;
use crate::lines::{Single, Values};

/// One series: its name, and value after value. A clone says the same.
#[derive(Debug, Clone)]
pub(super) struct Played<'a> {
    name: String,
    says: Says<'a>,
}

#[derive(Debug, Clone)]
enum Says<'a> {
    MadeUp(Single),
    Recorded(Recorded<'a>),
}

/// A place in the series of a set, which are played one after the other, so that what is short is
/// not heard again soon.
#[derive(Debug, Clone)]
struct Recorded<'a> {
    set: &'a Set,
    series: usize,
    slot: usize,
}

/// So many series: made up, or of recorded sets by turns when there are any.
pub(super) fn series(count: usize, values: Values, recorded: &[Set]) -> Vec<Played<'_>> {
    (0..count).map(|at| Played::new(at, values, recorded)).collect()
}

impl<'a> Played<'a> {
    fn new(at: usize, values: Values, recorded: &'a [Set]) -> Self {
        let single = Single::new(at, values);
        let name = single.name().to_owned();
        let says = match recorded.get(at % recorded.len().max(1)) {
            None => Says::MadeUp(single),
            Some(set) => {
                let series = at / recorded.len() % set.series.len();
                Says::Recorded(Recorded { set, series, slot: 0 })
            }
        };
        Self { name, says }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it says next; nothing where a recorded series has a gap.
    pub(super) fn value(&mut self) -> Option<f64> {
        match &mut self.says {
            Says::MadeUp(single) => Some(single.value()),
            Says::Recorded(recorded) => recorded.value(),
        }
    }
}

impl Recorded<'_> {
    fn value(&mut self) -> Option<f64> {
        // Sets without any value are refused when they are read, so one of the series has some.
        while self.slot >= self.set.series[self.series].values.len() {
            self.series = (self.series + 1) % self.set.series.len();
            self.slot = 0;
        }
        self.slot += 1;
        // A NaN is refused by the database.
        self.set.series[self.series].values[self.slot - 1].filter(|value| !value.is_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::sets;
    use std::path::Path;

    #[test]
    fn a_clone_says_the_same() {
        let metrics = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/metrics");
        let recorded = sets(&[metrics.join("nab-aws.series.zst")]).unwrap();
        for recorded in [&recorded[..], &[]] {
            let mut first = series(5, Values::Mixed, recorded);
            let mut again = first.clone();
            let said = |played: &mut Played<'_>| -> Vec<_> {
                (0..10_000).map(|_| played.value().map(f64::to_bits)).collect()
            };
            let first: Vec<_> = first.iter_mut().map(said).collect();
            assert_eq!(first, again.iter_mut().map(said).collect::<Vec<_>>());
            assert!(first.iter().all(|values| values.iter().flatten().count() > 1000));
            assert_ne!(first[0], first[1]);
        }
    }
}

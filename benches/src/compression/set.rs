//! Series and stretches of them.

use silverback_formats::chunk::{SlotRuns, encode_gorilla};
use silverback_formats::gorilla::Encoder;

/// Series of one origin.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) series: Vec<Series>,
}

/// One series: values on a grid.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(super) step_s: u32,
    /// Unix seconds of slot 0, a multiple of the step.
    pub(super) start_s: u32,
    /// By slot; `None` where there is none.
    pub(crate) values: Vec<Option<f64>>,
}

/// A piece of a series that is coded by itself.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) step_s: u32,
    /// Unix seconds of slot 0.
    pub(super) start_s: u32,
    /// Which slots hold a value.
    pub(super) slots: SlotRuns,
    /// The values, in order of their slots; one at least.
    pub(super) values: Vec<f64>,
    /// Bytes that our chunk takes to say what a list of values does not: start and slots.
    pub(super) grid_bytes: usize,
}

impl Set {
    /// Values of all series.
    pub(super) fn points(&self) -> usize {
        self.series.iter().map(|series| series.values.iter().flatten().count()).sum()
    }

    /// All series, cut every `slots` slots; stretches without values are left out.
    pub(super) fn stretches(&self, slots: u32) -> Vec<Stretch> {
        self.series.iter().flat_map(|series| series.stretches(slots)).collect()
    }
}

impl Series {
    /// A series of points at any times, oldest first or not: on a grid of the step, or of the gap
    /// that is most frequent, or, where that leaves nearly all slots empty, of the mean gap. The
    /// last point of a slot counts. `None` without points.
    pub(super) fn from_points(
        name: String,
        step_s: Option<u32>,
        mut points: Vec<(u32, f64)>,
    ) -> Option<Self> {
        points.sort_by_key(|(time_s, _)| *time_s);
        let ((first_s, _), (last_s, _)) = (*points.first()?, *points.last()?);
        let gaps = points.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|gap| *gap > 0);
        let mean_s = ((last_s - first_s) as usize / points.len()).max(1) as u32;
        let is_dense = |step_s: u32| mean_s.div_ceil(step_s) <= SLOTS_A_POINT_MAX;
        let found = || match most_frequent(gaps) {
            None => 60,
            Some(step_s) if is_dense(step_s) => step_s,
            Some(_) => mean_s,
        };
        let step_s = step_s.unwrap_or_else(found);
        let start_s = first_s / step_s * step_s;
        let mut values = Vec::new();
        for (time_s, value) in points {
            let slot = ((time_s - start_s) / step_s) as usize;
            // A clock that ran ahead by years would make a grid of billions.
            if slot >= SLOTS_MAX {
                break;
            }
            values.resize(values.len().max(slot + 1), None);
            values[slot] = Some(value);
        }
        Some(Self { name, step_s, start_s, values })
    }

    fn stretches(&self, slots: u32) -> impl Iterator<Item = Stretch> {
        let pieces = self.values.chunks(slots as usize).zip(self.times_s().step_by(slots as usize));
        pieces.filter_map(|(values, start_s)| Stretch::new(self.step_s, start_s, values))
    }

    /// Time of each slot.
    pub(super) fn times_s(&self) -> impl Iterator<Item = u32> + use<> {
        // Beyond what a time can say only where there are no more slots.
        std::iter::successors(Some(self.start_s), {
            let step_s = self.step_s;
            move |time_s| Some(time_s.saturating_add(step_s))
        })
    }

    /// Whether the time of the last slot is one.
    pub(super) fn ends_in_time(&self) -> bool {
        let last = self.values.len().saturating_sub(1) as u64;
        u64::from(self.start_s) + last * u64::from(self.step_s) <= u32::MAX.into()
    }
}

/// Most slots of a series that is made of points.
const SLOTS_MAX: usize = 50_000_000;

/// Slots to a point beyond which a step that was found is taken for a coincidence.
const SLOTS_A_POINT_MAX: u32 = 64;

fn most_frequent(numbers: impl Iterator<Item = u32>) -> Option<u32> {
    let mut sorted: Vec<u32> = numbers.collect();
    sorted.sort_unstable();
    // Of equals the least.
    let runs = sorted.chunk_by(u32::eq);
    runs.rev().max_by_key(|run| run.len()).map(|run| run[0])
}

impl Stretch {
    fn new(step_s: u32, start_s: u32, values: &[Option<f64>]) -> Option<Self> {
        let mut slots = SlotRuns::new();
        let mut encoder = Encoder::new();
        for (slot, value) in (0..).zip(values) {
            if let Some(value) = value {
                slots.push(slot).expect("slots of a stretch go forward, and fit a chunk");
                encoder.push(*value);
            }
        }
        let values: Vec<f64> = values.iter().copied().flatten().collect();
        if values.is_empty() {
            return None;
        }
        let mut chunk = Vec::new();
        encode_gorilla(start_s, &slots, &encoder, &mut chunk);
        let payload_bytes = encoder.payload_len().min(size_of_val(values.as_slice()));
        let grid_bytes = chunk.len() - payload_bytes;
        Some(Self { step_s, start_s, slots, values, grid_bytes })
    }

    /// Time and value of each point.
    pub(super) fn points(&self) -> impl Iterator<Item = (u32, f64)> {
        let times = self.slots.present().map(|slot| self.start_s + slot * self.step_s);
        times.zip(self.values.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_find_their_grid() {
        let points = vec![(130, 2.0), (70, 1.0), (190, 3.0), (185, 9.0), (430, 4.0), (370, 0.5)];
        let series = Series::from_points("a".into(), None, points).unwrap();
        assert_eq!((series.step_s, series.start_s), (60, 60));
        let some = Some;
        let expected = [some(1.0), some(2.0), some(3.0), None, None, some(0.5), some(4.0)];
        assert_eq!(series.values, expected);
        assert!(Series::from_points("b".into(), None, Vec::new()).is_none());
    }

    #[test]
    fn steps_of_days_and_more_reach_to_the_last_time() {
        let step_s = 600_000;
        let len = (u32::MAX / step_s) as usize;
        let series = Series { name: "a".into(), step_s, start_s: 0, values: vec![Some(1.0); len] };
        assert!(series.ends_in_time());
        let set = Set { name: "s".into(), series: vec![series] };
        // As many slots as a chunk has last longer than all time.
        let whole = set.stretches(8192);
        assert_eq!((whole.len(), whole[0].values.len()), (1, len));
        let starts: Vec<_> = set.stretches(4000).iter().map(|stretch| stretch.start_s).collect();
        assert_eq!(starts, [0, 4000 * step_s]);
        let beyond = Series { start_s: 2 * step_s, ..set.series[0].clone() };
        assert!(!beyond.ends_in_time());
    }

    #[test]
    fn bursts_do_not_make_a_grid_of_seconds() {
        let burst = |start_s: u32| (0..3).map(move |i| (start_s + i, 1.0));
        let points: Vec<_> = (0..20).flat_map(|i| burst(i * 86_400)).collect();
        let series = Series::from_points("a".into(), None, points).unwrap();
        assert_eq!(series.step_s, 19 * 86_400 / 60);
        let alone = Series::from_points("a".into(), None, vec![(90, 1.0)]).unwrap();
        assert_eq!((alone.step_s, alone.start_s), (60, 60));
    }

    #[test]
    fn stretches_leave_out_what_is_empty() {
        let values = [vec![Some(1.0), None], vec![None; 2], vec![Some(2.0)]].concat();
        let series = Series { name: "a".into(), step_s: 10, start_s: 600, values };
        let set = Set { name: "s".into(), series: vec![series] };
        let stretches = set.stretches(2);
        let points: Vec<_> = stretches.iter().flat_map(Stretch::points).collect();
        assert_eq!(points, [(600, 1.0), (640, 2.0)]);
        assert_eq!((stretches.len(), set.points()), (2, 2));
        // Codec, start, slots, presence.
        assert_eq!(stretches[1].grid_bytes, 1 + 4 + 1 + 1);
    }
}

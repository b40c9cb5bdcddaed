//! Lines → points that borrow the read buffer.

use crate::counters::ReceiverCounters;
use crate::framing::Framed;
use crate::limits::BATCH_POINTS_MAX;
use crate::refusals::Refusal;
use silverback_formats::carbon::{Point, plain};

/// Points of one read, and the refused lines beside them.
///
/// The memory outlives the batch: [`into_spare`](Self::into_spare) gives it
/// back for the next read, so that a connection allocates it once.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    points: Vec<Point<'a>>,
    refused: usize,
    /// The first refused line: the one that may go into the log.
    example: Option<(&'a [u8], Refusal)>,
}

impl<'a> Batch<'a> {
    pub(crate) fn reusing(spare: Vec<Point<'static>>) -> Self {
        Self { points: spare, refused: 0, example: None }
    }

    /// Replaces the points by those of the next lines, as many as a batch holds.
    pub(crate) fn refill(
        &mut self,
        frames: &mut impl Iterator<Item = Framed<'a>>,
        counters: &ReceiverCounters,
    ) {
        self.points.clear();
        while self.points.len() < BATCH_POINTS_MAX
            && let Some(frame) = frames.next()
        {
            match frame {
                Framed::Line(line) => match plain::parse(line) {
                    Ok(point) => self.points.push(point),
                    Err(error) => self.refuse(line, error.into(), counters),
                },
                Framed::Overlong(line) => self.refuse(line, Refusal::Overlong, counters),
            }
        }
        counters.points_received.add(self.points.len());
    }

    #[cold]
    fn refuse(&mut self, line: &'a [u8], refusal: Refusal, counters: &ReceiverCounters) {
        counters.of(refusal).add(1);
        self.refused += 1;
        self.example.get_or_insert((line, refusal));
    }

    pub(crate) fn points(&self) -> &[Point<'a>] {
        &self.points
    }

    /// How many lines were refused since the batch was made, and one of them.
    pub(crate) fn refused(&self) -> Option<(usize, &'a [u8], Refusal)> {
        self.example.map(|(line, refusal)| (self.refused, line, refusal))
    }

    pub(crate) fn into_spare(self) -> Vec<Point<'static>> {
        let mut points = self.points;
        points.clear();
        // Nothing is mapped: this only ends the borrow, and `collect` keeps the memory.
        points.into_iter().map(|point| Point { name: b"", ..point }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use silverback_formats::carbon::plain::LineError;

    #[test]
    fn points_and_refused_lines_part() {
        let lines = [&b"a 1 60"[..], b"bad", b"b 2 60", b"", b"c 3 60"];
        let mut frames = lines.into_iter().map(Framed::Line).chain([Framed::Overlong(b"long")]);
        let counters = ReceiverCounters::default();
        let mut batch = Batch::reusing(Vec::new());
        batch.refill(&mut frames, &counters);
        let names: Vec<_> = batch.points().iter().map(|point| point.name).collect();
        assert_eq!(names, [b"a", b"b", b"c"]);
        assert_eq!(batch.refused(), Some((3, &b"bad"[..], Refusal::Line(LineError::NoValue))));
        let snapshot = counters.snapshot();
        assert_eq!((snapshot.points_received, snapshot.lines_missing_field), (3, 1));
        assert_eq!((snapshot.lines_blank, snapshot.lines_overlong), (1, 1));
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut frames = std::iter::repeat_n(Framed::Line(b"a 1 60"), BATCH_POINTS_MAX + 1);
        let counters = ReceiverCounters::default();
        let mut batch = Batch::reusing(Vec::new());
        batch.refill(&mut frames, &counters);
        assert_eq!(batch.points().len(), BATCH_POINTS_MAX);
        batch.refill(&mut frames, &counters);
        assert_eq!(batch.points().len(), 1);
        batch.refill(&mut frames, &counters);
        assert!(batch.points().is_empty());
    }

    #[test]
    fn memory_is_reused() {
        let mut batch = Batch::reusing(Vec::with_capacity(BATCH_POINTS_MAX));
        batch.refill(&mut [Framed::Line(b"a 1 60")].into_iter(), &ReceiverCounters::default());
        let spare = batch.into_spare();
        assert!(spare.is_empty() && spare.capacity() >= BATCH_POINTS_MAX);
    }
}

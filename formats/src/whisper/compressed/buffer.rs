//! Points that wait, uncompressed, until their interval of the coarser archive is over.
//!
//! A buffer has two units of one coarser interval each. Which interval a unit
//! stands for follows from the first point in it.

use super::{NO_POINT, Point};

/// The two units of an archive, or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buffer {
    /// Unit 0, then unit 1; a cell of time 0 is empty.
    pub(super) cells: Vec<Point>,
    /// Cells of a unit.
    ratio: usize,
    /// Seconds of a cell.
    step_s: u32,
}

impl Buffer {
    /// An empty buffer between an archive and the next coarser one.
    pub(super) fn between(step_s: u32, coarse_step_s: u32) -> Self {
        let ratio = (coarse_step_s / step_s) as usize;
        Self { cells: vec![NO_POINT; 2 * ratio], ratio, step_s }
    }

    /// Whether the archive has no buffer at all.
    pub(super) const fn is_absent(&self) -> bool {
        self.ratio == 0
    }

    /// Cells of a unit: points of the archive in one of the coarser.
    pub(super) const fn ratio(&self) -> usize {
        self.ratio
    }

    /// Start of the coarser interval of `time_s`, seconds.
    pub(super) const fn coarse_s(&self, time_s: u32) -> u32 {
        time_s - time_s % (self.step_s * self.ratio as u32)
    }

    fn unit(&self, unit: usize) -> &[Point] {
        &self.cells[unit * self.ratio..(unit + 1) * self.ratio]
    }

    /// The interval that a unit stands for; 0 while it is empty.
    pub(super) fn interval_s(&self, unit: usize) -> u32 {
        let first = self.unit(unit).iter().find(|cell| cell.time_s != 0);
        first.map_or(0, |cell| self.coarse_s(cell.time_s))
    }

    /// The intervals of both units.
    pub(super) fn intervals_s(&self) -> [u32; 2] {
        if self.is_absent() { [0; 2] } else { [self.interval_s(0), self.interval_s(1)] }
    }

    /// A point that is not in the cell of its time, or in another interval than its unit.
    pub(super) fn misplaced(&self) -> Option<Point> {
        self.misplaced_cells().next().map(|cell| self.cells[cell])
    }

    /// Empties the cells of all such points.
    pub(super) fn forget_misplaced(&mut self) {
        let cells: Vec<usize> = self.misplaced_cells().collect();
        cells.into_iter().for_each(|cell| self.cells[cell] = NO_POINT);
    }

    fn misplaced_cells(&self) -> impl Iterator<Item = usize> + '_ {
        let units = self.intervals_s();
        let is_misplaced = move |(cell, point): &(usize, &Point)| {
            let (unit, place) = (cell / self.ratio, cell % self.ratio);
            let start_s = self.coarse_s(point.time_s);
            point.time_s != 0
                && (start_s != units[unit] || point.time_s - start_s != place as u32 * self.step_s)
        };
        self.cells.iter().enumerate().filter(is_misplaced).map(|(cell, _)| cell)
    }

    /// Puts a point into its cell of a unit.
    pub(super) fn put(&mut self, unit: usize, point: Point) {
        let cell = (point.time_s - self.coarse_s(point.time_s)) / self.step_s;
        self.cells[unit * self.ratio + cell as usize] = point;
    }

    /// Empties a unit.
    pub(super) fn take(&mut self, unit: usize) -> Vec<Point> {
        let cells = &mut self.cells[unit * self.ratio..(unit + 1) * self.ratio];
        let points = cells.iter().copied().filter(|cell| cell.time_s != 0).collect();
        cells.fill(NO_POINT);
        points
    }

    /// The points in it, in the order of the cells.
    pub fn points(&self) -> impl Iterator<Item = Point> + '_ {
        self.cells.iter().copied().filter(|cell| cell.time_s != 0)
    }
}

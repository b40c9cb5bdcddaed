//! One answer of `/render`, which can be written in pieces.
//!
//! A piece is a run of series, or of rows where a format is a table. Pieces are written without
//! knowledge of each other, so several cores may write at once, and a large answer is never in
//! memory as a whole.

use super::format::{Format, Style};
use super::{csv, dygraph, json, msgpack, pickle, raw, rickshaw};
use crate::budget::Held;
use crate::encode::json::Points;
use crate::refusal::Refusal;
use crate::series::Series;
use crate::stream::{PIECES_AT_ONCE, Pieces};
use std::ops::Range;

/// Bytes that a piece has, about: some hundred microseconds of work.
const PIECE_BYTES: usize = 512 << 10;

/// Series in a format.
#[derive(Debug)]
pub(crate) struct Answer {
    format: Format,
    style: Style,
    list: Vec<Series>,
    /// Which series, or rows, stand in each piece; at least one.
    pieces: Vec<Range<usize>>,
    /// The memory of the series and of pieces that wait to be sent, given back when all is
    /// written.
    _held: Held,
}

impl Answer {
    /// `list` as `style` has it.
    ///
    /// # Errors
    /// When the format has no way to show these series together, and when all requests together
    /// would hold more than they may.
    pub(crate) fn new(
        format: Format,
        style: Style,
        mut list: Vec<Series>,
        mut held: Held,
    ) -> Result<Self, Refusal> {
        match format {
            Format::Json => retain_shown(&mut list, style.points),
            Format::Dygraph => dygraph::check(&list)?,
            _ => {}
        }
        let pieces = match format {
            Format::Dygraph => {
                let bytes = format.rendered_bytes(&list, style.layout);
                let row_bytes = bytes / dygraph::rows(&list).max(1);
                pieces(std::iter::repeat_n(row_bytes, dygraph::rows(&list)))
            }
            _ => pieces(list.iter().map(|series| format.series_bytes(series, style.layout))),
        };
        if pieces.len() > 1 {
            held.add(PIECES_AT_ONCE * PIECE_BYTES)?;
        }
        Ok(Self { format, style, list, pieces, _held: held })
    }

    /// MIME type of the answer.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.format {
            Format::Json | Format::Dygraph | Format::Rickshaw => match self.style.callback {
                Some(_) => "text/javascript",
                None => "application/json",
            },
            Format::Csv => "text/csv",
            Format::Raw => "text/plain",
            Format::Pickle => "application/pickle",
            Format::Msgpack => "application/x-msgpack",
        }
    }

    fn write_range(&self, range: Range<usize>) -> Vec<u8> {
        let (list, style) = (&self.list[..], &self.style);
        match self.format {
            Format::Json => json::write(list, range, style),
            Format::Csv => csv::write(&list[range], &style.zone),
            Format::Raw => raw::write(&list[range]),
            Format::Pickle => pickle::write(list, range),
            Format::Msgpack => msgpack::write(list, range),
            Format::Dygraph => dygraph::write(list, range, style),
            Format::Rickshaw => rickshaw::write(list, range, style),
        }
    }
}

impl Pieces for Answer {
    fn count(&self) -> usize {
        self.pieces.len()
    }

    fn write(&self, piece: usize) -> Vec<u8> {
        self.write_range(self.pieces[piece].clone())
    }
}

/// graphite-web shows nothing at all when no series has a value, and without unknown points no
/// series without known ones.
fn retain_shown(list: &mut Vec<Series>, points: Points) {
    if list.iter().all(|series| series.values.is_empty()) {
        list.clear();
    }
    if points == Points::Known {
        list.retain(|series| series.values.iter().any(|value| !value.is_nan()));
    }
}

/// Runs of units with about [`PIECE_BYTES`] each; one empty run when there is no unit.
fn pieces(units_bytes: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let (mut pieces, mut start, mut end, mut piece_bytes) = (Vec::new(), 0, 0, 0_usize);
    for bytes in units_bytes {
        if end > start && piece_bytes.saturating_add(bytes) > PIECE_BYTES {
            pieces.push(start..end);
            (start, piece_bytes) = (end, 0);
        }
        piece_bytes = piece_bytes.saturating_add(bytes);
        end += 1;
    }
    pieces.push(start..end);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::encode::json::Layout;
    use crate::stats::Stats;
    use jiff::tz::TimeZone;

    const FORMATS: [Format; 7] = [
        Format::Json,
        Format::Csv,
        Format::Raw,
        Format::Pickle,
        Format::Msgpack,
        Format::Dygraph,
        Format::Rickshaw,
    ];

    #[test]
    fn pieces_hold_all_units_in_order() {
        let of = |units: &[usize]| -> Vec<(usize, usize)> {
            let pieces = pieces(units.iter().copied());
            pieces.into_iter().map(|piece| (piece.start, piece.end)).collect()
        };
        assert_eq!(of(&[]), [(0, 0)]);
        assert_eq!(of(&[1, 2]), [(0, 2)]);
        assert_eq!(of(&[usize::MAX, 1, usize::MAX]), [(0, 1), (1, 2), (2, 3)]);
        let half = PIECE_BYTES / 2;
        assert_eq!(of(&[half, half, half, 1]), [(0, 2), (2, 4)]);
    }

    fn style(layout: Layout, callback: Option<&str>, stats: Option<Stats>) -> Style {
        let (points, zone) = (Points::All, TimeZone::UTC);
        Style { points, layout, callback: callback.map(str::to_owned), zone, stats }
    }

    /// However an answer is cut, its pieces are the same text.
    #[test]
    fn pieces_join_to_the_whole() {
        let list: Vec<Series> = (0..7)
            .map(|i| Series::built(format!("a.{i}"), 60, 60, vec![f64::from(i), f64::NAN, 0.5]))
            .collect();
        let styles = || {
            [
                style(Layout::Line, None, None),
                style(Layout::Pretty, Some("cb"), None),
                style(Layout::Line, None, Some(Stats::default())),
                style(Layout::Pretty, None, Some(Stats::default())),
            ]
        };
        for (format, style) in FORMATS.into_iter().flat_map(|f| styles().map(|s| (f, s))) {
            let most = 1000 + format.rendered_bytes(&list, style.layout);
            let held = Budget::new(0).nothing();
            let mut answer = Answer::new(format, style, list.clone(), held).unwrap();
            assert_eq!(answer.count(), 1);
            let whole = answer.write(0);
            let units = answer.pieces[0].end;
            for cut in 1..units {
                answer.pieces = vec![0..cut, cut..units];
                assert_eq!([answer.write(0), answer.write(1)].concat(), whole, "{format:?}");
            }
            assert!(whole.len() <= most, "{format:?}");
        }
    }
}

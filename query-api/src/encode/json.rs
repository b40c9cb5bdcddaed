//! JSON as graphite-web writes it: `, ` and `: ` between things, ASCII only, floats as Python
//! writes them.
//!
//! Unknown and infinite values are `null`: Go's decoder, which Grafana uses, refuses the
//! whole answer for anything else. Written by hand, since this is where a large render spends
//! its time.

use super::format::Style;
use super::number::{NUMBER_ROOM, put_integer, put_number, write_integer};
use crate::consolidate::Consolidation;
use crate::series::Series;
use crate::stats::Stats;
use std::ops::Range;

/// How JSON text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One line.
    Line,
    /// Indented by two spaces, for people.
    Pretty,
}

/// Writes JSON values one after the other; the caller closes what it opens.
#[derive(Debug)]
pub(crate) struct JsonWriter {
    out: Vec<u8>,
    layout: Layout,
    depth: usize,
    /// Whether a value was written since the innermost container was opened.
    has_items: bool,
    /// Whether a key was written and its value was not.
    after_key: bool,
}

impl JsonWriter {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { out: Vec::new(), layout, depth: 0, has_items: false, after_key: false }
    }

    /// A writer that goes on where another one has written an item `depth` containers deep.
    fn resumed(layout: Layout, depth: usize) -> Self {
        Self { depth, has_items: true, ..Self::new(layout) }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Opens `[` or `{`.
    pub(crate) fn open(&mut self, bracket: u8) {
        self.item();
        self.out.push(bracket);
        self.depth += 1;
        self.has_items = false;
    }

    /// Closes with `]` or `}`.
    pub(crate) fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        if self.has_items {
            self.line();
        }
        self.out.push(bracket);
        self.has_items = true;
    }

    pub(crate) fn key(&mut self, key: &str) {
        self.item();
        write_text(&mut self.out, key);
        self.out.extend_from_slice(b": ");
        self.after_key = true;
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.item();
        write_text(&mut self.out, text);
    }

    /// A number, `true` or another word that is JSON as it stands.
    pub(crate) fn raw(&mut self, json: &str) {
        self.item();
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, value: i64) {
        self.item();
        write_integer(&mut self.out, value);
    }

    /// A value of a series; `null` when it is unknown or infinite.
    pub(crate) fn value(&mut self, value: f64, is_integer: bool) {
        self.item();
        write_value(&mut self.out, value, is_integer);
    }

    fn item(&mut self) {
        if self.after_key {
            self.after_key = false;
        } else if self.depth > 0 {
            if self.has_items {
                self.out.push(b',');
                if self.layout == Layout::Line {
                    self.out.push(b' ');
                }
            }
            self.line();
        }
        self.has_items = true;
    }

    fn line(&mut self) {
        if self.layout == Layout::Pretty {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
        }
    }
}

/// Which points of a series are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Points {
    All,
    /// Known ones only; series without any are left out.
    Known,
}

/// The part of a render's answer that shows the series of `range`.
pub(super) fn write(list: &[Series], range: Range<usize>, style: &Style) -> Vec<u8> {
    let stats = style.stats.as_ref();
    let mut points = PointsWriter::new(style);
    write_list(list.len(), range, style, |json, index| {
        let series = &list[index];
        json.open(b'{');
        json.key("target");
        json.text(&series.name);
        json.key("tags");
        json.open(b'{');
        for (tag, value) in series.tags.iter() {
            json.key(tag);
            json.text(value);
        }
        json.close(b'}');
        json.key("datapoints");
        json.open(b'[');
        points.write(json, series);
        json.close(b']');
        if stats.is_some() {
            json.key("meta");
            write_origin(json, series);
        }
        json.close(b'}');
    })
}

/// The part of a list of `len` items that holds those of `range`, with what stands around the
/// list when the first and the last are among them.
pub(super) fn write_list(
    len: usize,
    range: Range<usize>,
    style: &Style,
    mut write_item: impl FnMut(&mut JsonWriter, usize),
) -> Vec<u8> {
    let is_wrapped = style.stats.is_some();
    let mut json = match range.start {
        0 => JsonWriter::new(style.layout),
        _ => JsonWriter::resumed(style.layout, if is_wrapped { 2 } else { 1 }),
    };
    if range.start == 0 {
        if let Some(callback) = &style.callback {
            json.out.extend_from_slice(callback.as_bytes());
            json.out.push(b'(');
        }
        if let Some(stats) = &style.stats {
            write_head(&mut json, stats);
        }
        json.open(b'[');
    }
    let is_last = range.end == len;
    range.for_each(|index| write_item(&mut json, index));
    if is_last {
        json.close(b']');
        if is_wrapped {
            json.close(b'}');
        }
        if style.callback.is_some() {
            json.out.push(b')');
        }
    }
    json.finish()
}

/// What stands before the series when the request asks for more than them, as Metrictank has it.
fn write_head(json: &mut JsonWriter, stats: &Stats) {
    json.open(b'{');
    json.key("version");
    json.text("v0.1");
    json.key("meta");
    json.open(b'{');
    json.key("stats");
    json.open(b'{');
    for (phase, took) in stats.phases() {
        json.key(&format!("executeplan.{phase}.ms"));
        json.value(took.as_micros() as f64 / 1e3, false);
    }
    let counts = [
        ("patterns", stats.patterns),
        ("series-fetch", stats.series),
        ("points-fetch", stats.points),
        ("series-return", stats.answered_series),
        ("points-return", stats.answered_points),
    ];
    for (name, count) in counts {
        json.key(&format!("executeplan.{name}.count"));
        json.value(count as f64, true);
    }
    json.close(b'}');
    json.close(b'}');
    json.key("series");
}

/// What a series was made from, in the words of Metrictank. Grafana knows the name of a
/// consolidator in an older and a newer spelling.
fn write_origin(json: &mut JsonWriter, series: &Series) {
    let at_run_time = match series.consolidation {
        _ if series.grouped == 1 => "NoneConsolidator",
        Consolidation::Average | Consolidation::AverageZero => "AverageConsolidator",
        Consolidation::Sum => "SumConsolidator",
        Consolidation::Min => "MinimumConsolidator",
        Consolidation::Max => "MaximumConsolidator",
        Consolidation::First => "FirstConsolidator",
        Consolidation::Last => "LastConsolidator",
    };
    json.open(b'[');
    for read in series.origin.reads() {
        json.open(b'{');
        let retentions = read.retentions();
        let texts = [
            // Rules have names, policies do not: what a series is kept for tells them apart.
            ("schema-name", retentions.as_str()),
            ("schema-retentions", &retentions),
            ("consolidator-normfetch", read.roll_up()),
            ("consolidate-normfetch", read.roll_up()),
            ("consolidator-rc", at_run_time),
            ("consolidate-rc", at_run_time),
        ];
        for (key, text) in texts {
            json.key(key);
            json.text(text);
        }
        let numbers = [
            ("archive-read", read.archive as i64),
            ("archive-interval", read.step_s()),
            ("aggnum-norm", read.normalized),
            // One is told as zero, since Grafana takes all else for consolidation.
            ("aggnum-rc", if series.grouped == 1 { 0 } else { series.grouped as i64 }),
            ("count", read.series as i64),
        ];
        for (key, number) in numbers {
            json.key(key);
            json.integer(number);
        }
        json.close(b'}');
    }
    json.close(b']');
}

/// Writes the points of one series after the other.
///
/// This is where a large render spends its time. In the common layout the texts of the times,
/// which series mostly share, are kept from series to series.
struct PointsWriter {
    points: Points,
    layout: Layout,
    times: Times,
    scratch: Box<[u8; SCRATCH_LEN]>,
}

/// Few enough bytes to stay in the nearest cache.
const SCRATCH_LEN: usize = 8 << 10;

impl PointsWriter {
    fn new(style: &Style) -> Self {
        let (points, layout) = (style.points, style.layout);
        Self { points, layout, times: Times::default(), scratch: Box::new([0; SCRATCH_LEN]) }
    }

    fn write(&mut self, json: &mut JsonWriter, series: &Series) {
        if (self.points, self.layout) == (Points::All, Layout::Line)
            && let Some(times) = self.times.of(series)
        {
            return write_all_in_line(&mut json.out, series, times, &mut self.scratch);
        }
        for (time_s, value) in series.shown() {
            if self.points == Points::All || !value.is_nan() {
                json.open(b'[');
                json.value(value, series.is_integer);
                json.integer(time_s);
                json.close(b']');
            }
        }
    }
}

/// What stands between two values of a list of points: `, TIME], [`.
type Between = [u8; BETWEEN_LEN];

const BETWEEN_LEN: usize = b", 1234567890], [".len();

/// The times of which that text has this length: ten digits.
const PLAIN_TIMES_S: Range<i64> = 1_000_000_000..10_000_000_000;

/// What stands between the values of series of one grid.
#[derive(Debug, Default)]
struct Times {
    start_s: i64,
    step_s: i64,
    texts: Vec<Between>,
}

impl Times {
    /// The texts for all points that the series shows; `None` when it shows none, or their times
    /// have another number of digits.
    fn of(&mut self, series: &Series) -> Option<&[Between]> {
        let len = series.shown_len();
        let last_s = series.step_s.checked_mul(i64::try_from(len.checked_sub(1)?).ok()?)?;
        let last_s = last_s.checked_add(series.start_s)?;
        if !PLAIN_TIMES_S.contains(&series.start_s) || !PLAIN_TIMES_S.contains(&last_s) {
            return None;
        }
        if (self.start_s, self.step_s) != (series.start_s, series.step_s) {
            (self.start_s, self.step_s) = (series.start_s, series.step_s);
            self.texts.clear();
        }
        for index in self.texts.len()..len {
            let mut room = [0; NUMBER_ROOM];
            put_integer(&mut room, self.start_s + self.step_s * index as i64);
            let mut text = *b", 1234567890], [";
            text[2..12].copy_from_slice(&room[..10]);
            self.texts.push(text);
        }
        self.texts.get(..len)
    }
}

fn write_all_in_line(
    out: &mut Vec<u8>,
    series: &Series,
    times: &[Between],
    scratch: &mut [u8; SCRATCH_LEN],
) {
    const POINT_LEN_MAX: usize = NUMBER_ROOM + BETWEEN_LEN;
    out.push(b'[');
    let mut len = 0;
    for (&value, between) in series.values.iter().zip(times) {
        if len > SCRATCH_LEN - POINT_LEN_MAX {
            out.extend_from_slice(&scratch[..len]);
            len = 0;
        }
        let room = scratch[len..].first_chunk_mut().expect("there is room for a point");
        let value_len = put_value(room, value, series.is_integer);
        len += value_len;
        scratch[len..len + BETWEEN_LEN].copy_from_slice(between);
        len += BETWEEN_LEN;
    }
    // Nothing follows the last one.
    out.extend_from_slice(&scratch[..len - b", [".len()]);
}

/// Writes a value and gives the length of its text; `null` when it is unknown or infinite.
#[inline]
fn put_value(room: &mut [u8; NUMBER_ROOM], value: f64, is_integer: bool) -> usize {
    if value.is_finite() {
        return put_number(room, value, is_integer);
    }
    room[..4].copy_from_slice(b"null");
    4
}

fn write_value(out: &mut Vec<u8>, value: f64, is_integer: bool) {
    let mut room = [0; NUMBER_ROOM];
    let len = put_value(&mut room, value, is_integer);
    out.extend_from_slice(&room[..len]);
}

/// A JSON string, with everything outside printable ASCII escaped.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            ' '..='~' => out.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::encode::{Answer, Format};
    use crate::stream::Pieces;
    use jiff::tz::TimeZone;

    fn text(list: &[Series], points: Points, layout: Layout) -> String {
        let (callback, zone, stats) = (None, TimeZone::UTC, None);
        let style = Style { points, layout, callback, zone, stats };
        let held = Budget::new(0).nothing();
        let answer = Answer::new(Format::Json, style, list.to_vec(), held).unwrap();
        String::from_utf8(answer.write(0)).unwrap()
    }

    fn series(values: &[f64]) -> Series {
        Series::built("a \"é\"".into(), 60, 60, values.to_vec())
    }

    #[test]
    fn lines() {
        let list = [series(&[1.0, f64::NAN, f64::INFINITY, 2.5])];
        assert_eq!(
            text(&list, Points::All, Layout::Line),
            "[{\"target\": \"a \\\"\\u00e9\\\"\", \"tags\": {\"name\": \"a \\\"\\u00e9\\\"\"}, \
             \"datapoints\": [[1.0, 60], [null, 120], [null, 180], [2.5, 240]]}]"
        );
        assert!(text(&list, Points::Known, Layout::Line).contains("[[1.0, 60], [null, 180], [2.5"));
        assert_eq!(text(&[series(&[f64::NAN])], Points::Known, Layout::Line), "[]");
        assert_eq!(text(&[series(&[])], Points::All, Layout::Line), "[]");
        assert_eq!(text(&[], Points::All, Layout::Line), "[]");
        let counts = Series { is_integer: true, ..series(&[3.0]) };
        assert!(text(&[counts], Points::All, Layout::Line).contains("[[3, 60]]"));
    }

    /// Points whose times have ten digits are written another way than all others.
    #[test]
    fn both_ways_to_write_points_agree() {
        let values = [1.0, 1.0, f64::NAN, f64::NAN, -2.5, f64::INFINITY, 1e300, 0.0, -0.0, 7.0];
        for step_s in [1, 60] {
            let at = |start_s| Series { start_s, end_s: i64::MAX, step_s, ..series(&values) };
            let plain = text(&[at(1_000_000_000), at(1_000_000_001)], Points::All, Layout::Line);
            let long = text(&[at(10_000_000_000), at(10_000_000_001)], Points::All, Layout::Line);
            assert_eq!(long.replace("10000000", "1000000"), plain);
            let cut = Series { end_s: 1_000_000_000, ..at(1_000_000_000) };
            assert!(text(&[cut], Points::All, Layout::Line).ends_with(": [[1.0, 1000000000]]}]"));
        }
    }

    #[test]
    fn metrictanks_envelope() {
        let (points, layout, callback) = (Points::All, Layout::Line, None);
        let stats = Stats { series: 3, ..Stats::default() };
        let style = Style { points, layout, callback, zone: TimeZone::UTC, stats: Some(stats) };
        let policy = silverback_engine::schema::Policy {
            archives: silverback_engine::schema::Retention::parse_list("60:10,300:10").unwrap(),
            method: silverback_engine::schema::AggregationMethod::Sum,
            x_files_factor: 0.5,
            extra: silverback_engine::schema::ExtraRollUps::NONE,
        };
        let origin = crate::origin::Origin::read(policy.into(), 1, None);
        let list = [Series { origin, grouped: 7, ..series(&[1.0]) }];
        let json: serde_json::Value = serde_json::from_slice(&write(&list, 0..1, &style)).unwrap();
        assert_eq!(json["version"], "v0.1");
        assert_eq!(json["meta"]["stats"]["executeplan.series-fetch.count"], 3);
        assert_eq!(json["series"][0]["datapoints"][0][1], 60);
        let meta = &json["series"][0]["meta"][0];
        assert_eq!(meta["schema-retentions"], "60s:600s:0:0:true,300s:3000s:0:0:true");
        assert_eq!((&meta["archive-read"], &meta["archive-interval"]), (&1.into(), &300.into()));
        assert_eq!(meta["consolidator-normfetch"], "SumConsolidator");
        assert_eq!(
            (&meta["aggnum-rc"], &meta["consolidate-rc"]),
            (&7.into(), &"AverageConsolidator".into())
        );
        let empty = String::from_utf8(write(&[], 0..0, &style)).unwrap();
        assert!(empty.ends_with("\"series\": []}"), "{empty}");
    }

    #[test]
    fn values_beyond_the_end_are_cut() {
        let list = [Series { end_s: 120, ..series(&[1.0, 2.0, 3.0]) }];
        assert!(text(&list, Points::All, Layout::Line).contains("[[1.0, 60], [2.0, 120]]"));
    }

    #[test]
    fn pretty() {
        let list = [Series::built("a".into(), 60, 60, vec![1.0])];
        let expected = r#"[
  {
    "target": "a",
    "tags": {
      "name": "a"
    },
    "datapoints": [
      [
        1.0,
        60
      ]
    ]
  }
]"#;
        assert_eq!(text(&list, Points::All, Layout::Pretty), expected);
        assert_eq!(text(&[], Points::All, Layout::Pretty), "[]");
    }

    #[test]
    fn strings_are_ascii() {
        let mut out = Vec::new();
        write_text(&mut out, "\u{1f600}\u{7f}\n\u{1}");
        assert_eq!(out, br#""\ud83d\ude00\u007f\n\u0001""#);
    }
}

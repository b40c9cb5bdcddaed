//! MessagePack: the same list of series as in [`pickle`](super::pickle), key by key.

use crate::series::Series;
use silverback_formats::reply::msgpack::Writer;
use std::ops::Range;

/// Keys of one series.
const FIELDS: usize = 9;

/// The part of a render's answer that shows the series of `range`.
pub(super) fn write(list: &[Series], range: Range<usize>) -> Vec<u8> {
    let mut writer = Writer::default();
    if range.start == 0 {
        writer.array(list.len());
    }
    for series in &list[range] {
        writer.map(FIELDS);
        write_fields(&mut writer, series);
    }
    writer.finish()
}

fn write_fields(writer: &mut Writer, series: &Series) {
    writer.text(b"name");
    writer.text(series.name.as_bytes());
    for (key, value) in [("start", series.start_s), ("end", series.end_s), ("step", series.step_s)]
    {
        writer.text(key.as_bytes());
        writer.int(value);
    }
    writer.text(b"values");
    writer.array(series.values.len());
    for &value in series.values.iter() {
        if value.is_nan() {
            writer.nil();
        } else if series.is_integer {
            writer.int(value as i64);
        } else {
            writer.float(value);
        }
    }
    writer.text(b"pathExpression");
    writer.text(series.path_expression.as_bytes());
    writer.text(b"valuesPerPoint");
    writer.int(1);
    writer.text(b"consolidationFunc");
    writer.text(series.consolidation.name().as_bytes());
    writer.text(b"xFilesFactor");
    writer.float(series.x_files_factor);
}

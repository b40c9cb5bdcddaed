//! Pickle: the list of series as graphite-web hands it to another graphite-web.

use crate::series::Series;
use silverback_formats::reply::pickle::Writer;
use std::ops::Range;

/// The part of a render's answer that shows the series of `range`.
pub(super) fn write(list: &[Series], range: Range<usize>) -> Vec<u8> {
    let is_last = range.end == list.len();
    let mut writer = if range.start == 0 { Writer::new() } else { Writer::resumed() };
    if range.start == 0 {
        writer.begin_list();
    }
    for series in &list[range] {
        writer.begin_dict();
        write_fields(&mut writer, series);
        writer.end_dict();
    }
    if !is_last {
        return writer.pause();
    }
    writer.end_list();
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
    writer.begin_list();
    for &value in series.values.iter() {
        if value.is_nan() {
            writer.none();
        } else if series.is_integer {
            writer.int(value as i64);
        } else {
            writer.float(value);
        }
    }
    writer.end_list();
    writer.text(b"pathExpression");
    writer.text(series.path_expression.as_bytes());
    writer.text(b"valuesPerPoint");
    writer.int(1);
    writer.text(b"consolidationFunc");
    writer.text(series.consolidation.name().as_bytes());
    writer.text(b"xFilesFactor");
    writer.float(series.x_files_factor);
}

//! The raw format: a line for each series, `name,start,end,step|v1,v2,…`.

use super::number::write_number;
use crate::series::Series;
use std::io::Write as _;

/// The lines of a list of series; unknown values are `None`.
pub(super) fn write(list: &[Series]) -> Vec<u8> {
    let mut out = Vec::new();
    for series in list {
        let (start_s, end_s, step_s) = (series.start_s, series.end_s, series.step_s);
        write!(out, "{},{start_s},{end_s},{step_s}|", series.name)
            .expect("memory takes every write");
        for (index, &value) in series.values.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if value.is_nan() {
                out.extend_from_slice(b"None");
            } else {
                write_number(&mut out, value, series.is_integer);
            }
        }
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let series = Series::built("a".into(), 60, 60, vec![1.0, f64::NAN, f64::INFINITY]);
        let empty = Series::built("b".into(), 0, 10, vec![]);
        let counts = Series { is_integer: true, ..Series::built("c".into(), 0, 1, vec![2.0]) };
        let text = String::from_utf8(write(&[series, empty, counts])).unwrap();
        assert_eq!(text, "a,60,240,60|1.0,None,inf\nb,0,0,10|\nc,0,1,1|2\n");
        assert_eq!(write(&[]), b"");
    }
}

//! CSV: a line for each point, `name,time,value`, as Python's `csv` module writes it.

use super::number::write_number;
use crate::series::Series;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::Write as _;

/// The lines of a list of series, with times as the clocks of `zone` show them.
pub(super) fn write(list: &[Series], zone: &TimeZone) -> Vec<u8> {
    let mut out = Vec::new();
    for series in list {
        let name = field(&series.name);
        let mut time_s = series.start_s;
        for &value in series.values.iter() {
            out.extend_from_slice(&name);
            out.push(b',');
            write_time(&mut out, time_s, zone);
            out.push(b',');
            if !value.is_nan() {
                write_number(&mut out, value, series.is_integer);
            }
            out.extend_from_slice(b"\r\n");
            time_s = time_s.saturating_add(series.step_s);
        }
    }
    out
}

/// Text as a field: in quotes when it could be taken for more than one.
fn field(text: &str) -> Vec<u8> {
    if !text.contains([',', '"', '\r', '\n']) {
        return text.as_bytes().to_vec();
    }
    format!("\"{}\"", text.replace('"', "\"\"")).into_bytes()
}

fn write_time(out: &mut Vec<u8>, time_s: i64, zone: &TimeZone) {
    let time_s = time_s.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let time = Timestamp::from_second(time_s).expect("the time was clamped");
    let t = zone.to_datetime(time);
    let (year, month, day) = (t.year(), t.month(), t.day());
    let (hour, minute, second) = (t.hour(), t.minute(), t.second());
    write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        .expect("memory takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(series: Series, zone: &TimeZone) -> String {
        String::from_utf8(write(&[series], zone)).unwrap()
    }

    #[test]
    fn lines() {
        let series = Series::built("a".into(), 0, 60, vec![1.0, f64::NAN, f64::NEG_INFINITY]);
        let expected = "a,1970-01-01 00:00:00,1.0\r\na,1970-01-01 00:01:00,\r\n\
                        a,1970-01-01 00:02:00,-inf\r\n";
        assert_eq!(text(series.clone(), &TimeZone::UTC), expected);
        let counts = Series { is_integer: true, ..series };
        assert!(text(counts, &TimeZone::UTC).starts_with("a,1970-01-01 00:00:00,1\r\n"));
    }

    #[test]
    fn names_that_hold_separators_are_quoted() {
        let of = |name: &str| {
            let series = Series::built(name.into(), 0, 60, vec![1.0]);
            text(series, &TimeZone::UTC).split(",1970").next().unwrap().to_owned()
        };
        assert_eq!(of("f(a b)"), "f(a b)");
        assert_eq!(of("f(a,b)"), "\"f(a,b)\"");
        assert_eq!(of("f(\"a\")"), "\"f(\"\"a\"\")\"");
        assert_eq!(of("a\nb"), "\"a\nb\"");
    }

    #[test]
    fn times_beyond_the_calendar_are_its_ends() {
        let series = Series::built("a".into(), i64::MAX - 1, 60, vec![1.0, 2.0]);
        assert_eq!(text(series, &TimeZone::UTC).matches("a,9999-12-30").count(), 2);
    }
}

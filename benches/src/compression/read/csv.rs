//! CSV: a line a point (`name,time,value`, as `/render?format=csv` answers), or a line a time
//! (`time` and a column for each series, named in the first line).
//!
//! Times are Unix seconds, Unix milliseconds, `2026-11-23` or `2026-11-23 10:00:00`, in UTC. An
//! empty value is none, and so are `NaN`, `NA`, `null`, `None` and `-`. Fields may be quoted; a
//! quoted comma is part of the field, and two quotes in a row are one. Empty fields behind the last
//! name are left out, and so is a byte order mark.

use crate::compression::set::Series;
use crate::error::{BenchError, Trying};
use std::collections::BTreeMap;
use std::path::Path;

/// Points by name.
type Points = BTreeMap<String, Vec<(u32, f64)>>;

/// The series of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Series>, BenchError> {
    let text = std::fs::read_to_string(path).trying(path.display().to_string())?;
    let problem = |(line, problem)| BenchError::DataSet { path: path.to_owned(), line, problem };
    let points = parse(&text).map_err(problem)?;
    let series =
        points.into_iter().filter_map(|(name, points)| Series::from_points(name, None, points));
    let series: Vec<Series> = series.collect();
    if series.is_empty() { Err(problem((1, "no values"))) } else { Ok(series) }
}

/// The points of a text, or the line that is none and why.
fn parse(text: &str) -> Result<Points, (usize, &'static str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).peekable();
    let first = lines.peek().map(|(_, line)| fields(line)).unwrap_or_default();
    // A line a time has its names in the first line, over a time in the first column.
    let is_long = matches!(first.as_slice(), [_, at, _, rest @ ..]
        if time(at).is_some() && rest.iter().all(String::is_empty));
    let mut header = if is_long { Vec::new() } else { first };
    let names = header.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    header.truncate(names);
    let is_long = is_long || is_header_of_points(&header);
    if !header.is_empty() {
        lines.next();
    }
    let mut points = Points::new();
    for (at, line) in lines {
        let mut fields = fields(line);
        let columns = if is_long { 3 } else { header.len() };
        while fields.len() > columns && fields.last().is_some_and(String::is_empty) {
            fields.pop();
        }
        if is_long {
            let [name, time_text, value] = fields.as_slice() else {
                return Err((at, "not `name,time,value`"));
            };
            add(&mut points, name, time_text, value).map_err(|problem| (at, problem))?;
            continue;
        }
        let Some((time_text, values)) = fields.split_first() else { continue };
        if fields.len() != header.len() {
            return Err((at, "not as many fields as the first line has"));
        }
        for (name, value) in header[1..].iter().zip(values) {
            add(&mut points, name, time_text, value).map_err(|problem| (at, problem))?;
        }
    }
    Ok(points)
}

fn is_header_of_points(header: &[String]) -> bool {
    let names = |at: usize, names: &[&str]| {
        header.get(at).is_some_and(|name| names.contains(&name.to_ascii_lowercase().as_str()))
    };
    header.len() == 3 && names(1, &["time", "timestamp", "date"]) && names(2, &["value"])
}

fn add(points: &mut Points, name: &str, at: &str, value: &str) -> Result<(), &'static str> {
    let time_s = time(at).ok_or("not a time: Unix seconds or 2026-11-23 10:00:00")?;
    let series = points.entry(name.to_owned()).or_default();
    if !NONE.iter().any(|none| value.eq_ignore_ascii_case(none)) {
        let value: f64 = value.parse().map_err(|_| "not a number")?;
        series.push((time_s, value));
    }
    Ok(())
}

/// Values that say that there is none.
const NONE: [&str; 7] = ["", "nan", "-nan", "na", "null", "none", "-"];

/// The fields of a line, without their quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("there is one from the start");
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields.into_iter().map(|field| field.trim().to_owned()).collect()
}

/// Unix seconds.
fn time(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse::<f64>() {
        let valid = 0.0..=f64::from(u32::MAX);
        // What is no second any more is one of milliseconds.
        let seconds = [number, number / 1000.0].into_iter().find(|second| valid.contains(second));
        return seconds.map(|seconds| seconds as u32);
    }
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let numbers = |text: &str, between: char| -> Option<[i64; 3]> {
        let numbers: Result<Vec<i64>, _> = text.split(between).map(str::parse).collect();
        numbers.ok()?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let time = time.trim_end_matches('Z').trim_end_matches("+00:00");
    let whole = time.split_once('.').map_or(time, |(whole, _)| whole);
    let [hour, minute, second] = numbers(whole, ':')?;
    let valid = (1970..=2105).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let days = valid.then(|| days_before(year, month) + day - 1)?;
    u32::try_from(((days * 24 + hour) * 60 + minute) * 60 + second).ok()
}

/// Days from 1970 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30];
    years + months.iter().take(month as usize - 1).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &[(u32, f64)])]) {
        let points = parse(text).unwrap();
        let found: Vec<_> =
            points.iter().map(|(name, points)| (name.as_str(), points.as_slice())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn both_forms_are_read() {
        check(
            "a.b,60,1\na.b,120,\n\"c,d\",60,2.5\n",
            &[("a.b", &[(60, 1.0)]), ("c,d", &[(60, 2.5)])],
        );
        check("name,time,value\na,2026-11-23 10:00:00,1e3\n", &[("a", &[(1_795_428_000, 1e3)])]);
        check(
            "time,x,y\n60,1,2\n120,,4\n",
            &[("x", &[(60, 1.0)]), ("y", &[(60, 2.0), (120, 4.0)])],
        );
        check("x,date,value\na,1972-03-01T00:00:01Z,0\n", &[("a", &[(68_256_001, 0.0)])]);
    }

    #[test]
    fn what_programs_write_besides_is_read() {
        let one: &[(&str, &[(u32, f64)])] = &[("x", &[(60, 1.0)])];
        check("\u{feff}time,x\r\n60,1\r\n", one);
        check("time,x,\n60,1,\n120,NaN,\n", one);
        check("time,x\n60,1,,\n120,null\n\n", one);
        check("\u{feff}x,60,1,\n", one);
        check("time,\"a \"\"b\"\", c\"\n\"60\",\"1\"\n", &[("a \"b\", c", &[(60, 1.0)])]);
        check("time,x\n1970-01-02,1\n", &[("x", &[(86_400, 1.0)])]);
        check("time,x\n1970-01-01T00:01:00.250+00:00,1\n", one);
        check("time,x\n1700000000123,1\n", &[("x", &[(1_700_000_000, 1.0)])]);
        check("time,x\n", &[]);
        check("", &[]);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        assert_eq!(parse("a,60,1\na,60,x\n"), Err((2, "not a number")));
        assert_eq!(parse("time,x\n60,1,2\n").unwrap_err().0, 2);
        assert_eq!(parse("time,x\n\nnoon,1\n").unwrap_err().0, 3);
        assert_eq!(parse("time,x\n1970-01-32,1\n").unwrap_err().0, 2);
        assert_eq!(parse("time,x\n60\n").unwrap_err().0, 2);
    }
}

//! CSV: a line a point (`name,time,value`, as `/render?format=csv` answers), or a line a time
//! (`time` and a column for each series, named in the first line).
//!
//! Times are Unix seconds or `2026-11-23 10:00:00`, in UTC. An empty value is none. Fields may be
//! quoted; a quoted comma is part of the field.

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
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).peekable();
    let first = lines.peek().map(|(_, line)| fields(line)).unwrap_or_default();
    // A line a time has its names in the first line, over a time in the first column.
    let is_long = first.len() == 3 && time(&first[1]).is_some();
    let header = if is_long { Vec::new() } else { first };
    let is_long = is_long || is_header_of_points(&header);
    if !header.is_empty() {
        lines.next();
    }
    let mut points = Points::new();
    for (at, line) in lines {
        let fields = fields(line);
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
    if !value.is_empty() {
        series.push((time_s, value.parse().map_err(|_| "not a number")?));
    }
    Ok(())
}

/// The fields of a line, without their quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().expect("there is one from the start").push(other),
        }
    }
    fields.into_iter().map(|field| field.trim().to_owned()).collect()
}

/// Unix seconds.
fn time(text: &str) -> Option<u32> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (0.0..=f64::from(u32::MAX)).contains(&seconds).then_some(seconds as u32);
    }
    let (date, time) = text.split_once([' ', 'T'])?;
    let numbers = |text: &str, between: char| -> Option<[i64; 3]> {
        let numbers: Result<Vec<i64>, _> = text.split(between).map(str::parse).collect();
        numbers.ok()?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.trim_end_matches('Z'), ':')?;
    let valid = (1970..=2105).contains(&year) && (1..=12).contains(&month);
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
    fn mistakes_are_named_with_their_line() {
        assert_eq!(parse("a,60,1\na,60,x\n"), Err((2, "not a number")));
        assert_eq!(parse("time,x\n60,1,2\n").unwrap_err().0, 2);
        assert_eq!(parse("time,x\n\nnoon,1\n").unwrap_err().0, 3);
    }
}

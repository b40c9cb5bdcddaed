//! Times in requests: `-1h30min`, `noon_yesterday`, `20231114`, epoch seconds.
//!
//! The grammar is graphite-web's: a reference, optionally followed by one sign and offsets.
//! The only difference is that `12am` is midnight and `12pm` is noon.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};

/// Why a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// No rule of the grammar fits.
    #[error("Unknown day reference: {0}")]
    Reference(String),
    /// An offset whose unit is missing or unknown.
    #[error("Invalid offset unit '{0}'")]
    Unit(String),
    /// An offset without a number in front of its unit.
    #[error("Invalid offset: expected a number before {0:?}")]
    Number(String),
    /// A month name without a day.
    #[error("Day of month required after month name")]
    DayMissing,
    /// A month number that no calendar has.
    #[error("month must be in 1..12")]
    Month,
    /// A day or time that does not exist, or lies outside what can be counted.
    #[error("Time is out of range: {0}")]
    Range(String),
}

/// Reads a time as Unix seconds. Relative ones start at `now_s`; civil ones are read in `zone`.
///
/// # Errors
/// When the text is not a time, or one that no calendar has: those could not be calculated with.
pub fn parse_time(text: &str, now_s: i64, zone: &TimeZone) -> Result<i64, TimeError> {
    let time_s = read_time(text, now_s, zone)?;
    match Timestamp::from_second(time_s) {
        Ok(_) => Ok(time_s),
        Err(_) => Err(TimeError::Range(text.to_owned())),
    }
}

fn read_time(text: &str, now_s: i64, zone: &TimeZone) -> Result<i64, TimeError> {
    let text: String =
        text.trim().to_lowercase().chars().filter(|c| !matches!(c, ' ' | '_' | ',')).collect();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !is_date(&text) {
        return text.parse().map_err(|_| TimeError::Range(text));
    }
    let (reference, offset) = match text.find('+').or_else(|| text.find('-')) {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let reference_s = parse_reference(reference, now_s, zone)?;
    reference_s.checked_add(parse_offset(offset)?).ok_or_else(|| TimeError::Range(text.clone()))
}

/// Reads a signed offset such as `-1h30min` as seconds; the sign holds for all parts and is
/// plus when it is left out.
///
/// # Errors
/// When the text is not an offset.
pub fn parse_offset(text: &str) -> Result<i64, TimeError> {
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let mut total_s: i64 = 0;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(prefix_len(rest, |c| c.is_ascii_digit()));
        let (unit, next) = after.split_at(prefix_len(after, char::is_alphabetic));
        if digits.is_empty() {
            return Err(TimeError::Number(after.to_owned()));
        }
        let out_of_range = || TimeError::Range(text.to_owned());
        let count: i64 = digits.parse().map_err(|_| out_of_range())?;
        let part_s = count.checked_mul(unit_s(unit)?).ok_or_else(out_of_range)?;
        total_s = total_s.checked_add(part_s).ok_or_else(out_of_range)?;
        rest = next;
    }
    Ok(sign * total_s)
}

/// Seconds of a unit, known by its first letters.
fn unit_s(unit: &str) -> Result<i64, TimeError> {
    const UNITS: [(&str, i64); 7] = [
        ("s", 1),
        ("min", 60),
        ("h", 3600),
        ("d", 86_400),
        ("w", 7 * 86_400),
        ("mon", 30 * 86_400),
        ("y", 365 * 86_400),
    ];
    let unit_lower = unit.to_lowercase();
    let known = UNITS.iter().find(|(prefix, _)| unit_lower.starts_with(prefix));
    known.map(|&(_, seconds)| seconds).ok_or_else(|| TimeError::Unit(unit.to_owned()))
}

fn parse_reference(reference: &str, now_s: i64, zone: &TimeZone) -> Result<i64, TimeError> {
    if reference.is_empty() || reference == "now" {
        return Ok(now_s);
    }
    let out_of_range = || TimeError::Range(reference.to_owned());
    let now = Timestamp::from_second(now_s).map_err(|_| out_of_range())?.to_zoned(zone.clone());
    let (hour, minute, day) =
        split_time(reference).ok_or_else(|| TimeError::Reference(reference.to_owned()))?;
    let date = parse_day(day, &now, reference)?;
    let time = i8::try_from(hour).ok().zip(i8::try_from(minute).ok());
    let time = time.and_then(|(hour, minute)| jiff::civil::Time::new(hour, minute, 0, 0).ok());
    let civil = date.to_datetime(time.ok_or_else(out_of_range)?);
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    // Read a clock time that happens twice, or never, by the standard offset: the one that
    // holds after clocks went back, and before they go forward.
    let offset = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    };
    offset.to_timestamp(civil).map(|t| t.as_second()).map_err(|_| out_of_range())
}

/// Hour, minute and what follows the time of day.
fn split_time(reference: &str) -> Option<(u32, u32, &str)> {
    const NAMED: [(&str, u32); 3] = [("midnight", 0), ("noon", 12), ("teatime", 16)];
    for (name, hour) in NAMED {
        if let Some(day) = reference.strip_prefix(name) {
            return Some((hour, 0, day));
        }
    }
    let (digits, rest) = reference.split_at(prefix_len(reference, |c| c.is_ascii_digit()));
    let hour: Option<u32> = (1..=2).contains(&digits.len()).then(|| digits.parse().ok()).flatten();
    let Some(hour) = hour else { return Some((0, 0, reference)) };
    if let Some(rest) = rest.strip_prefix(':') {
        let len = prefix_len(rest, |c| c.is_ascii_digit()).min(2);
        let minute: u32 = rest[..len].parse().ok()?;
        return match split_meridiem(&rest[len..], hour) {
            Some((hour, day)) => Some((hour, minute, day)),
            None => Some((hour, minute, &rest[len..])),
        };
    }
    match split_meridiem(rest, hour) {
        Some((hour, day)) => Some((hour, 0, day)),
        None => Some((0, 0, reference)),
    }
}

/// The hour after `am` or `pm`, and what follows.
fn split_meridiem(text: &str, hour: u32) -> Option<(u32, &str)> {
    if let Some(rest) = text.strip_prefix("am") {
        Some((if hour == 12 { 0 } else { hour }, rest))
    } else if let Some(rest) = text.strip_prefix("pm") {
        Some((if hour == 12 { 12 } else { (hour + 12) % 24 }, rest))
    } else {
        None
    }
}

fn parse_day(day: &str, now: &Zoned, reference: &str) -> Result<Date, TimeError> {
    let today = now.date();
    let out_of_range = || TimeError::Range(reference.to_owned());
    match day {
        "" | "today" => return Ok(today),
        "yesterday" => return today.checked_sub(1.day()).map_err(|_| out_of_range()),
        "tomorrow" => return today.checked_add(1.day()).map_err(|_| out_of_range()),
        _ => {}
    }
    let new =
        |year: i16, month: i8, day: i8| Date::new(year, month, day).map_err(|_| out_of_range());
    if let Some((month, day, year)) = slashed(day) {
        if !(1..=12).contains(&month) {
            return Err(TimeError::Month);
        }
        let year = if year < 1900 { year + 1900 } else { year };
        return new(if year < 1970 { year + 100 } else { year }, month, day);
    }
    if is_date(day) {
        let parts = (day[..4].parse(), day[4..6].parse(), day[6..].parse());
        let (Ok(year), Ok(month), Ok(day)) = parts else { return Err(out_of_range()) };
        if !(1..=12).contains(&month) {
            return Err(TimeError::Month);
        }
        return new(year, month, day);
    }
    if let Some(month) = position_of(&MONTHS, day) {
        let digits = &day[prefix_len(day, |c| !c.is_ascii_digit())..];
        if digits.is_empty() || digits.len() > 2 {
            return Err(TimeError::DayMissing);
        }
        let day = digits.parse().map_err(|_| out_of_range())?;
        return new(today.year(), month + 1, day);
    }
    if let Some(weekday) = position_of(&WEEKDAYS, day) {
        let weekday = Weekday::from_monday_zero_offset(weekday).map_err(|_| out_of_range())?;
        let ago = today.weekday().since(weekday);
        return today.checked_sub(i32::from(ago).days()).map_err(|_| out_of_range());
    }
    Err(TimeError::Reference(reference.to_owned()))
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Which of `names` the text begins with.
fn position_of(names: &[&str], text: &str) -> Option<i8> {
    let index = names.iter().position(|name| text.starts_with(name))?;
    i8::try_from(index).ok()
}

/// `M/D/YY` or `M/D/YYYY`.
fn slashed(text: &str) -> Option<(i8, i8, i16)> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    match parts.next() {
        Some(_) => None,
        None => Some((month.parse().ok()?, day.parse().ok()?, year.parse().ok()?)),
    }
}

/// Whether eight digits are to be read as `YYYYMMDD` instead of epoch seconds.
fn is_date(text: &str) -> bool {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|s| s.parse::<u32>().ok());
    text.len() == 8
        && text.bytes().all(|b| b.is_ascii_digit())
        && part(0..4).is_some_and(|year| year > 1900)
        && part(4..6).is_some_and(|month| month < 13)
        && part(6..8).is_some_and(|day| day < 32)
}

/// Bytes of the longest prefix of characters that satisfy `is`.
fn prefix_len(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14 22:13:20 UTC, a Tuesday.
    const NOW_S: i64 = 1_700_000_000;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let expected: Timestamp = expected.parse().unwrap();
        assert_eq!(parse_time(text, NOW_S, &TimeZone::UTC), Ok(expected.as_second()), "{text}");
    }

    #[test]
    fn relative() {
        for text in ["-10min", "-10minutes", "now-600s", "-10 min", "NOW-10MIN", "1699999400"] {
            check(text, "2023-11-14T22:03:20Z");
        }
        check("", "2023-11-14T22:13:20Z");
        check("-", "2023-11-14T22:13:20Z");
        check("-1h30min", "2023-11-14T20:43:20Z");
        check("-1w", "2023-11-07T22:13:20Z");
        check("-1mon", "2023-10-15T22:13:20Z");
        check("-1y", "2022-11-14T22:13:20Z");
        check("+1d", "2023-11-15T22:13:20Z");
    }

    #[test]
    fn civil() {
        let midnight = [
            "20231114",
            "11/14/23",
            "11/14/2023",
            "midnight",
            "today",
            "nov14",
            "november 14",
            "tuesday",
            "tue",
            "midnight_tomorrow-1d",
            "12am",
            "12:00am",
        ];
        for text in midnight {
            check(text, "2023-11-14T00:00:00Z");
        }
        for text in ["22:05_20231114", "22:05 20231114", "10:05pm"] {
            check(text, "2023-11-14T22:05:00Z");
        }
        for text in ["noon", "12pm", "12:00pm", "12:00", "noon+0s"] {
            check(text, "2023-11-14T12:00:00Z");
        }
        check("noon+300s", "2023-11-14T12:05:00Z");
        for text in ["6pm_today", "6pm", "18:00", "6:00pm"] {
            check(text, "2023-11-14T18:00:00Z");
        }
        check("6am", "2023-11-14T06:00:00Z");
        check("6:5", "2023-11-14T06:05:00Z");
        check("teatime", "2023-11-14T16:00:00Z");
        check("noon_yesterday", "2023-11-13T12:00:00Z");
        check("noonyesterday", "2023-11-13T12:00:00Z");
        check("monday", "2023-11-13T00:00:00Z");
        check("wed", "2023-11-08T00:00:00Z");
        check("dec1", "2023-12-01T00:00:00Z");
        check("1/2/70", "1970-01-02T00:00:00Z");
        check("20231114+22h", "2023-11-14T22:00:00Z");
    }

    #[test]
    fn refused() {
        let wrong = [
            "-5m",
            "-0.5h",
            "-5min-5min",
            "-5min+1min",
            "5min",
            "banana",
            "nov",
            "1699999400.5",
            "22:05:30_20231114",
            "13/40/23",
            "feb30",
            "25:00_today",
            "noon+yesterday",
            "nov123",
            "-5fortnights",
            "99999999999999999999",
            "-99999999999999999999s",
            "-999999999999999y",
            "9223372036854775807",
            "-9223372036854775807s",
            "now+9000y",
            "12:",
            "1/2/3/4",
            "é",
            "12:é",
        ];
        for text in wrong {
            assert!(parse_time(text, NOW_S, &TimeZone::UTC).is_err(), "{text}");
        }
    }

    /// Clocks in Berlin went back at 03:00 on 2023-10-29 and forward at 02:00 on 2023-03-26.
    #[test]
    fn clock_changes_are_read_by_the_standard_offset() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| parse_time(text, NOW_S, &berlin).unwrap();
        let utc = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        assert_eq!(at("02:30_20231029"), utc("2023-10-29T01:30:00Z"));
        assert_eq!(at("02:30_20230326"), utc("2023-03-26T01:30:00Z"));
        assert_eq!(at("midnight"), utc("2023-11-13T23:00:00Z"));
    }
}

//! Units of the calendar, to the begin of which times are moved back.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    /// A week, and the day it begins with, 1 for Monday.
    Week(i8),
    Month,
    Year,
}

impl Unit {
    /// The unit of this name: by its first letters, `weeks3` for a week from Wednesday on.
    pub(super) fn named(text: &str) -> Option<Self> {
        let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_letters = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase());
        if !is_letters {
            return None;
        }
        let is = |full: &str| full.starts_with(name);
        let unit = match name.len() {
            _ if is("seconds") => Self::Second,
            _ if is("hours") => Self::Hour,
            _ if is("days") => Self::Day,
            _ if is("weeks") => Self::Week(1),
            _ if is("years") => Self::Year,
            2.. if is("minutes") => Self::Minute,
            2.. if is("months") => Self::Month,
            _ => return None,
        };
        match (unit, &text[name.len()..]) {
            (unit, "") => Some(unit),
            (Self::Week(_), digits) => {
                let weekday = digits.parse().ok().filter(|day| (1..=7).contains(day));
                weekday.map(Self::Week)
            }
            _ => None,
        }
    }

    /// The begin of the unit that a time lies in; the time itself when it is beyond the
    /// calendar.
    pub(super) fn floor(self, time_s: i64, zone: &TimeZone) -> i64 {
        let floored = || {
            let time = Timestamp::from_second(time_s).ok()?.to_zoned(zone.clone());
            self.begin(&time).map(|begin| begin.timestamp().as_second())
        };
        floored().unwrap_or(time_s)
    }

    fn begin(self, time: &Zoned) -> Option<Zoned> {
        let day = || time.start_of_day().ok();
        let seconds = i64::from(time.second());
        let minutes = i64::from(time.minute());
        match self {
            Self::Second => Some(time.clone()),
            Self::Minute => time.checked_sub(seconds.seconds()).ok(),
            Self::Hour => time.checked_sub((minutes * 60 + seconds).seconds()).ok(),
            Self::Day => day(),
            Self::Week(first) => {
                let today = time.weekday().to_monday_one_offset();
                let back = i64::from((today - first).rem_euclid(7));
                time.checked_sub(back.days()).ok()?.start_of_day().ok()
            }
            Self::Month => time.first_of_month().ok()?.start_of_day().ok(),
            Self::Year => time.first_of_year().ok()?.start_of_day().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, unit) in [
            ("s", Unit::Second),
            ("min", Unit::Minute),
            ("minutes", Unit::Minute),
            ("mon", Unit::Month),
            ("day", Unit::Day),
            ("weeks", Unit::Week(1)),
            ("weeks7", Unit::Week(7)),
            ("y", Unit::Year),
        ] {
            assert_eq!(Unit::named(text), Some(unit), "{text}");
        }
        for text in ["", "m", "bogus", "1h", "weeks8", "weeks0", "days3", "Days", "hoursx"] {
            assert_eq!(Unit::named(text), None, "{text}");
        }
    }

    #[test]
    fn begins() {
        let begin = |unit: Unit, zone: &str| {
            let zone = TimeZone::get(zone).unwrap();
            let begin_s = unit.floor(1_700_000_000, &zone);
            Timestamp::from_second(begin_s).unwrap().to_string()
        };
        assert_eq!(begin(Unit::Minute, "UTC"), "2023-11-14T22:13:00Z");
        assert_eq!(begin(Unit::Hour, "Asia/Kolkata"), "2023-11-14T21:30:00Z");
        assert_eq!(begin(Unit::Day, "America/New_York"), "2023-11-14T05:00:00Z");
        assert_eq!(begin(Unit::Week(1), "UTC"), "2023-11-13T00:00:00Z");
        assert_eq!(begin(Unit::Week(3), "UTC"), "2023-11-08T00:00:00Z");
        assert_eq!(begin(Unit::Month, "UTC"), "2023-11-01T00:00:00Z");
        assert_eq!(begin(Unit::Year, "UTC"), "2023-01-01T00:00:00Z");
        assert_eq!(Unit::Day.floor(i64::MIN, &TimeZone::UTC), i64::MIN);
    }
}

//! Archives, and the text that lists them: `10s:6h,1m:30d`.
//!
//! The text is read as go-carbon reads it. What go-carbon accepts but cannot
//! create a file for (a zero step, archives that do not fit together) is
//! refused here, where a person can still see it.

use std::fmt;

/// Largest step, and largest number of points: what whisper files can hold.
const PART_MAX: i64 = i32::MAX as i64;
/// Longest reach in seconds: the width of the field in a whisper file.
const REACH_S_MAX: i64 = u32::MAX as i64;

/// One archive: a step and how many points of it are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retention {
    /// Seconds per point.
    pub step_s: u32,
    /// Points kept.
    pub points: u32,
}

impl Retention {
    /// Seconds that the archive reaches back.
    #[must_use]
    pub fn reach_s(self) -> i64 {
        i64::from(self.step_s) * i64::from(self.points)
    }

    /// Reads a list of archives, such as `60s:1d,5m:30d`, finest first in the answer.
    ///
    /// `60:1440` is 60 seconds a point and 1440 points; as soon as a unit stands on either
    /// side, both sides are lengths of time. Units are `s m h d w y`.
    ///
    /// ```
    /// use silverback_engine::schema::Retention;
    ///
    /// let archives = Retention::parse_list("5m:30d, 60s:1d").unwrap();
    /// assert_eq!(archives[0], Retention { step_s: 60, points: 1440 });
    /// assert_eq!(archives[1], Retention { step_s: 300, points: 8640 });
    /// ```
    ///
    /// # Errors
    /// When the text does not follow the grammar, and when the archives do not fit together.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, RetentionError> {
        let mut archives: Vec<Self> =
            text.split(',').map(|part| Self::parse(part.trim())).collect::<Result<_, _>>()?;
        archives.sort_by_key(|archive| archive.step_s);
        for pair in archives.windows(2) {
            check_pair(pair[0], pair[1])?;
        }
        Ok(archives)
    }

    fn parse(text: &str) -> Result<Self, RetentionError> {
        let mut parts = text.split(':');
        let (Some(step), Some(span), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(RetentionError::Shape { text: text.to_owned() });
        };
        if let (Ok(step_s), Ok(points)) = (step.parse::<i64>(), span.parse::<i64>()) {
            return Self::checked(step_s, points, text);
        }
        let step_s = parse_length(step)?;
        let span_s = parse_length(span)?;
        Self::checked(step_s, span_s.checked_div(step_s).unwrap_or(0), text)
    }

    fn checked(step_s: i64, points: i64, text: &str) -> Result<Self, RetentionError> {
        if !(1..=PART_MAX).contains(&step_s) {
            return Err(RetentionError::Step { text: text.to_owned(), step_s });
        }
        if !(1..=PART_MAX).contains(&points) {
            return Err(RetentionError::Points { text: text.to_owned(), points });
        }
        if step_s * points > REACH_S_MAX {
            return Err(RetentionError::Reach { text: text.to_owned(), reach_s: step_s * points });
        }
        let narrow = |value: i64| u32::try_from(value).expect("at most i32::MAX");
        Ok(Self { step_s: narrow(step_s), points: narrow(points) })
    }
}

/// Seconds per point and points, the form that means the same in every Graphite program.
impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.step_s, self.points)
    }
}

/// Seconds in `30d`, or in a plain integer that fits 32 bits. Letters after the
/// first unit are skipped, as go-carbon skips them: `1dd` is a day.
fn parse_length(text: &str) -> Result<i64, RetentionError> {
    if let Ok(seconds) = text.parse::<i32>() {
        return Ok(i64::from(seconds));
    }
    let refused = || RetentionError::Length { text: text.to_owned() };
    let units_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (digits, units) = text.split_at(units_at);
    if !units.bytes().all(|unit| b"smhdwy".contains(&unit)) {
        return Err(refused());
    }
    let unit_s = match units.as_bytes()[0] {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        b'w' => 604_800,
        _ => 31_536_000,
    };
    let count: i32 = digits.parse().map_err(|_| refused())?;
    Ok(i64::from(count) * unit_s)
}

/// Whisper's rules for an archive and the next coarser one.
fn check_pair(fine: Retention, coarse: Retention) -> Result<(), RetentionError> {
    if fine.step_s == coarse.step_s {
        return Err(RetentionError::SameStep { step_s: fine.step_s });
    }
    if !coarse.step_s.is_multiple_of(fine.step_s) {
        return Err(RetentionError::NotDivisible { fine, coarse });
    }
    if coarse.reach_s() <= fine.reach_s() {
        return Err(RetentionError::NotLonger { fine, coarse });
    }
    if fine.points < coarse.step_s / fine.step_s {
        return Err(RetentionError::TooFewPoints { fine, coarse });
    }
    Ok(())
}

/// Why a list of archives is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// Not two parts with a colon between.
    #[error("retention {text:?} is not of the form step:length, such as 60s:1d or 60:1440")]
    Shape {
        /// The archive as written.
        text: String,
    },
    /// A part is neither an integer nor an integer with a unit.
    #[error(
        "length of time {text:?} is not an integer up to 2147483647 with a unit of s, m, h, d, w or y, such as 10s or 30d"
    )]
    Length {
        /// The part as written.
        text: String,
    },
    /// The step is zero, negative or too large.
    #[error("retention {text:?} has a step of {step_s} seconds, expected 1 to 2147483647")]
    Step {
        /// The archive as written.
        text: String,
        /// Its step in seconds.
        step_s: i64,
    },
    /// The archive would keep nothing, or too much.
    #[error("retention {text:?} keeps {points} points, expected 1 to 2147483647")]
    Points {
        /// The archive as written.
        text: String,
        /// Points it would keep.
        points: i64,
    },
    /// The archive reaches further back than times can say.
    #[error("retention {text:?} reaches back {reach_s} seconds, expected at most 4294967295")]
    Reach {
        /// The archive as written.
        text: String,
        /// Seconds it would reach back.
        reach_s: i64,
    },
    /// Two archives of one step.
    #[error("two archives have a step of {step_s} seconds, expected each step once")]
    SameStep {
        /// The step, in seconds.
        step_s: u32,
    },
    /// A coarse step is not a multiple of the finer one.
    #[error(
        "a step of {} seconds is not a multiple of the finer step of {} seconds",
        coarse.step_s, fine.step_s
    )]
    NotDivisible {
        /// The finer archive.
        fine: Retention,
        /// The next coarser one.
        coarse: Retention,
    },
    /// A coarse archive does not reach further back than the finer one.
    #[error(
        "archive {coarse} reaches back {} seconds, expected more than the {} seconds of the finer archive {fine}",
        coarse.reach_s(), fine.reach_s()
    )]
    NotLonger {
        /// The finer archive.
        fine: Retention,
        /// The next coarser one.
        coarse: Retention,
    },
    /// The finer archive holds fewer points than one coarse point is made of.
    #[error(
        "archive {fine} keeps {} points, expected at least the {} that make one point of archive {coarse}",
        fine.points, coarse.step_s / fine.step_s
    )]
    TooFewPoints {
        /// The finer archive.
        fine: Retention,
        /// The next coarser one.
        coarse: Retention,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &[(u32, u32)]) {
        let archives = Retention::parse_list(text).unwrap();
        let found: Vec<_> = archives.iter().map(|a| (a.step_s, a.points)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn plain_integers_are_step_and_points() {
        check("60:1440", &[(60, 1440)]);
        check("+60:1440", &[(60, 1440)]);
    }

    #[test]
    fn a_unit_on_either_side_makes_both_lengths() {
        check("60:1d", &[(60, 1440)]);
        check("1m:1440", &[(60, 24)]);
        check("1y:10y", &[(31_536_000, 10)]);
        check("1w:10y", &[(604_800, 521)]);
        check("7s:1m", &[(7, 8)]);
    }

    #[test]
    fn only_the_first_unit_letter_counts() {
        check("1m:1dd", &[(60, 1440)]);
        check("1sm:1h", &[(1, 3600)]);
    }

    #[test]
    fn archives_are_sorted_and_spaces_around_commas_skipped() {
        check(" 5m:30d ,\t60s:1d ", &[(60, 1440), (300, 8640)]);
    }

    #[test]
    fn grammar_mistakes() {
        for text in
            ["", "60", "60:", ":1440", "60:1440:5", "60s:1d,", "60s : 1d", "60s: 1d", "1M:1d"]
                .into_iter()
                .chain(["1min:1d", "1sec:1d", "1s:1day", "1s:1hour", "1.5m:1d", "s:1d", "60s:-1d"])
                .chain([
                    "1s:4294967296",
                    "99999999999s:1d",
                    "1s:2147483648",
                    "60\u{660}:1d",
                    "1d:1D",
                ])
        {
            let error = Retention::parse_list(text).unwrap_err();
            assert!(
                matches!(error, RetentionError::Shape { .. } | RetentionError::Length { .. }),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn archives_that_would_fail_later_are_refused() {
        let error = |text| Retention::parse_list(text).unwrap_err();
        for text in ["0s:1d", "0:10", "-60:1440", "-60:1d", "99999999999:10"] {
            assert!(matches!(error(text), RetentionError::Step { .. }), "{text}");
        }
        for text in ["60s:1", "60s:59s", "60:0", "60:-1", "1s:200y"] {
            assert!(matches!(error(text), RetentionError::Points { .. }), "{text}");
        }
        assert!(matches!(error("2147483647:3"), RetentionError::Reach { .. }));
        assert!(matches!(error("60s:1d,1m:2d"), RetentionError::SameStep { step_s: 60 }));
        assert!(matches!(error("60s:1d,90s:30d"), RetentionError::NotDivisible { .. }));
        assert!(matches!(error("60s:1d,5m:1d"), RetentionError::NotLonger { .. }));
        assert!(matches!(error("60s:30d,5m:1d"), RetentionError::NotLonger { .. }));
        assert!(matches!(error("60:2,300:1d"), RetentionError::TooFewPoints { .. }));
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let message = |text| Retention::parse_list(text).unwrap_err().to_string();
        assert_eq!(
            message("60s:1d,90s:30d"),
            "a step of 90 seconds is not a multiple of the finer step of 60 seconds"
        );
        assert_eq!(
            message("0s:1d"),
            "retention \"0s:1d\" has a step of 0 seconds, expected 1 to 2147483647"
        );
    }

    /// The recorded answers of go-carbon's parser. What it accepts and whisper cannot create
    /// is refused here; everything else agrees.
    #[test]
    fn agrees_with_go_carbon() {
        let vectors = include_str!("../../../tests/vectors/whisper/retention_defs.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
        let cannot_be_created =
            ["0:10", "-60:1440", "99999999999:10", "1s:200y", "60s:1", "60s:59s"];
        assert_eq!(cases.len(), 44);
        for case in cases {
            let text = case["def"].as_str().unwrap();
            let found = Retention::parse_list(text);
            if case["go_carbon"].is_object() || cannot_be_created.contains(&text) {
                assert!(found.is_err(), "{text}");
                continue;
            }
            let found: Vec<_> = found.unwrap().iter().map(|a| [a.step_s, a.points]).collect();
            assert_eq!(serde_json::json!(found), case["go_carbon"], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in "[-+0-9smhdwy:, ]{0,40}") {
            if let Ok(archives) = Retention::parse_list(&text) {
                prop_assert!(archives.iter().all(|a| a.step_s > 0 && a.points > 0));
                prop_assert!(archives.windows(2).all(|pair| pair[0].step_s < pair[1].step_s));
                let printed: Vec<_> = archives.iter().map(ToString::to_string).collect();
                prop_assert_eq!(Retention::parse_list(&printed.join(",")), Ok(archives));
            }
        }
    }
}

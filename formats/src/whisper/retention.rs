//! Archives of a file that is to be made, the rules that they must keep, and the text that
//! lists them: `60:1440`, `10s:6h,1min:30days`.

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
    pub const fn reach_s(self) -> u64 {
        self.step_s as u64 * self.points as u64
    }

    /// Reads one archive, such as `60:1440` or `10s:6h`.
    ///
    /// A bare step is in seconds and a bare length in points. Units are any prefix of
    /// `seconds`, `minutes`, `hours`, `days`, `weeks`, `years`; a year has 365 days. A length
    /// that is no multiple of the step is rounded down.
    ///
    /// # Errors
    /// When the text is not of that form, and when it asks for no points or too many.
    pub fn parse(text: &str) -> Result<Self, RetentionError> {
        let shape = || RetentionError::Shape { text: text.to_owned() };
        let (step, length) = text.trim().split_once(':').ok_or_else(shape)?;
        let (step, step_unit_s) = quantity(step)?;
        let (length, length_unit_s) = quantity(length)?;
        let step_s = step * step_unit_s.unwrap_or(1);
        let points = match length_unit_s {
            None => length,
            Some(unit_s) => (length * unit_s)
                .checked_div(step_s)
                .ok_or(RetentionError::ZeroStep { points: 0 })?,
        };
        let narrow = |value, side: &str| {
            u32::try_from(value).map_err(|_| RetentionError::Overflow { text: side.to_owned() })
        };
        let retention = Self { step_s: narrow(step_s, text)?, points: narrow(points, text)? };
        retention.check()?;
        Ok(retention)
    }

    /// Reads archives joined by commas, in the order given.
    ///
    /// ```
    /// use silverback_formats::whisper::Retention;
    ///
    /// let archives = Retention::parse_list("10s:6h, 1min:30days")?;
    /// assert_eq!(archives[1], Retention { step_s: 60, points: 43_200 });
    /// # Ok::<(), silverback_formats::whisper::RetentionError>(())
    /// ```
    ///
    /// # Errors
    /// When one of them cannot be read; whether they fit together is
    /// [another question](check_list).
    pub fn parse_list(text: &str) -> Result<Vec<Self>, RetentionError> {
        text.split(',').map(Self::parse).collect()
    }

    /// Whether the archive can be at all.
    fn check(self) -> Result<(), RetentionError> {
        let Self { step_s, points } = self;
        if step_s == 0 {
            return Err(RetentionError::ZeroStep { points });
        }
        if points == 0 {
            return Err(RetentionError::ZeroPoints { step_s });
        }
        if self.reach_s() > u64::from(u32::MAX) {
            return Err(RetentionError::Reach { step_s, points, reach_s: self.reach_s() });
        }
        Ok(())
    }
}

/// A number and, where it has one, the seconds of its unit; both at most 2^32.
fn quantity(text: &str) -> Result<(u64, Option<u64>), RetentionError> {
    const UNITS: [(&str, u64); 6] = [
        ("seconds", 1),
        ("minutes", 60),
        ("hours", 3600),
        ("days", 86_400),
        ("weeks", 604_800),
        ("years", 31_536_000),
    ];
    let length = || RetentionError::Length { text: text.to_owned() };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digits);
    if digits.is_empty() {
        return Err(length());
    }
    let number: u32 =
        digits.parse().map_err(|_| RetentionError::Overflow { text: text.to_owned() })?;
    let unit_s = match unit {
        "" => None,
        unit => {
            let named = UNITS.iter().find(|(name, _)| name.starts_with(unit));
            Some(named.ok_or_else(length)?.1)
        }
    };
    Ok((number.into(), unit_s))
}

/// Whether archives, finest first, can make a file together.
///
/// # Errors
/// The first rule that they break.
pub fn check_list(archives: &[Retention]) -> Result<(), RetentionError> {
    if archives.is_empty() {
        return Err(RetentionError::NoArchives);
    }
    archives.iter().try_for_each(|archive| archive.check())?;
    archives.windows(2).try_for_each(|pair| check_pair(pair[0], pair[1]))
}

fn check_pair(fine: Retention, coarse: Retention) -> Result<(), RetentionError> {
    let (fine_s, coarse_s) = (fine.step_s, coarse.step_s);
    if fine_s == coarse_s {
        return Err(RetentionError::SameStep { step_s: fine_s });
    }
    if coarse_s < fine_s || coarse_s % fine_s != 0 {
        return Err(RetentionError::Uneven { fine_s, coarse_s });
    }
    let (fine_reach_s, coarse_reach_s) = (fine.reach_s(), coarse.reach_s());
    if coarse_reach_s <= fine_reach_s {
        return Err(RetentionError::NoFarther { coarse_s, coarse_reach_s, fine_reach_s });
    }
    let need_points = coarse_s / fine_s;
    if fine.points < need_points {
        return Err(RetentionError::TooFewPoints { fine_s, points: fine.points, need_points });
    }
    Ok(())
}

/// Why archives cannot make a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// There is no archive at all.
    #[error("no archive is given, at least one is needed")]
    NoArchives,
    /// A step of zero seconds.
    #[error("archive 0:{points} has a step of 0 seconds")]
    ZeroStep {
        /// Its points.
        points: u32,
    },
    /// An archive that keeps nothing.
    #[error("archive {step_s}:0 keeps no point")]
    ZeroPoints {
        /// Its step in seconds.
        step_s: u32,
    },
    /// An archive reaches farther back than a file can say.
    #[error("archive {step_s}:{points} reaches back {reach_s} seconds, at most 4294967295 fit")]
    Reach {
        /// Its step in seconds.
        step_s: u32,
        /// Its points.
        points: u32,
        /// The product.
        reach_s: u64,
    },
    /// Two archives have the same step.
    #[error("two archives have a step of {step_s} seconds")]
    SameStep {
        /// That step.
        step_s: u32,
    },
    /// A coarser step is no multiple of the finer before it.
    #[error("a step of {coarse_s} seconds is no multiple of the finer {fine_s}")]
    Uneven {
        /// The finer step, seconds.
        fine_s: u32,
        /// The coarser step, seconds.
        coarse_s: u32,
    },
    /// A coarser archive reaches no farther than the finer before it.
    #[error(
        "the archive of {coarse_s} seconds reaches back {coarse_reach_s} seconds, no farther than the {fine_reach_s} of the finer"
    )]
    NoFarther {
        /// Step of the coarser archive, seconds.
        coarse_s: u32,
        /// How far the coarser one reaches, seconds.
        coarse_reach_s: u64,
        /// How far the finer one reaches, seconds.
        fine_reach_s: u64,
    },
    /// A finer archive has fewer points than one point of the coarser stands for.
    #[error(
        "the archive of {fine_s} seconds keeps {points} points, one of the coarser needs {need_points}"
    )]
    TooFewPoints {
        /// Step of the finer archive, seconds.
        fine_s: u32,
        /// Points that it keeps.
        points: u32,
        /// Points that one coarser point is made of.
        need_points: u32,
    },
    /// The file would be larger than its own offsets can say.
    #[error("the file would have {len_bytes} bytes, at most 4294967295 fit")]
    TooLarge {
        /// The length it would have.
        len_bytes: u64,
    },
    /// A definition is not of the form `step:length`.
    #[error("archive {text:?} is not of the form step:length, such as 60:1440 or 10s:6h")]
    Shape {
        /// The definition.
        text: String,
    },
    /// A number or unit that is none.
    #[error("{text:?} is no number with an optional unit of s, min, h, d, w, y")]
    Length {
        /// One side of a definition.
        text: String,
    },
    /// A number that is too large.
    #[error("{text:?} exceeds 4294967295")]
    Overflow {
        /// One side of a definition.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each recorded text is read as Python whisper reads it, except for what no file can have.
    #[test]
    fn recorded_texts_are_read_as_python_reads_them() {
        let recorded = include_str!("../../../tests/vectors/whisper/retention_defs.json");
        let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
        let refused = ["0:10", "60s:59s", "99999999999:10", "99999999999s:1d", "1s:200y"];
        let refused = [&refused[..], &["1s:4294967296"]].concat();
        let recorded = recorded.as_array().unwrap();
        assert_eq!(recorded.len(), 44);
        for case in recorded {
            let text = case["def"].as_str().unwrap();
            let found = Retention::parse_list(text);
            match case["python_whisper"].as_array() {
                Some(archives) if !refused.contains(&text) => {
                    let archives = archives.iter().map(|pair| Retention {
                        step_s: pair[0].as_u64().unwrap() as u32,
                        points: pair[1].as_u64().unwrap() as u32,
                    });
                    assert_eq!(found, Ok(archives.collect()), "{text:?}");
                }
                _ => assert!(found.is_err(), "{text:?} is read as {found:?}"),
            }
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let error = |text: &str| Retention::parse_list(text).unwrap_err();
        let text = |text: &str| text.to_owned();
        assert_eq!(error("60"), RetentionError::Shape { text: text("60") });
        assert_eq!(error("60:1d,"), RetentionError::Shape { text: text("") });
        assert_eq!(error("10s:6hrs"), RetentionError::Length { text: text("6hrs") });
        assert_eq!(error("-60:1"), RetentionError::Length { text: text("-60") });
        assert_eq!(error("1:4294967296"), RetentionError::Overflow { text: text("4294967296") });
        assert_eq!(error("200y:200y"), RetentionError::Overflow { text: text("200y:200y") });
        assert_eq!(error("0:10"), RetentionError::ZeroStep { points: 10 });
        assert_eq!(error("0s:1d"), RetentionError::ZeroStep { points: 0 });
        assert_eq!(error("60s:59s"), RetentionError::ZeroPoints { step_s: 60 });
        let reach = RetentionError::Reach { step_s: 1, points: 1, reach_s: 1 };
        assert_eq!(std::mem::discriminant(&error("1d:200y")), std::mem::discriminant(&reach));
    }

    #[test]
    fn each_rule_between_archives_is_held() {
        let check = |archives: &[(u32, u32)]| {
            let of = |&(step_s, points)| Retention { step_s, points };
            check_list(&archives.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(check(&[]), Err(RetentionError::NoArchives));
        assert_eq!(check(&[(0, 1)]), Err(RetentionError::ZeroStep { points: 1 }));
        assert_eq!(check(&[(1, 0)]), Err(RetentionError::ZeroPoints { step_s: 1 }));
        assert_eq!(check(&[(60, 10), (60, 20)]), Err(RetentionError::SameStep { step_s: 60 }));
        let uneven = RetentionError::Uneven { fine_s: 60, coarse_s: 90 };
        assert_eq!(check(&[(60, 10), (90, 20)]), Err(uneven));
        let uneven = RetentionError::Uneven { fine_s: 60, coarse_s: 30 };
        assert_eq!(check(&[(60, 10), (30, 200)]), Err(uneven));
        let no_farther =
            RetentionError::NoFarther { coarse_s: 300, coarse_reach_s: 600, fine_reach_s: 600 };
        assert_eq!(check(&[(60, 10), (300, 2)]), Err(no_farther));
        let too_few = RetentionError::TooFewPoints { fine_s: 60, points: 4, need_points: 5 };
        assert_eq!(check(&[(60, 4), (300, 20)]), Err(too_few));
        assert_eq!(check(&[(60, 5), (300, 2)]), Ok(()));
        assert_eq!(check(&[(1, u32::MAX)]), Ok(()));
    }
}

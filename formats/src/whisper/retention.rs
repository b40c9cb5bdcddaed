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

/// Why archives cannot make a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// There is no archive at all.
    #[error("no archive is given, at least one is needed")]
    NoArchives,
    /// A step of zero seconds.
    #[error("archive {step_s}:{points} has a step of 0 seconds")]
    ZeroStep {
        /// Its step, 0.
        step_s: u32,
        /// Its points.
        points: u32,
    },
    /// An archive that keeps nothing.
    #[error("archive {step_s}:{points} keeps no point")]
    ZeroPoints {
        /// Its step in seconds.
        step_s: u32,
        /// Its points, 0.
        points: u32,
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

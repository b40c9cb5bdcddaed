//! Reading one series over a range, by whisper's window rule.

/// What is asked of a series. All times are Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchRange {
    /// Exclusive begin: a point at exactly this time is left out.
    pub from_s: i64,
    /// Inclusive end.
    pub until_s: i64,
    /// The clock that retention is measured against.
    pub now_s: i64,
}

/// Values of one series on its step.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Time of the first value (Unix seconds), a multiple of the step.
    pub start_s: i64,
    /// Seconds between values.
    pub step_s: u32,
    /// One value a step; NaN where nothing is known.
    pub values: Vec<f64>,
}

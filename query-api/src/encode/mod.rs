//! Answers: series → bytes, one file a format.

mod answer;
mod csv;
mod dygraph;
mod format;
pub(crate) mod json;
mod msgpack;
mod number;
mod pickle;
mod raw;
mod rickshaw;

pub(crate) use answer::Answer;
pub(crate) use format::{Format, Style};
pub(crate) use number::{general, percent_g, repr};

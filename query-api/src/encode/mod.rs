//! Answers: series → bytes.

pub(crate) mod json;
mod number;

pub(crate) use number::{general, percent_g, repr};

//! Answers: series → bytes.

pub(crate) mod json;
mod number;

pub(crate) use number::{percent_g, repr};

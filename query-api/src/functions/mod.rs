//! The functions of the render API.
//!
//! Each is one entry of a table: name, parameters, description and body. Argument checks,
//! `/functions` and the documentation come from it, so a new function is a new entry.
//!
//! | module | what |
//! |---|---|
//! | [`registry`] | what an entry is; names → functions |
//! | [`args`] | arguments of a call, checked against the entry |
//! | [`aggregation`], [`align`], [`node`], [`pattern`], [`percentile`] | what families share |
//! | the others | one family each |

mod aggregation;
mod alias;
mod align;
pub(crate) mod args;
mod combine;
mod divide;
mod filter_data;
mod filter_series;
mod group_by;
mod lists;
mod moving;
mod node;
mod pattern;
mod percent;
mod percentile;
pub(crate) mod registry;
mod sorting;
mod special;
mod summarize;
mod time_shift;
mod transform;

use crate::refusal::Refusal;
use registry::Function;

/// Every function, by family.
const TABLES: [&[Function]; 14] = [
    &alias::FUNCTIONS,
    &combine::FUNCTIONS,
    &divide::FUNCTIONS,
    &filter_data::FUNCTIONS,
    &filter_series::FUNCTIONS,
    &group_by::FUNCTIONS,
    &lists::FUNCTIONS,
    &moving::FUNCTIONS,
    &percent::FUNCTIONS,
    &sorting::FUNCTIONS,
    &special::FUNCTIONS,
    &summarize::FUNCTIONS,
    &time_shift::FUNCTIONS,
    &transform::FUNCTIONS,
];

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum FunctionError {
    /// The call asks for something that cannot be done; fix the target.
    #[error("{0}")]
    Input(String),
    /// The request as a whole cannot go on.
    #[error(transparent)]
    Stopped(#[from] Refusal),
}

impl FunctionError {
    /// An error of the caller.
    pub(crate) fn input(reason: impl Into<String>) -> Self {
        Self::Input(reason.into())
    }
}

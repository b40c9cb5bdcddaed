//! The functions of the render API.
//!
//! Each is one entry of a table: name, parameters, description and body. Argument checks,
//! `/functions` and the documentation come from it, so a new function is a new entry.
//!
//! | module | what |
//! |---|---|
//! | [`registry`] | what an entry is; names → functions |
//! | [`args`] | arguments of a call, checked against the entry |
//! | [`aggregation`], [`align`], [`node`], [`pattern`], [`percentile`], [`printf`], [`mod@unit`] | what families share |
//! | the others | one family each |

mod aggregates;
mod aggregation;
mod alias;
mod align;
pub(crate) mod args;
mod arithmetic;
mod baseline;
mod combine;
mod correlation;
mod distribution;
mod divide;
mod drawing;
mod events;
mod exponential;
mod filter_data;
mod filter_series;
mod fourier;
mod gaps;
mod generate;
mod group_by;
mod hitcount;
mod holt_winters;
mod inner_target;
mod integrals;
mod legend;
mod lists;
mod map_reduce;
mod moving;
mod node;
mod objectives;
mod outliers;
mod pattern;
mod percent;
mod percentile;
pub(crate) mod pie;
mod printf;
pub(crate) mod registry;
mod regression;
mod sets;
mod sliding;
mod sorting;
mod special;
mod statistics;
mod summarize;
mod tagged;
#[cfg(test)]
mod tests;
mod time_shift;
mod transform;
mod unit;
mod versions;
mod weighted;

use crate::refusal::Refusal;
use registry::Function;

/// Every function, by family.
const TABLES: [&[Function]; 39] = [
    &aggregates::FUNCTIONS,
    &alias::FUNCTIONS,
    &arithmetic::FUNCTIONS,
    &baseline::FUNCTIONS,
    &combine::FUNCTIONS,
    &correlation::FUNCTIONS,
    &distribution::FUNCTIONS,
    &divide::FUNCTIONS,
    &drawing::FUNCTIONS,
    &events::FUNCTIONS,
    &exponential::FUNCTIONS,
    &filter_data::FUNCTIONS,
    &filter_series::FUNCTIONS,
    &fourier::FUNCTIONS,
    &gaps::FUNCTIONS,
    &generate::FUNCTIONS,
    &group_by::FUNCTIONS,
    &hitcount::FUNCTIONS,
    &holt_winters::FUNCTIONS,
    &inner_target::FUNCTIONS,
    &integrals::FUNCTIONS,
    &legend::FUNCTIONS,
    &lists::FUNCTIONS,
    &map_reduce::FUNCTIONS,
    &moving::FUNCTIONS,
    &objectives::FUNCTIONS,
    &outliers::FUNCTIONS,
    &percent::FUNCTIONS,
    &regression::FUNCTIONS,
    &sets::FUNCTIONS,
    &sorting::FUNCTIONS,
    &special::FUNCTIONS,
    &statistics::FUNCTIONS,
    &summarize::FUNCTIONS,
    &tagged::FUNCTIONS,
    &time_shift::FUNCTIONS,
    &transform::FUNCTIONS,
    &versions::FUNCTIONS,
    &weighted::FUNCTIONS,
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

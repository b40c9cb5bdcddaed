//! Aggregations that only carbonapi has as functions of their own.

use super::aggregation::Aggregation;
use super::combine::aggregate_all;
use super::registry::{Body, Function, Group, SERIES_LISTS};

pub(super) const FUNCTIONS: [Function; 9] = [
    entry(&["median", "medianSeries"], "The median of all series.", |call| {
        aggregate_all(call, Aggregation::Median, "median")
    }),
    entry(&["first", "firstSeries"], "The first known value of all series.", |call| {
        aggregate_all(call, Aggregation::First, "first")
    }),
    entry(&["last", "lastSeries"], "The last known value of all series.", |call| {
        aggregate_all(call, Aggregation::Last, "last")
    }),
    entry(&["current", "currentSeries"], "The last known value of all series.", |call| {
        aggregate_all(call, Aggregation::Last, "current")
    }),
    entry(&["total", "totalSeries"], "The sum of all series.", |call| {
        aggregate_all(call, Aggregation::Sum, "total")
    }),
    entry(
        &["avg_zero", "avg_zeroSeries"],
        "The mean of all series, in which unknown values count as zero.",
        |call| aggregate_all(call, Aggregation::AverageZero, "avg_zero"),
    ),
    entry(
        &["range", "rangeSeries"],
        "The distance between the largest and the smallest value of all series.",
        |call| aggregate_all(call, Aggregation::Range, "range"),
    ),
    entry(&["count"], "How many of all series have a value.", |call| {
        aggregate_all(call, Aggregation::Count, "count")
    }),
    entry(&["multiply"], "The product of all series.", |call| {
        aggregate_all(call, Aggregation::Multiply, "multiply")
    }),
];

const fn entry(names: &'static [&'static str], description: &'static str, body: Body) -> Function {
    Function::new(names, Group::Combine, &[SERIES_LISTS], description, body)
}

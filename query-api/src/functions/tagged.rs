//! `seriesByTag`: series by their tags.
//!
//! With quoted expressions, as in every real target, the parser makes a path of the whole
//! call, so that it is planned, looked up once and fetched like any other pattern. What is
//! here lists the function, and answers calls that are written otherwise.

use super::registry::{Function, Group, Kind, Param};

pub(super) const FUNCTIONS: [Function; 1] = [Function::new(
    &["seriesByTag"],
    Group::Special,
    &[Param::required("tagExpressions", Kind::Text).multiple()],
    "Series whose tags fit all expressions: tag=value, tag!=value, tag=~regex or tag!=~regex. \
     At least one of them must need a tag to be there.",
    |call| {
        let quoted: Vec<String> =
            call.texts(0).iter().map(|expression| format!("'{expression}'")).collect();
        let pattern = format!("seriesByTag({})", quoted.join(","));
        let (window, x_files_factor) = (call.window, call.evaluator.x_files_factor);
        Ok(call.evaluator.source.fetch(&pattern, (window, None), x_files_factor)?)
    },
)];

//! What makes a series a slice of a pie. Only images show slices, so these stand in a table of
//! their own, which `/functions?type=pie` lists and no target is looked up in.

use super::FunctionError;
use super::args::Call;
use super::registry::{Function, Group, Kind, Param};
use crate::series::Series;

/// The functions, by name.
pub(crate) static FUNCTIONS: [Function; 3] = [
    slice(&["average"], "Slices are as large as the averages of the series."),
    slice(&["maximum"], "Slices are as large as the largest values of the series."),
    slice(&["minimum"], "Slices are as large as the smallest values of the series."),
];

const fn slice(names: &'static [&'static str], description: &'static str) -> Function {
    const PARAMS: &[Param] = &[Param::required("series", Kind::Series)];
    Function::new(names, Group::Pie, PARAMS, description, refused)
}

fn refused(_: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    Err(FunctionError::input("functions of pie charts cannot be called: no images are drawn"))
}

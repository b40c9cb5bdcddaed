//! Quotients of series.

use super::FunctionError;
use super::align::align;
use super::args::Call;
use super::registry::{Function, Group, Kind, Param};
use crate::series::Series;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function {
        names: &["divideSeries"],
        group: Group::Combine,
        params: &[
            Param::required("dividendSeriesList", Kind::SeriesList),
            Param::required("divisorSeries", Kind::SeriesList),
        ],
        description: "Divides each series by the one divisor series. Values divided by zero are \
                      unknown.",
        body: divide_series,
        other_window: None,
    },
    Function {
        names: &["divideSeriesLists"],
        group: Group::Combine,
        params: &[
            Param::required("dividendSeriesList", Kind::SeriesList),
            Param::required("divisorSeriesList", Kind::SeriesList),
        ],
        description: "Divides the first series of one list by the first of another, the second \
                      by the second, and so on.",
        body: divide_series_lists,
        other_window: None,
    },
];

type Output = Result<Vec<Series>, FunctionError>;

fn divide_series(call: &mut Call<'_, '_>) -> Output {
    let dividends = call.take_series(0);
    let divisors = call.take_series(1);
    match divisors.as_slice() {
        [] => Ok(dividends.into_iter().map(missing_divisor).collect()),
        [divisor] => dividends.iter().map(|dividend| quotient(call, dividend, divisor)).collect(),
        many => Err(FunctionError::Input(format!(
            "divideSeries second argument must reference exactly 1 series (got {})",
            many.len()
        ))),
    }
}

fn divide_series_lists(call: &mut Call<'_, '_>) -> Output {
    let dividends = call.take_series(0);
    let divisors = call.take_series(1);
    if dividends.len() != divisors.len() {
        return Err(FunctionError::input(
            "dividendSeriesList and divisorSeriesList argument must have equal length",
        ));
    }
    dividends.iter().zip(&divisors).map(|(a, b)| quotient(call, a, b)).collect()
}

fn missing_divisor(dividend: Series) -> Series {
    let name = format!("divideSeries({},MISSING)", dividend.name);
    let values = vec![f64::NAN; dividend.values.len()];
    dividend.with_values(values).renamed(name)
}

fn quotient(
    call: &Call<'_, '_>,
    dividend: &Series,
    divisor: &Series,
) -> Result<Series, FunctionError> {
    let name = format!("divideSeries({},{})", dividend.name, divisor.name);
    let rows = align(&[dividend.clone(), divisor.clone()])?;
    let values = rows.map_rows(|row| if row[1] == 0.0 { f64::NAN } else { row[0] / row[1] });
    let series = call.built(name, rows.start_s, rows.step_s, values);
    Ok(Series { end_s: rows.end_s, ..series })
}

//! Running sums that begin again now and then.

use super::FunctionError;
use super::args::Call;
use super::registry::{Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;
use crate::time::parse_offset;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["integralByInterval"],
        Group::Transform,
        &[SERIES_LIST, Param::required("intervalUnit", Kind::Text)],
        "The running sum of the values, which begins again with each interval, counted from the \
         begin of the shown range.",
        integral_by_interval,
    ),
    Function::new(
        &["integralWithReset"],
        Group::Transform,
        &[SERIES_LIST, Param::required("resettingSeries", Kind::SeriesList)],
        "The running sum of the values, which begins again where the one resetting series has a \
         value other than zero.",
        integral_with_reset,
    ),
];

fn integral_by_interval(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let text = call.text(1).to_owned();
    let interval_s = parse_offset(&text).map_or(0, i64::saturating_abs);
    if interval_s == 0 {
        let reason = format!("integralByInterval(): '{text}' is not an interval above zero");
        return Err(FunctionError::Input(reason));
    }
    let from_s = call.window.from_s;
    call.each(|series| {
        let name = format!("integralByInterval({},'{text}')", series.name);
        let interval = |time_s: i64| (time_s - from_s).div_euclid(interval_s);
        let times = (0..).map(|index| series.start_s + index * series.step_s);
        let mut sum = 0.0;
        let values = series.values.iter().zip(times).map(|(&v, time_s)| {
            if interval(time_s) != interval(time_s - series.step_s) {
                sum = 0.0;
            }
            sum += if v.is_nan() { 0.0 } else { v };
            sum
        });
        let values = values.collect();
        series.with_values(values).renamed(name).tagged("integralByInterval", text.as_str())
    })
}

fn integral_with_reset(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let resetting = call.take_series(1);
    let [resetting] = resetting.as_slice() else {
        return Err(FunctionError::Input(format!(
            "integralWithReset(): exactly one resetting series is needed, not {}",
            resetting.len()
        )));
    };
    let list = call.take_series(0);
    let results = list.into_iter().map(|series| {
        if (series.step_s, series.values.len()) != (resetting.step_s, resetting.values.len()) {
            return Err(FunctionError::Input(format!(
                "integralWithReset(): {} and {} differ in step or length",
                series.name, resetting.name
            )));
        }
        let name = format!("integralWithReset({},{})", series.name, resetting.name);
        let mut sum = 0.0;
        let values = series.values.iter().zip(resetting.values.iter()).map(|(&v, &reset)| {
            if !reset.is_nan() && reset != 0.0 {
                sum = 0.0;
            } else if !v.is_nan() {
                sum += v;
            }
            if v.is_nan() { v } else { sum }
        });
        let values = values.collect();
        Ok(series.with_values(values).renamed(name).tagged("integralWithReset", &*resetting.name))
    });
    results.collect()
}

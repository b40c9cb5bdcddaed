//! Holt-Winters forecasts: what a series with a season is expected to be, and by how much it
//! may differ.
//!
//! The forecast of a time comes from the values before it, level, trend and season each
//! smoothed; it needs a while of values before the shown range to settle, the bootstrap.

use super::FunctionError;
use super::args::Call;
use super::drawing::area_between;
use super::moving::{Starts, earlier};
use super::registry::{Fixed, Fractions, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;
use std::sync::Arc;

const BOOTSTRAP: Param = Param::optional("bootstrapInterval", Kind::Interval, Fixed::Text("7d"))
    .suggestions(&[Fixed::Text("7d"), Fixed::Text("30d")]);
const SEASONALITY: Param = Param::optional("seasonality", Kind::Interval, Fixed::Text("1d"))
    .suggestions(&[Fixed::Text("1d"), Fixed::Text("7d")]);
const BAND_PARAMS: &[Param] = &[
    SERIES_LIST,
    Param::optional("delta", Kind::Integer, Fixed::Integer(3)).fractions(Fractions::Kept),
    BOOTSTRAP,
    SEASONALITY,
];

pub(super) const FUNCTIONS: [Function; 4] = [
    Function::new(
        &["holtWintersForecast"],
        Group::Calculate,
        &[SERIES_LIST, BOOTSTRAP, SEASONALITY],
        "What each series is expected to be, by the method of Holt and Winters.",
        forecast,
    ),
    Function::new(
        &["holtWintersConfidenceBands"],
        Group::Calculate,
        BAND_PARAMS,
        "The range in which each series is expected: its forecast and `delta` deviations to \
         either side, as a lower and an upper series.",
        |call| Ok(bands(call)?.into_iter().flat_map(|band| [band.lower, band.upper]).collect()),
    ),
    Function::new(
        &["holtWintersAberration"],
        Group::Calculate,
        BAND_PARAMS,
        "By how much each series leaves the range in which it is expected; zero inside.",
        aberration,
    ),
    Function::new(
        &["holtWintersConfidenceArea"],
        Group::Calculate,
        BAND_PARAMS,
        "The area between the confidence bands of exactly one series.",
        |call| {
            let list = bands(call)?.into_iter().flat_map(|band| [band.lower, band.upper]);
            let list: Vec<Series> = list.collect();
            if list.is_empty() {
                return Ok(list);
            }
            let area = area_between(list, "holtWintersConfidenceArea")?;
            let renamed = |series: Series| {
                let name = series.name.clone();
                series.renamed(name)
            };
            Ok(area.into_iter().map(renamed).collect())
        },
    ),
];

const ALPHA: f64 = 0.1;
const BETA: f64 = 0.0035;
const GAMMA: f64 = 0.1;

/// A series' forecast, and the deviation from it, for each of its times.
#[derive(Debug)]
struct Analysis {
    predictions: Vec<f64>,
    deviations: Vec<f64>,
}

impl Analysis {
    /// The analysis of values of which `season` make one season. Zero stands for what lies
    /// before the first.
    fn of(values: &[f64], season: usize) -> Self {
        let len = values.len();
        let (mut predictions, mut deviations) = (Vec::with_capacity(len), Vec::with_capacity(len));
        let mut seasonals: Vec<f64> = Vec::with_capacity(len);
        let (mut intercept, mut slope, mut pending) = (f64::NAN, 0.0, f64::NAN);
        for (index, &value) in values.iter().enumerate() {
            if value.is_nan() {
                (intercept, slope) = (f64::NAN, 0.0);
                seasonals.push(0.0);
                deviations.push(0.0);
                predictions.push(std::mem::replace(&mut pending, f64::NAN));
                continue;
            }
            let (last_intercept, last_slope, prediction) = match index {
                0 => (value, 0.0, value),
                _ if intercept.is_nan() => (value, slope, pending),
                _ => (intercept, slope, pending),
            };
            let ago = |list: &[f64], steps: usize| {
                index.checked_sub(steps).and_then(|at| list.get(at)).copied().unwrap_or(0.0)
            };
            let last_seasonal = ago(&seasonals, season);
            let next_seasonal = ago(&seasonals, season - 1);
            let last_deviation = ago(&deviations, season);
            intercept =
                ALPHA * (value - last_seasonal) + (1.0 - ALPHA) * (last_intercept + last_slope);
            slope = BETA * (intercept - last_intercept) + (1.0 - BETA) * last_slope;
            let seasonal = GAMMA * (value - intercept) + (1.0 - GAMMA) * last_seasonal;
            pending = intercept + slope + next_seasonal;
            let expected = if prediction.is_nan() { 0.0 } else { prediction };
            let deviation = GAMMA * (value - expected).abs() + (1.0 - GAMMA) * last_deviation;
            predictions.push(prediction);
            seasonals.push(seasonal);
            deviations.push(deviation);
        }
        Self { predictions, deviations }
    }
}

/// A series fetched with its bootstrap, and its analysis.
struct Analysed {
    series: Series,
    analysis: Analysis,
    /// Values before the shown range.
    skipped: usize,
}

impl Analysed {
    /// A series of the shown range, with the tags of the analysed one.
    fn built(&self, call: &Call<'_, '_>, name: String, values: Vec<f64>) -> Series {
        let start_s = self.series.start_s + self.skipped as i64 * self.series.step_s;
        let series = call.built(name, start_s, self.series.step_s, values);
        Series { end_s: self.series.end_s, tags: Arc::clone(&self.series.tags), ..series }
            .tagged("holtWintersForecast", "1")
            // graphite-web writes the tags of all series of an analysis into one table.
            .tagged("holtWintersDeviation", "1")
    }
}

/// Analyses the series of the first parameter; the bootstrap is the parameter `bootstrap`, the
/// season the one after it.
fn analysed(
    call: &mut Call<'_, '_>,
    plain: &[Series],
    bootstrap: usize,
) -> Result<Vec<Analysed>, FunctionError> {
    if plain.is_empty() {
        return Ok(Vec::new());
    }
    let bootstrap_s = call.interval(bootstrap).1.saturating_abs();
    let season_s = call.interval(bootstrap + 1).1;
    let starts = Starts::of(plain);
    let list = call.refetch(earlier(call.window, bootstrap_s))?;
    let mut results = Vec::with_capacity(list.len());
    for series in list {
        call.evaluator.source.check()?;
        let season = usize::try_from(season_s / series.step_s).unwrap_or(0).max(2);
        let analysis = Analysis::of(&series.values, season);
        let skipped = starts.skipped(&series, bootstrap_s);
        results.push(Analysed { series, analysis, skipped });
    }
    Ok(results)
}

fn forecast(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let list = analysed(call, &plain, 1)?;
    let results = list.iter().map(|one| {
        let values = one.analysis.predictions[one.skipped..].to_vec();
        one.built(call, format!("holtWintersForecast({})", one.series.name), values)
    });
    Ok(results.collect())
}

/// The confidence bands of one series.
struct Band {
    /// The name of that series.
    of: String,
    lower: Series,
    upper: Series,
}

fn bands(call: &mut Call<'_, '_>) -> Result<Vec<Band>, FunctionError> {
    let plain = call.take_series(0);
    bands_of(call, &plain)
}

fn bands_of(call: &mut Call<'_, '_>, plain: &[Series]) -> Result<Vec<Band>, FunctionError> {
    let delta = call.float(1);
    let list = analysed(call, plain, 2)?;
    let results = list.iter().map(|one| {
        let shown = |values: &Vec<f64>| values[one.skipped..].to_vec();
        let predictions = shown(&one.analysis.predictions);
        let deviations = shown(&one.analysis.deviations);
        let series = |side: &str, delta: f64| {
            let values = predictions.iter().zip(&deviations).map(|(p, d)| p + delta * d).collect();
            let name = format!("holtWintersConfidence{side}({})", one.series.name);
            let series = one.built(call, name, values);
            Series { path_expression: Arc::clone(&one.series.path_expression), ..series }
                .tagged("holtWintersConfidenceUpper", "1")
                .tagged("holtWintersConfidenceLower", "1")
        };
        let (lower, upper) = (series("Lower", -delta), series("Upper", delta));
        Band { of: one.series.name.clone(), lower, upper }
    });
    Ok(results.collect())
}

/// Series that exist in the shown range only, or in the bootstrap only, have no aberration.
fn aberration(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let bands = bands_of(call, &plain)?;
    let results = plain.into_iter().filter_map(|series| {
        let band = bands.iter().find(|band| band.of == series.name)?;
        let limits = band.lower.values.iter().zip(band.upper.values.iter());
        let limits = limits.map(|(&lower, &upper)| (lower, upper));
        let limits = limits.chain(std::iter::repeat((f64::NAN, f64::NAN)));
        let values = series.values.iter().zip(limits).map(|(&v, (lower, upper))| match v {
            v if v > upper => v - upper,
            v if v < lower => v - lower,
            _ => 0.0,
        });
        let values = values.collect();
        let name = format!("holtWintersAberration({})", series.name);
        let built = call.built(name, series.start_s, series.step_s, values);
        let built = Series { end_s: series.end_s, tags: series.tags, ..built };
        Some(built.tagged("holtWintersAberration", "1"))
    });
    Ok(results.collect())
}

#[cfg(test)]
mod tests {
    use super::Analysis;

    #[test]
    fn a_constant_is_forecast_as_itself() {
        let analysis = Analysis::of(&[5.0; 40], 4);
        assert!(analysis.predictions.iter().all(|p| (p - 5.0).abs() < 1e-9));
        assert!(analysis.deviations.iter().all(|d| d.abs() < 1e-9));
    }

    #[test]
    fn a_gap_makes_the_next_forecast_unknown() {
        let analysis = Analysis::of(&[5.0, f64::NAN, f64::NAN, 5.0, 5.0], 2);
        let known: Vec<bool> = analysis.predictions.iter().map(|p| !p.is_nan()).collect();
        assert_eq!(known, [true, true, false, false, true]);
        assert!(Analysis::of(&[], 2).predictions.is_empty());
    }
}

//! How alike two series are.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use super::sorting::{Order, sorted_by};
use crate::series::Series;

const FIRST: Param = Param::required("seriesA", Kind::SeriesList);
const SECOND: Param = Param::required("seriesB", Kind::SeriesList);
const WINDOW: Param = Param::required("windowSize", Kind::Integer);

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::new(
        &["pearson"],
        Group::Calculate,
        &[FIRST, SECOND, WINDOW],
        "The correlation of the last values of two series, from -1 to 1.",
        pearson,
    ),
    Function::new(
        &["pearsonClosest"],
        Group::FilterSeries,
        &[
            Param::required("reference", Kind::SeriesList),
            SERIES_LIST,
            Param::required("n", Kind::Integer),
            Param::optional("direction", Kind::Text, Fixed::Text("abs"))
                .options(&["abs", "neg", "pos"]),
        ],
        "The n series that correlate most with a reference: in either direction, with it, or \
         against it.",
        pearson_closest,
    ),
    Function::new(
        &["kolmogorovSmirnovTest2", "ksTest2"],
        Group::Calculate,
        &[FIRST, SECOND, WINDOW],
        "The largest distance between the distributions of the last values of two series, from \
         0 to 1.",
        kolmogorov_smirnov,
    ),
];

/// Two series to compare, value by value, and the window.
struct Pair {
    first: Series,
    second: Series,
    window: usize,
}

impl Pair {
    fn of(call: &mut Call<'_, '_>, function_name: &str) -> Result<Option<Self>, FunctionError> {
        let (mut first, mut second) = (call.take_series(0), call.take_series(1));
        if first.is_empty() || second.is_empty() {
            return Ok(None);
        }
        let window = usize::try_from(call.integer(2)).unwrap_or(0);
        match (first.pop(), second.pop()) {
            (Some(a), Some(b)) if first.is_empty() && second.is_empty() && window > 0 => {
                Ok(Some(Self { first: a, second: b, window }))
            }
            _ => Err(FunctionError::Input(format!(
                "{function_name}() compares exactly two series over a window above zero"
            ))),
        }
    }

    fn rows(&self) -> impl Iterator<Item = (f64, f64)> {
        let second = self.second.values.iter().copied().chain(std::iter::repeat(f64::NAN));
        self.first.values.iter().copied().zip(second)
    }

    fn result(self, function_name: &str, values: Vec<f64>) -> Series {
        let Self { first, second, window } = self;
        let name = format!("{function_name}({},{},{window})", first.name, second.name);
        first.with_values(values).renamed(name)
    }
}

/// Sums from which a correlation is computed. Values are taken relative to the first ones, so
/// that large ones with small changes keep their digits.
#[derive(Debug, Default)]
struct Sums {
    origin: Option<(f64, f64)>,
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Sums {
    /// Adds a row, or takes it away again with a sign of -1. Rows that are not wholly known do
    /// not count.
    fn add(&mut self, (x, y): (f64, f64), sign: f64) {
        if x.is_nan() || y.is_nan() {
            return;
        }
        let (x0, y0) = *self.origin.get_or_insert((x, y));
        let (x, y) = (x - x0, y - y0);
        self.count += sign;
        self.x += sign * x;
        self.y += sign * y;
        self.xx += sign * x * x;
        self.yy += sign * y * y;
        self.xy += sign * x * y;
    }

    /// Pearson's correlation; unknown when either side is constant.
    fn correlation(&self) -> f64 {
        let n = self.count;
        let spread = |sum: f64, squares: f64| (n * squares - sum * sum).max(0.0);
        let product = spread(self.x, self.xx) * spread(self.y, self.yy);
        if product == 0.0 {
            return f64::NAN;
        }
        ((n * self.xy - self.x * self.y) / product.sqrt()).clamp(-1.0, 1.0)
    }
}

fn pearson(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let Some(pair) = Pair::of(call, "pearson")? else { return Ok(Vec::new()) };
    let rows: Vec<(f64, f64)> = pair.rows().collect();
    let mut sums = Sums::default();
    let correlations = rows.iter().enumerate().map(|(index, &row)| {
        sums.add(row, 1.0);
        if let Some(gone) = index.checked_sub(pair.window) {
            sums.add(rows[gone], -1.0);
        }
        let is_full = index + 1 >= pair.window && !row.0.is_nan() && !row.1.is_nan();
        if is_full { sums.correlation() } else { f64::NAN }
    });
    let values = correlations.collect();
    Ok(vec![pair.result("pearson", values)])
}

fn pearson_closest(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let reference = call.take_series(0);
    let [reference] = reference.as_slice() else {
        return Err(FunctionError::input("pearsonClosest() needs exactly one reference series"));
    };
    let count = call.integer(2);
    let direction = call.text(3).to_owned();
    let rank = |series: &Series| {
        let mut sums = Sums::default();
        let rows = reference.values.iter().copied().zip(series.values.iter().copied());
        rows.for_each(|row| sums.add(row, 1.0));
        match direction.as_str() {
            "pos" => sums.correlation(),
            "neg" => -sums.correlation(),
            _ => sums.correlation().abs(),
        }
    };
    let mut list = call.take_series(1);
    list.retain(|series| series.values.len() == reference.values.len() && !rank(series).is_nan());
    Ok(super::filter_series::first(sorted_by(list, rank, Order::Descending), count))
}

fn kolmogorov_smirnov(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let function_name = "kolmogorovSmirnovTest2";
    let Some(pair) = Pair::of(call, function_name)? else { return Ok(Vec::new()) };
    let rows: Vec<(f64, f64)> = pair.rows().collect();
    let (mut first, mut second) = (Sorted::default(), Sorted::default());
    let mut values = Vec::with_capacity(rows.len());
    for (index, &(a, b)) in rows.iter().enumerate() {
        if index % 64 == 0 {
            call.evaluator.source.check()?;
        }
        first.insert(a);
        second.insert(b);
        if let Some(gone) = index.checked_sub(pair.window) {
            first.remove(rows[gone].0);
            second.remove(rows[gone].1);
        }
        let is_full = index >= pair.window;
        values.push(if is_full { first.distance(&second) } else { f64::NAN });
    }
    let from_s = call.window.from_s;
    let series = pair.result(function_name, values);
    Ok(vec![Series { start_s: from_s, ..series }])
}

/// Known values in order.
#[derive(Debug, Default)]
struct Sorted(Vec<f64>);

impl Sorted {
    fn place(&self, value: f64) -> usize {
        self.0.partition_point(|v| v.total_cmp(&value).is_lt())
    }

    fn insert(&mut self, value: f64) {
        if !value.is_nan() {
            self.0.insert(self.place(value), value);
        }
    }

    fn remove(&mut self, value: f64) {
        if !value.is_nan() {
            self.0.remove(self.place(value));
        }
    }

    /// The largest difference between the shares of values up to any bound; unknown when
    /// either has no value.
    fn distance(&self, other: &Self) -> f64 {
        if self.0.is_empty() || other.0.is_empty() {
            return f64::NAN;
        }
        let (mut i, mut j, mut distance) = (0, 0, 0_f64);
        while i < self.0.len() && j < other.0.len() {
            let bound = self.0[i].min(other.0[j]);
            i += self.0[i..].iter().take_while(|v| **v <= bound).count();
            j += other.0[j..].iter().take_while(|v| **v <= bound).count();
            let shares = (i as f64 / self.0.len() as f64, j as f64 / other.0.len() as f64);
            distance = distance.max((shares.0 - shares.1).abs());
        }
        distance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations() {
        let of = |rows: &[(f64, f64)]| {
            let mut sums = Sums::default();
            rows.iter().for_each(|&row| sums.add(row, 1.0));
            sums.correlation()
        };
        assert_eq!(of(&[(1.0, 5.0), (2.0, 7.0), (f64::NAN, 9.0), (3.0, 9.0)]), 1.0);
        assert_eq!(of(&[(1e12, 3.0), (1e12 + 1.0, 2.0), (1e12 + 2.0, 1.0)]), -1.0);
        assert!(of(&[(1.0, 5.0), (2.0, 5.0)]).is_nan());
        assert!(of(&[]).is_nan());
    }

    #[test]
    fn distances() {
        let of = |a: &[f64], b: &[f64]| {
            let (mut first, mut second) = (Sorted::default(), Sorted::default());
            a.iter().for_each(|&v| first.insert(v));
            b.iter().for_each(|&v| second.insert(v));
            first.distance(&second)
        };
        assert_eq!(of(&[3.0, 1.0, 2.0], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(of(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(of(&[1.0, 2.0], &[2.0, 3.0]), 0.5);
        assert!(of(&[f64::NAN], &[1.0]).is_nan());
    }
}

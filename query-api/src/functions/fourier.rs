//! Series as sums of waves: discrete Fourier transforms. Unknown values count as zero.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;
use std::f64::consts::PI;

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::new(
        &["fft"],
        Group::Transform,
        &[
            SERIES_LIST,
            Param::optional("mode", Kind::Text, Fixed::Text("both"))
                .options(&["abs", "both", "phase"]),
        ],
        "The waves that each series is made of, by frequency: their sizes, their phases, or both.",
        fft,
    ),
    Function::new(
        &["ifft"],
        Group::Transform,
        &[SERIES_LIST, Param::optional("phaseSeriesList", Kind::SeriesList, Fixed::None)],
        "The sizes of the sums of waves that are given by their sizes and, in a second list, \
         their phases: the inverse of fft.",
        ifft,
    ),
    Function::new(
        &["lowPass", "lpf"],
        Group::Transform,
        &[SERIES_LIST, Param::required("cutPercent", Kind::Float)],
        "For results of fft: keeps the slowest waves, a percentage of all, and makes the others \
         unknown.",
        low_pass,
    ),
];

/// A complex number.
type Complex = (f64, f64);

fn multiplied(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn fft(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let mode = call.text(1).to_owned();
    let mut results = Vec::new();
    for series in call.take_series(0) {
        call.evaluator.source.reserve(series.values.len().saturating_mul(8))?;
        let waves = transformed(series.values.iter().map(|&v| (known(v), 0.0)).collect());
        let mut push = |part: &str, value: fn(&Complex) -> f64| {
            if mode == part || mode == "both" {
                let name = format!("fft({},{part})", series.name);
                let values = waves.iter().map(value).collect();
                results.push(series.clone().with_values(values).renamed(name));
            }
        };
        push("abs", |wave| wave.0.hypot(wave.1));
        push("phase", |wave| wave.1.atan2(wave.0));
    }
    Ok(results)
}

fn known(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

fn ifft(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let sizes = call.take_series(0);
    let mut phases = call.take_series(1).into_iter();
    let mut results = Vec::with_capacity(sizes.len());
    for series in sizes {
        call.evaluator.source.reserve(series.values.len().saturating_mul(8))?;
        let (name, phases) = match phases.next() {
            Some(phase) => (format!("ifft({},{})", series.name, phase.name), phase.values.to_vec()),
            None => (format!("ifft({})", series.name), Vec::new()),
        };
        let phases = phases.into_iter().chain(std::iter::repeat(0.0));
        let waves = series.values.iter().zip(phases).map(|(&size, phase)| {
            let (sin, cos) = known(phase).sin_cos();
            // The inverse is the transform of the conjugates, up to its scale.
            (known(size) * cos, -known(size) * sin)
        });
        let count = series.values.len() as f64;
        let sums = transformed(waves.collect());
        let values = sums.iter().map(|sum| sum.0.hypot(sum.1) / count).collect();
        results.push(series.with_values(values).renamed(name));
    }
    Ok(results)
}

fn low_pass(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let cut = call.float(1);
    call.each(|series| {
        let name = format!("lowPass({},{})", series.name, crate::encode::percent_g(cut));
        let len = series.values.len();
        // A cast saturates: negative and unknown shares keep nothing.
        let kept = ((cut / 200.0 * len as f64) as usize).min(len);
        let mut values = series.values.to_vec();
        if let Some(middle) = values.get_mut(kept..len - kept) {
            middle.fill(f64::NAN);
        }
        series.with_values(values).renamed(name)
    })
}

/// The discrete Fourier transform of any number of values, in n log n steps: that of a power of
/// two by halving, others by Bluestein's way through one of those.
fn transformed(values: Vec<Complex>) -> Vec<Complex> {
    let count = values.len();
    if count.is_power_of_two() || count == 0 {
        let mut values = values;
        halved(&mut values);
        return values;
    }
    let size = (2 * count - 1).next_power_of_two();
    // The square modulo twice the count keeps the angle's digits.
    let chirp = |index: usize| {
        let square = (index as u128 * index as u128 % (2 * count as u128)) as f64;
        let (sin, cos) = (PI * square / count as f64).sin_cos();
        (cos, -sin)
    };
    let mut left = vec![(0.0, 0.0); size];
    let mut right = vec![(0.0, 0.0); size];
    for (index, &value) in values.iter().enumerate() {
        let (cos, sin) = chirp(index);
        left[index] = multiplied(value, (cos, sin));
        right[index] = (cos, -sin);
        right[(size - index) % size] = (cos, -sin);
    }
    halved(&mut left);
    halved(&mut right);
    // The inverse is the transform of the conjugates, up to its scale.
    for (a, &b) in left.iter_mut().zip(&right) {
        let (re, im) = multiplied(*a, b);
        *a = (re, -im);
    }
    halved(&mut left);
    let scale = size as f64;
    let unwound = left.iter().take(count).enumerate();
    unwound.map(|(index, &(re, im))| multiplied((re / scale, -im / scale), chirp(index))).collect()
}

/// The transform of as many values as a power of two, in place.
fn halved(values: &mut [Complex]) {
    let count = values.len();
    if count < 2 {
        return;
    }
    let shift = usize::BITS - count.trailing_zeros();
    for index in 0..count {
        let mirrored = index.reverse_bits() >> shift;
        if index < mirrored {
            values.swap(index, mirrored);
        }
    }
    let mut width = 2;
    while width <= count {
        let half = width / 2;
        for start in (0..count).step_by(width) {
            for offset in 0..half {
                let (sin, cos) = (-2.0 * PI * offset as f64 / width as f64).sin_cos();
                let even = values[start + offset];
                let odd = multiplied(values[start + offset + half], (cos, sin));
                values[start + offset] = (even.0 + odd.0, even.1 + odd.1);
                values[start + offset + half] = (even.0 - odd.0, even.1 - odd.1);
            }
        }
        width *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, in n * n steps.
    fn naive(values: &[Complex]) -> Vec<Complex> {
        let count = values.len();
        let wave = |k: usize| {
            values.iter().enumerate().fold((0.0, 0.0), |sum: Complex, (n, &value)| {
                let (sin, cos) = (-2.0 * PI * (k * n % count) as f64 / count as f64).sin_cos();
                let term = multiplied(value, (cos, sin));
                (sum.0 + term.0, sum.1 + term.1)
            })
        };
        (0..count).map(wave).collect()
    }

    #[test]
    fn fast_equals_naive() {
        for count in [0_usize, 1, 2, 3, 5, 8, 12, 31, 64, 100] {
            let values: Vec<Complex> =
                (0..count).map(|i| ((i * i % 7) as f64, (i % 3) as f64)).collect();
            for (fast, slow) in transformed(values.clone()).iter().zip(naive(&values)) {
                assert!((fast.0 - slow.0).hypot(fast.1 - slow.1) < 1e-9, "{count}");
            }
        }
    }
}

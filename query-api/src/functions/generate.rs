//! Series made of nothing but the time.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Fractions, Function, Group, Kind, Param};
use crate::series::Series;

const NAME: Param = Param::required("name", Kind::Text);
const STEP: Param = Param::optional("step", Kind::Integer, Fixed::Integer(60));

pub(super) const FUNCTIONS: [Function; 4] = [
    Function::new(
        &["timeFunction", "time"],
        Group::Transform,
        &[NAME, STEP],
        "A series whose values are their own times, in Unix seconds.",
        |call| {
            let step_s = call.integer(1);
            generated(call, step_s, |time_s| time_s as f64)
        },
    ),
    Function::new(
        &["sinFunction", "sin"],
        Group::Transform,
        &[
            NAME,
            Param::optional("amplitude", Kind::Integer, Fixed::Integer(1))
                .fractions(Fractions::Kept),
            STEP,
        ],
        "A sine wave of the time in seconds.",
        |call| {
            let (amplitude, step_s) = (call.float(1), call.integer(2));
            generated(call, step_s, |time_s| (time_s as f64).sin() * amplitude)
        },
    ),
    Function::new(
        &["identity"],
        Group::Calculate,
        &[NAME],
        "A series whose values are their own times, in Unix seconds, one a minute.",
        |call| {
            let path_expression = format!("identity(\"{}\")", call.text(0));
            let mut list = generated(call, 60, |time_s| time_s as f64)?;
            for series in &mut list {
                series.path_expression = path_expression.as_str().into();
                series.is_integer = true;
            }
            Ok(list)
        },
    ),
    Function::new(
        &["randomWalk", "randomWalkFunction"],
        Group::Special,
        &[NAME, STEP],
        "A walk of random steps of at most a half, for tests. The same name and time give the \
         same walk.",
        |call| {
            let step_s = call.integer(1);
            let mut random = Random::new(call.text(0), call.window.from_s);
            let mut position = 0.0;
            generated(call, step_s, |_| {
                let here = position;
                position += random.fraction() - 0.5;
                here
            })
        },
    ),
];

/// A series named after the first parameter, from the begin of the window until its end.
fn generated(
    call: &mut Call<'_, '_>,
    step_s: i64,
    mut value: impl FnMut(i64) -> f64,
) -> Result<Vec<Series>, FunctionError> {
    let name = call.text(0).to_owned();
    if step_s <= 0 {
        return Err(FunctionError::Input(format!("step {step_s} of {name} is not positive")));
    }
    let (from_s, until_s) = (call.window.from_s, call.window.until_s);
    let span_s = until_s.saturating_sub(from_s).max(0);
    let count = span_s / step_s + i64::from(span_s % step_s != 0);
    call.evaluator.source.reserve(usize::try_from(count).unwrap_or(usize::MAX))?;
    let values = (0..count).map(|index| value(from_s + index * step_s)).collect();
    let series = call.built(name, from_s, step_s, values);
    Ok(vec![Series { end_s: until_s, ..series }])
}

/// Numbers without a pattern that anybody would see (SplitMix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(name: &str, from_s: i64) -> Self {
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed ^ from_s.unsigned_abs())
    }

    /// A number from 0 to below 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn random_numbers_repeat_and_spread() {
        let draw = |name: &str| {
            let mut random = Random::new(name, 60);
            (0..1000).map(|_| random.fraction()).collect::<Vec<f64>>()
        };
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
        let mean = draw("a").iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert!(draw("a").iter().all(|v| (0.0..1.0).contains(v)));
    }
}

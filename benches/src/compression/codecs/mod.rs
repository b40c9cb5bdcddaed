//! The codecs.
//!
//! | module | what | whose code |
//! |---|---|---|
//! | [`ours`] | Silverback's chunks: Gorilla, sealed, cold | `silverback-formats` |
//! | [`whisper`] | points of plain whisper files; cwhisper's bit stream | here; `silverback-formats` |
//! | [`paper`] | Gorilla as the paper has it, with times | `silverback-formats` |
//! | [`chimp128`] | Chimp with 128 previous values | here, after the paper |
//! | [`alp`] | ALP and its form for real doubles | here, after the paper |
//! | [`crates`] | pco, zstd | the crates |

mod alp;
mod chimp128;
mod crates;
mod ours;
mod packed;
mod paper;
mod whisper;

use super::set::Stretch;

/// Something that turns stretches into bytes and back.
pub(super) trait Codec {
    fn name(&self) -> &'static str;

    /// What it is, for the report.
    fn about(&self) -> &'static str;

    /// Whether its bytes say when each point was. To the others' bytes those are added that our
    /// chunk takes for it.
    fn keeps_times(&self) -> bool {
        false
    }

    /// Appends the stretch to `out`.
    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>);

    /// Appends the values that `encode` made `bytes` of to `out`; the stretch is asked for no more
    /// than what a reader knows beforehand: step, and how many values there are.
    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>);
}

/// All codecs, ours last.
pub(super) fn all() -> Vec<Box<dyn Codec>> {
    vec![
        Box::new(whisper::Whisper),
        Box::new(whisper::Cwhisper),
        Box::new(paper::Paper),
        Box::new(chimp128::Chimp128),
        Box::new(alp::Alp::default()),
        Box::new(crates::Zstd),
        Box::new(crates::Pco),
        Box::new(ours::Gorilla),
        Box::new(ours::Chunks::sealed()),
        Box::new(ours::Chunks::cold()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::set::{Series, Set};

    /// Values that codecs find hard, and easy ones between them.
    fn values() -> Vec<Option<f64>> {
        let hostile = [f64::NAN, f64::INFINITY, -0.0, 5e-324, -1e300, 0.1, 2.296_000_000_000_000_3];
        let mut noise: u64 = 1;
        let mut value = |slot: usize| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match slot / 500 % 5 {
                0 => (noise >> 54) as f64 / 100.0,
                1 => f64::from_bits(noise | 1),
                2 => hostile[slot % hostile.len()],
                3 => slot as f64,
                _ => 1.0 + (noise >> 12) as f64 * 1e-17,
            }
        };
        (0..5000).map(|slot| (slot % 97 != 3).then(|| value(slot))).collect()
    }

    #[test]
    fn all_codecs_give_back_what_they_got() {
        let series =
            Series { name: "a".into(), step_s: 60, start_s: 1_700_000_040, values: values() };
        let set = Set { name: "s".into(), series: vec![series] };
        for mut codec in all() {
            for slots in [7, 1000, 4096] {
                for stretch in set.stretches(slots) {
                    let (mut bytes, mut values) = (Vec::new(), Vec::new());
                    codec.encode(&stretch, &mut bytes);
                    codec.decode(&bytes, &stretch, &mut values);
                    let bits =
                        |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&values), bits(&stretch.values), "{}", codec.name());
                }
            }
        }
    }
}

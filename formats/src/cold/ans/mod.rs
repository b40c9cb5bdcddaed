//! Residuals as the class that each falls into and its place in the class.
//!
//! Classes are coded by asymmetric numeral systems in the form of a table (tANS): a class whose
//! frequency is 1 in 2^b takes b bits on average, and b need not be a whole number. Four states
//! take turns, so that a processor looks up the next residuals while it is busy with one.
//!
//! ```text
//! most significant bit first:
//!   L, 4 bits │ classes less 1, 9 bits
//!   a class: w, 6 bits │ distance of its least member from the one before less 1
//!            (of the first: its least member), w bits; w = 63: 64 bits
//!            │ e, 6 bits │ weight less 1, L bits
//!   four states, L bits each; as many as there are residuals if these are fewer
//!   a residual: bits for the next state │ its place in the class, e bits
//! ```
//!
//! Weights sum to 2^L. A writer codes from the last residual to the first and starts with states of
//! 0; so a reader ends with them, or knows that the bytes are damaged.
//!
//! | module | part |
//! |---|---|
//! | `writer` | residuals → bytes: weights, states |
//! | `table` | classes → what a reader does in each state |
//! | `reader` | bytes → residuals |

mod reader;
mod table;
mod writer;

pub(super) use reader::Reader;
pub(super) use writer::write;

use super::bins::BINS_MAX;

/// States that take turns.
const LANES: usize = 4;

/// Most bits of a state.
const STATE_BITS_MAX: u32 = 11;

/// A width that says 64.
const WIDTH_64: u64 = 63;

/// Calls `visit` with each state and its class: spread evenly, so that each class meets states of
/// all sizes.
fn spread(weights: impl Iterator<Item = u32>, state_bits: u32, mut visit: impl FnMut(usize, u16)) {
    let states = 1usize << state_bits;
    // Odd, so that it comes by every state.
    let step = ((states >> 1) + (states >> 3) + 3) | 1;
    let mut state = 0;
    for (class, weight) in (0..).zip(weights) {
        for _ in 0..weight {
            visit(state, class);
            state = (state + step) & (states - 1);
        }
    }
}

const _: () = assert!(BINS_MAX <= 1 << 9 && BINS_MAX <= 1 << STATE_BITS_MAX);

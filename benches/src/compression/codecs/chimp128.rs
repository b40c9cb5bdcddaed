//! Chimp128: XOR with the one of the last 128 values that shares most of its low bits. After
//! Liakos, Papakonstantinopoulou, Kotidis, *Chimp: Efficient Lossless Floating Point Compression for
//! Time Series Databases* (VLDB 2022).

use super::Codec;
use crate::compression::set::Stretch;
use silverback_formats::bits::{BitReader, BitWriter};

/// Values that are kept to refer to.
const PREVIOUS: usize = 128;

/// Bits of a reference.
const INDEX_BITS: u32 = 7;

/// Trailing zeros from which a reference pays off.
const THRESHOLD: u32 = 6 + INDEX_BITS;

/// Low bits by which a value to refer to is found.
const KEY_BITS: u32 = THRESHOLD + 1;

/// Leading zeros that three bits can say.
const LEADS: [u32; 8] = [0, 8, 12, 16, 18, 20, 22, 24];

/// Chimp with 128 previous values.
#[derive(Debug)]
pub(super) struct Chimp128;

/// The code of the most leading zeros that are no more than those of `xor`.
fn lead_code(xor: u64) -> usize {
    LEADS.partition_point(|lead| *lead <= xor.leading_zeros()) - 1
}

impl Codec for Chimp128 {
    fn name(&self) -> &'static str {
        "chimp128"
    }

    fn about(&self) -> &'static str {
        "written for this comparison after the paper of 2022"
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        let mut bits = BitWriter::new();
        let mut by_key = vec![usize::MAX; 1 << KEY_BITS];
        let values = &stretch.values;
        // The code of the lead that is kept; none at first.
        let mut lead = LEADS.len();
        for (at, value) in values.iter().enumerate() {
            let value = value.to_bits();
            let key = (value & ((1 << KEY_BITS) - 1)) as usize;
            let found = std::mem::replace(&mut by_key[key], at);
            if at == 0 {
                bits.put(value, 64);
                continue;
            }
            let is_near = found != usize::MAX && at - found <= PREVIOUS;
            let shared = is_near.then(|| (found, value ^ values[found].to_bits()));
            let shared = shared.filter(|(_, xor)| xor.trailing_zeros() > THRESHOLD);
            lead = match shared {
                Some((found, 0)) => {
                    bits.put((found % PREVIOUS) as u64, 2 + INDEX_BITS);
                    LEADS.len()
                }
                Some((found, xor)) => {
                    let code = lead_code(xor);
                    let length = 64 - LEADS[code] - xor.trailing_zeros();
                    bits.put(1, 2);
                    bits.put((found % PREVIOUS) as u64, INDEX_BITS);
                    bits.put(code as u64, 3);
                    bits.put(length.into(), 6);
                    bits.put(xor >> xor.trailing_zeros(), length);
                    LEADS.len()
                }
                None => put_plain(&mut bits, value ^ values[at - 1].to_bits(), lead),
            };
        }
        bits.payload_into(out);
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        decode(bytes, stretch.values.len(), out).expect("it was just encoded");
    }
}

/// The XOR with the value before; gives the code of the lead that is kept then.
fn put_plain(bits: &mut BitWriter, xor: u64, lead: usize) -> usize {
    let code = lead_code(xor);
    let length = 64 - LEADS[code];
    if code == lead {
        bits.put(2, 2);
    } else {
        bits.put(3, 2);
        bits.put(code as u64, 3);
    }
    bits.put(xor, length);
    code
}

fn decode(
    bytes: &[u8],
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), silverback_formats::bits::OutOfBits> {
    let mut bits = BitReader::new(bytes);
    let start = out.len();
    let mut previous = bits.take(64)?;
    out.push(f64::from_bits(previous));
    let mut lead = 0;
    for at in 1..count {
        let word = bits.peek();
        // The place of the newest value whose place in the ring is `index`.
        let referred = |index: usize| start + at - 1 - (at - 1 + PREVIOUS - index) % PREVIOUS;
        let index = (word << 2 >> (64 - INDEX_BITS)) as usize;
        previous = match word >> 62 {
            0 => {
                bits.skip(2 + INDEX_BITS)?;
                out[referred(index)].to_bits()
            }
            1 => {
                let code = (word << (2 + INDEX_BITS) >> 61) as usize;
                let length = (word << (5 + INDEX_BITS) >> 58) as u32;
                bits.skip(11 + INDEX_BITS)?;
                let trail = 64 - LEADS[code] - length;
                out[referred(index)].to_bits() ^ bits.take(length)? << trail
            }
            form => {
                bits.skip(2)?;
                if form == 3 {
                    lead = bits.take(3)? as usize;
                }
                previous ^ bits.take(64 - LEADS[lead])?
            }
        };
        out.push(f64::from_bits(previous));
    }
    Ok(())
}

//! Numbers packed by so many bits each, least significant first.

/// Appends the low `width` bits of each number, 0 to 64.
pub(super) fn pack(numbers: impl IntoIterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut pending, mut bits) = (0u128, 0);
    for number in numbers {
        pending |= u128::from(number) << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
}

/// Bytes of `count` numbers.
pub(super) const fn len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// The `count` numbers of `bytes`.
pub(super) fn unpack(bytes: &[u8], width: u32, count: usize) -> impl Iterator<Item = u64> {
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    (0..count).map(move |index| {
        let bit = index * width as usize;
        let (at, shift) = (bit / 8, bit % 8);
        let word = match bytes.get(at..at + 16) {
            Some(bytes) => u128::from_le_bytes(bytes.try_into().expect("16 bytes")),
            None => {
                let mut last = [0; 16];
                let rest = &bytes[at.min(bytes.len())..];
                last[..rest.len()].copy_from_slice(rest);
                u128::from_le_bytes(last)
            }
        };
        (word >> shift) as u64 & mask
    })
}

/// Bits of a number.
pub(super) const fn width(number: u64) -> u32 {
    64 - number.leading_zeros()
}

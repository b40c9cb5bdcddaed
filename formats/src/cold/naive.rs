//! The reader again, straight from the format's description: bit by bit, in wide integers, nothing
//! shared with the real thing.

use super::{Backend, Model};

/// Bits of bytes, taken one by one.
struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn bit(&mut self, at: impl Fn(usize) -> usize) -> Option<u128> {
        let byte = *self.bytes.get(self.position / 8)?;
        let bit = byte >> at(self.position % 8) & 1;
        self.position += 1;
        Some(bit.into())
    }

    /// Most significant bit first.
    fn high_first(&mut self, len: usize) -> Option<u128> {
        (0..len).try_fold(0, |number, _| Some(number << 1 | self.bit(|at| 7 - at)?))
    }

    /// Least significant bit first.
    fn low_first(&mut self, len: usize) -> Option<u128> {
        (0..len).try_fold(0, |number, index| Some(number | self.bit(|at| at)? << index))
    }

    /// Goes on at the next byte.
    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }

    fn byte(&mut self) -> Option<usize> {
        self.low_first(8).map(|byte| byte as usize)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number: u128 = 0;
        for index in 0..10 {
            let byte = self.byte()?;
            number |= (byte as u128 & 0x7f) << (7 * index);
            if byte < 0x80 {
                let shortest = byte > 0 || index == 0;
                return u64::try_from(number).ok().filter(|_| shortest);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }
}

fn unzigzag(number: u64) -> i64 {
    let half = i64::try_from(number / 2).unwrap();
    if number.is_multiple_of(2) { half } else { -half - 1 }
}

fn pfor(bits: &mut Bits<'_>, count: usize) -> Option<Vec<u64>> {
    let mut all = Vec::new();
    while all.len() < count {
        let block = 64.min(count - all.len());
        let head = bits.byte()?;
        let width = head % 128;
        let (patches, high) = if head < 128 { (0, 0) } else { (bits.byte()?, bits.byte()?) };
        if width > 64 || width + high > 64 || patches > block {
            return None;
        }
        let low: Option<Vec<u128>> = (0..block).map(|_| bits.low_first(width)).collect();
        let mut values = low?;
        bits.align();
        let positions: Option<Vec<usize>> = (0..patches).map(|_| bits.byte()).collect();
        for position in positions? {
            *values.get_mut(position)? |= bits.low_first(high)? << width;
        }
        bits.align();
        all.extend(values.iter().map(|value| *value as u64));
    }
    Some(all)
}

fn rice(bits: &mut Bits<'_>, count: usize) -> Option<Vec<u64>> {
    let (mut all, mut k) = (Vec::new(), 0);
    for index in 0..count {
        if index % 64 == 0 {
            k = bits.high_first(6)? as usize;
        }
        if k == 63 {
            all.push(0);
            continue;
        }
        let mut quotient = 0;
        while quotient < 20 && bits.high_first(1)? == 0 {
            quotient += 1;
        }
        all.push(if quotient < 20 {
            (quotient << k | bits.high_first(k)?) as u64
        } else {
            let len = bits.high_first(6)? as usize + 1;
            bits.high_first(len)? as u64
        });
    }
    padding(bits)?;
    Some(all)
}

fn padding(bits: &mut Bits<'_>) -> Option<()> {
    let left = bits.position.next_multiple_of(8) - bits.position;
    (bits.high_first(left)? == 0).then_some(())
}

/// A class: least member, bits of the place, weight.
type Class = (u128, usize, usize);

fn ans(bits: &mut Bits<'_>, count: usize) -> Option<Vec<u64>> {
    if count == 0 {
        return Some(Vec::new());
    }
    let state_bits = bits.high_first(4)? as usize;
    let classes = bits.high_first(9)? as usize + 1;
    let mut least = 0u128;
    let classes: Option<Vec<Class>> = (0..classes)
        .map(|_| {
            let width = bits.high_first(6)? as usize;
            least += bits.high_first(if width == 63 { 64 } else { width })?;
            let extra = bits.high_first(6)? as usize;
            let weight = bits.high_first(state_bits)? as usize + 1;
            let class = (least, extra, weight);
            least += 1;
            (extra <= 62).then_some(class)
        })
        .collect();
    let classes = classes?;
    let size = 1 << state_bits;
    let sum: usize = classes.iter().map(|class| class.2).sum();
    if state_bits > 11 || sum != size {
        return None;
    }
    let of_state = spread(&classes, size);
    let states: Option<Vec<usize>> =
        (0..count.min(4)).map(|_| Some(bits.high_first(state_bits)? as usize)).collect();
    let mut states = states?;
    let mut all = Vec::new();
    for index in 0..count {
        let state = &mut states[index % 4];
        let (class, mut number) = of_state[*state];
        while number < size {
            number = number * 2 + bits.high_first(1)? as usize;
        }
        *state = number - size;
        let (least, extra, _) = classes[class];
        all.push((least + bits.high_first(extra)?) as u64);
    }
    padding(bits)?;
    states.iter().all(|state| *state == 0).then_some(all)
}

/// Of each state, its class and its number: `weight` and on.
fn spread(classes: &[Class], size: usize) -> Vec<(usize, usize)> {
    let step = (size / 2 + size / 8 + 3) | 1;
    let mut class_of = vec![None; size];
    let mut state = 0;
    for (class, &(_, _, weight)) in classes.iter().enumerate() {
        for _ in 0..weight {
            class_of[state] = Some(class);
            state = (state + step) % size;
        }
    }
    let mut next: Vec<usize> = classes.iter().map(|class| class.2).collect();
    let numbered = |class: Option<usize>| {
        let class = class.unwrap();
        next[class] += 1;
        (class, next[class] - 1)
    };
    class_of.into_iter().map(numbered).collect()
}

fn stream(bits: &mut Bits<'_>, backend: Backend, count: usize) -> Option<Vec<u64>> {
    match backend {
        Backend::Pfor => pfor(bits, count),
        Backend::Rice => rice(bits, count),
        Backend::Ans => ans(bits, count),
    }
}

/// The residuals of a stream that `bytes` are, or None where it is damaged.
pub(super) fn residuals(bytes: &[u8], backend: Backend, count: usize) -> Option<Vec<u64>> {
    let mut bits = Bits { bytes, position: 0 };
    let residuals = stream(&mut bits, backend, count)?;
    (bits.position.div_ceil(8) == bytes.len()).then_some(residuals)
}

/// What a tag multiplies by and divides by; None: the integer is the double itself.
fn fraction(tag: usize) -> Option<Option<(f64, f64)>> {
    let power = |places: usize| format!("1e{places}").parse::<f64>().unwrap();
    match tag {
        0..=22 => Some(Some((1.0, power(tag)))),
        33..=77 => Some(Some((1.0, 2f64.powi(tag as i32 - 32)))),
        209..=230 => Some(Some((power(tag - 208), 1.0))),
        255 => Some(None),
        112..=195 if tag % 16 < 4 => {
            let factor = [3.0, 6.0, 7.0, 9.0, 12.0, 15.0][tag / 16 - 7];
            Some(Some((1.0, factor * power(tag % 16))))
        }
        _ => None,
    }
}

fn order(bits: u64) -> u64 {
    if bits >> 63 == 0 { bits } else { bits ^ (u64::MAX >> 1) }
}

/// Values and the integers that they were made of.
struct Numeric {
    values: Vec<u64>,
    integers: Vec<i64>,
    /// The integers are the values.
    plain: bool,
}

fn numeric(bits: &mut Bits<'_>, backend: Backend, count: usize) -> Option<Numeric> {
    let tag = bits.byte()?;
    let fraction = fraction(tag)?;
    let head = bits.byte()?;
    let (mode, has) = (head % 8, |flag: usize| head & flag != 0);
    let (corrected, excepted) = (has(8), has(32));
    if mode > 4 || has(128) || (fraction.is_none() && (corrected || excepted)) {
        return None;
    }
    let (mut step, mut offset) = (1, 0);
    if has(16) {
        step = i64::try_from(bits.varint()?).ok().filter(|step| *step > 1)?;
        offset = bits.zigzag()?;
    }
    let mut exceptions = Vec::new();
    if excepted {
        let found = bits.varint()?;
        if found == 0 || found > count as u64 {
            return None;
        }
        let mut position = 0u128;
        for index in 0..found {
            let distance = bits.varint()?;
            position += u128::from(distance);
            if position >= count as u128 || (distance == 0 && index > 0) {
                return None;
            }
            exceptions.push((position as usize, bits.low_first(64)? as u64));
        }
    }
    let numbers = numbers(bits, backend, mode, count)?;
    let integers: Vec<i64> =
        numbers.into_iter().map(|n| offset.wrapping_add(step.wrapping_mul(n))).collect();
    let value = |&integer: &i64| match fraction {
        None => order(integer as u64),
        Some((factor, denominator)) if has(64) => {
            let magic = 1.5 * 2f64.powi(52);
            let sum = f64::from_bits(magic.to_bits().wrapping_add(integer as u64));
            ((sum - magic) * factor / denominator).to_bits()
        }
        Some((factor, denominator)) => (integer as f64 * factor / denominator).to_bits(),
    };
    let mut values: Vec<u64> = integers.iter().map(value).collect();
    if corrected {
        for (value, ulps) in values.iter_mut().zip(stream(bits, backend, count)?) {
            *value = order(order(*value).wrapping_add(unzigzag(ulps) as u64));
        }
    }
    exceptions.into_iter().for_each(|(position, bits)| values[position] = bits);
    Some(Numeric { values, integers, plain: tag == 0 && !corrected && !excepted })
}

/// Residuals back to numbers.
fn numbers(bits: &mut Bits<'_>, backend: Backend, mode: usize, count: usize) -> Option<Vec<i64>> {
    let first = bits.zigzag()?;
    let second = if mode > 2 { bits.zigzag()? } else { 0 };
    let in_header = [count, 0, 1, 2, 1][mode].min(count);
    let residuals = stream(bits, backend, count - in_header)?;
    let residuals = residuals.into_iter();
    if mode == 1 {
        return Some(residuals.map(|residual| first.wrapping_add(residual as i64)).collect());
    }
    let mut deltas: Vec<i64> = match mode {
        0 => vec![0; count - 1],
        2 => residuals.map(unzigzag).collect(),
        3 => {
            let mut deltas = vec![second; in_header - 1];
            for residual in residuals {
                deltas.push(deltas.last()?.wrapping_add(unzigzag(residual)));
            }
            deltas
        }
        _ => residuals.map(|residual| second.wrapping_add(residual as i64)).collect(),
    };
    deltas.insert(0, first);
    let mut sum = 0i64;
    Some(
        deltas
            .into_iter()
            .map(|delta| {
                sum = sum.wrapping_add(delta);
                sum
            })
            .collect(),
    )
}

/// The bits of the values of `payload`, or None where it is damaged.
pub(super) fn decode(payload: &[u8], way: (Model, Backend), count: u32) -> Option<Vec<u64>> {
    let (model, backend) = way;
    let count = count as usize;
    let whole = |bytes: &[u8], count| {
        let mut bits = Bits { bytes, position: 0 };
        let numeric = numeric(&mut bits, backend, count)?;
        (bits.position.div_ceil(8) == bytes.len()).then_some(numeric)
    };
    if model == Model::Numeric {
        return whole(payload, count).map(|numeric| numeric.values);
    }
    let mut bits = Bits { bytes: payload, position: 0 };
    let distinct = bits.varint()?;
    if distinct == 0 || distinct > 4096.min(count as u64) {
        return None;
    }
    let len = usize::try_from(bits.varint()?).ok()?;
    let (distinct_bytes, rest) = payload[bits.position / 8..].split_at_checked(len)?;
    let distinct = whole(distinct_bytes, distinct as usize)?.values;
    let numbers = whole(rest, count).filter(|numbers| numbers.plain)?.integers;
    let value = |number: i64| distinct.get(usize::try_from(number).ok()?).copied();
    numbers.into_iter().map(value).collect()
}

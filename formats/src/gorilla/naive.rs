//! The encoding again, straight from its description: strings of '0' and '1',
//! nothing shared with the real thing.

use super::WindowRule;

/// The payload of `values`.
pub(super) fn encode(values: &[u64], rule: WindowRule) -> Vec<u8> {
    let mut text = String::new();
    let mut window: Option<(usize, usize)> = None;
    for (index, &value) in values.iter().enumerate() {
        if index == 0 {
            text += &format!("{value:064b}");
            continue;
        }
        let xor = format!("{:064b}", value ^ values[index - 1]);
        let lead = xor.chars().take_while(|&bit| bit == '0').count().min(31);
        let trail = xor.chars().rev().take_while(|&bit| bit == '0').count();
        if trail == 64 {
            text += "0";
            continue;
        }
        let kept = window.filter(|&(window_lead, window_trail)| {
            let (own, window) = (64 - lead - trail, 64 - window_lead - window_trail);
            lead >= window_lead
                && trail >= window_trail
                && (rule == WindowRule::Paper || window <= 11 + own)
        });
        if let Some((window_lead, window_trail)) = kept {
            text += "10";
            text += &xor[window_lead..64 - window_trail];
        } else {
            window = Some((lead, trail));
            text += &format!("11{lead:05b}{:06b}", (64 - lead - trail) % 64);
            text += &xor[lead..64 - trail];
        }
    }
    text += &"0".repeat(text.len().next_multiple_of(8) - text.len());
    let bytes = text.as_bytes().chunks(8);
    bytes.map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

/// The values of `payload`, or None where it is damaged.
pub(super) fn decode(payload: &[u8], count: u32) -> Option<Vec<u64>> {
    let text: String = payload.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut rest = text.as_str();
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at_checked(len)?;
        rest = left;
        u64::from_str_radix(taken, 2).ok()
    };
    let mut values: Vec<u64> = Vec::new();
    let mut window: Option<(usize, usize)> = None;
    for _ in 0..count {
        let Some(&previous) = values.last() else {
            values.push(take(64)?);
            continue;
        };
        if take(1)? == 0 {
            values.push(previous);
            continue;
        }
        if take(1)? == 1 {
            let (lead, length) = (take(5)? as usize, take(6)? as usize);
            window = Some((lead, if length == 0 { 64 } else { length }));
        }
        let (lead, length) = window.filter(|(lead, length)| lead + length <= 64)?;
        values.push(previous ^ (take(length)? << (64 - lead - length)));
    }
    (rest.len() < 8 && !rest.contains('1')).then_some(values)
}

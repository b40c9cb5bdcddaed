//! Reads the few opcodes of pickle that answers are written with.

use serde_json::Value;

/// Bytes still to be read.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk::<N>().unwrap();
        self.0 = rest;
        *head
    }

    fn text(&mut self) -> String {
        let len = u32::from_le_bytes(self.take()) as usize;
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        std::str::from_utf8(text).unwrap().to_owned()
    }
}

/// The value of a pickle of protocol 2.
pub(crate) fn unpickle(bytes: &[u8]) -> Value {
    let mut input = Input(bytes);
    assert_eq!(input.take(), [0x80, 2]);
    let (mut stack, mut marks) = (Vec::new(), Vec::new());
    loop {
        let value = match input.take::<1>()[0] {
            b'.' => break,
            b'(' => {
                marks.push(stack.len());
                continue;
            }
            b'e' | b'u' => {
                let items: Vec<Value> = stack.split_off(marks.pop().unwrap());
                match stack.last_mut().unwrap() {
                    Value::Array(list) => list.extend(items),
                    Value::Object(dict) => dict.extend(
                        items
                            .chunks(2)
                            .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone())),
                    ),
                    other => panic!("{other} has no items"),
                }
                continue;
            }
            b']' => Value::Array(Vec::new()),
            b'}' => Value::Object(serde_json::Map::new()),
            b'X' => Value::String(input.text()),
            b'J' => i32::from_le_bytes(input.take()).into(),
            b'N' => Value::Null,
            b'G' => float(f64::from_be_bytes(input.take())),
            other => panic!("opcode {other:#x} is not one that answers use"),
        };
        stack.push(value);
    }
    assert!(input.0.is_empty() && stack.len() == 1);
    stack.pop().unwrap()
}

/// A double as the recorded answers have it: infinities as words.
fn float(value: f64) -> Value {
    match value {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        value => value.into(),
    }
}

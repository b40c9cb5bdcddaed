//! MessagePack, written value by value: the types that Graphite answers use.
//!
//! Sizes of arrays and maps stand before their content, so the caller counts first.

/// Builds one MessagePack value.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An array; its `len` items follow.
    pub fn array(&mut self, len: usize) {
        self.sized(len, 0x90, 15, 0xdc);
    }

    /// A map; its `len` keys and values follow in turn.
    pub fn map(&mut self, len: usize) {
        self.sized(len, 0x80, 15, 0xde);
    }

    /// Text; bytes that are not UTF-8 are replaced.
    pub fn text(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        if let (32..=255, Ok(len)) = (text.len(), u8::try_from(text.len())) {
            self.0.extend_from_slice(&[0xd9, len]);
        } else {
            self.sized(text.len(), 0xa0, 31, 0xda);
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A double.
    pub fn float(&mut self, value: f64) {
        self.0.push(0xcb);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A whole number, in the fewest bytes that hold it.
    pub fn int(&mut self, value: i64) {
        if let Ok(tiny @ -32..=127) = i8::try_from(value) {
            self.0.extend_from_slice(&tiny.to_be_bytes());
        } else if let Ok(value) = u8::try_from(value) {
            self.0.extend_from_slice(&[0xcc, value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.tagged(0xcd, &value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.tagged(0xce, &value.to_be_bytes());
        } else if let Ok(value) = u64::try_from(value) {
            self.tagged(0xcf, &value.to_be_bytes());
        } else if let Ok(value) = i8::try_from(value) {
            self.tagged(0xd0, &value.to_be_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.tagged(0xd1, &value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.tagged(0xd2, &value.to_be_bytes());
        } else {
            self.tagged(0xd3, &value.to_be_bytes());
        }
    }

    /// Nothing.
    pub fn nil(&mut self) {
        self.0.push(0xc0);
    }

    /// True or false.
    pub fn bool(&mut self, value: bool) {
        self.0.push(0xc2 + u8::from(value));
    }

    /// The finished value.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(bytes);
    }

    /// A length in the shortest of three forms: in the low bits of `tiny`, or in the 16 bits
    /// after `wide`, or in the 32 bits after the tag that follows `wide`.
    fn sized(&mut self, len: usize, tiny: u8, tiny_max: u8, wide: u8) {
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(len), _) if len <= tiny_max => self.0.push(tiny | len),
            (_, Ok(len)) => {
                self.0.push(wide);
                self.0.extend_from_slice(&len.to_be_bytes());
            }
            _ => {
                let len = u32::try_from(len).expect("an answer holds less than 4 Gi items");
                self.0.push(wide + 1);
                self.0.extend_from_slice(&len.to_be_bytes());
            }
        }
    }
}

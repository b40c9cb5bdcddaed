//! Python pickle, protocol 2, written value by value.
//!
//! Only the opcodes for plain containers and scalars, which every restricted unpickler accepts.
//! Text is written as text (`BINUNICODE`); bytes that are not UTF-8 are replaced, since Python
//! would refuse the whole answer for one of them.
//!
//! Lists and dicts are opened and closed by the caller in the order of nesting.

/// Builds one pickle.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty pickle.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Goes on with a pickle that another writer has [paused](Self::pause).
    #[must_use]
    pub fn resumed() -> Self {
        Self(Vec::new())
    }

    /// What was written so far of a pickle that is not finished.
    #[must_use]
    pub fn pause(self) -> Vec<u8> {
        self.0
    }

    /// Opens a list; its items follow.
    pub fn begin_list(&mut self) {
        self.0.extend_from_slice(b"](");
    }

    /// Closes the list opened last.
    pub fn end_list(&mut self) {
        self.0.push(b'e');
    }

    /// Opens a dict; keys and values follow in turn.
    pub fn begin_dict(&mut self) {
        self.0.extend_from_slice(b"}(");
    }

    /// Closes the dict opened last.
    pub fn end_dict(&mut self) {
        self.0.push(b'u');
    }

    /// Makes a tuple of the two values written last.
    pub fn pair(&mut self) {
        self.0.push(0x86);
    }

    /// Text.
    pub fn text(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let len = u32::try_from(text.len()).expect("a name or a query is far below 4 GiB");
        self.0.push(b'X');
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A whole number.
    pub fn int(&mut self, value: i64) {
        if let Ok(small) = i32::try_from(value) {
            self.0.push(b'J');
            self.0.extend_from_slice(&small.to_le_bytes());
        } else {
            self.0.extend_from_slice(&[0x8a, 8]);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A double, big-endian as the format wants it.
    pub fn float(&mut self, value: f64) {
        self.0.push(b'G');
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// `True` or `False`.
    pub fn bool(&mut self, value: bool) {
        self.0.push(if value { 0x88 } else { 0x89 });
    }

    /// `None`.
    pub fn none(&mut self) {
        self.0.push(b'N');
    }

    /// The finished pickle.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(b'.');
        self.0
    }
}

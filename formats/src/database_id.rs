//! The id of a database, which tells it from all others, as text.
//!
//! ```text
//! id = random:24 check:8      hexadecimal digits, in lower case
//! ```
//!
//! The last eight are the CRC-32C of the others as text, so an id that was changed is no id, and
//! is not taken for that of another database.

use std::fmt;
use thiserror::Error;

/// Bytes that are chosen at random.
pub const RANDOM_BYTES: usize = 12;
const RANDOM_DIGITS: usize = 2 * RANDOM_BYTES;
const DIGITS: usize = RANDOM_DIGITS + 8;

/// Tells a database from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseId([u8; RANDOM_BYTES]);

/// The text is no id of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DatabaseIdError {
    /// It is something else, or was cut.
    #[error("no id of a database, which has {DIGITS} hexadecimal digits")]
    Form,
    /// Its digits do not belong together.
    #[error("id of a database whose checksum is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// What its random digits ask for.
        expected: u32,
        /// What it has.
        found: u32,
    },
}

impl DatabaseId {
    /// The id of these random bytes.
    #[must_use]
    pub fn new(random: [u8; RANDOM_BYTES]) -> Self {
        Self(random)
    }

    /// Reads an id, which an end of line may follow.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(text: &[u8]) -> Result<Self, DatabaseIdError> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| is_digit(&b)));
        let text = text.filter(|text| text.len() == DIGITS).ok_or(DatabaseIdError::Form)?;
        let (digits, check) = text.split_at(RANDOM_DIGITS);
        let number = |digits| u32::from_str_radix(digits, 16).map_err(|_| DatabaseIdError::Form);
        let (expected, found) = (crc32c::crc32c(digits.as_bytes()), number(check)?);
        if expected != found {
            return Err(DatabaseIdError::Checksum { expected, found });
        }
        let mut random = [0; RANDOM_BYTES];
        for (at, byte) in random.iter_mut().enumerate() {
            let digits = &digits[2 * at..2 * at + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| DatabaseIdError::Form)?;
        }
        Ok(Self(random))
    }
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(f, "{digits}{:08x}", crc32c::crc32c(digits.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::{DatabaseId, DatabaseIdError, RANDOM_BYTES};

    #[test]
    fn an_id_comes_back_and_no_changed_one_does() {
        for random in [[0; RANDOM_BYTES], [0xff; RANDOM_BYTES], *b"twelve bytes"] {
            let id = DatabaseId::new(random);
            let text = id.to_string();
            assert_eq!(DatabaseId::decode(text.as_bytes()), Ok(id));
            let line = text + "\n";
            assert_eq!(DatabaseId::decode(line.as_bytes()), Ok(id));
            for at in 0..line.len() - 1 {
                assert!(DatabaseId::decode(&line.as_bytes()[..at]).is_err(), "cut at {at}");
                for bit in 0..8 {
                    let mut changed = line.clone().into_bytes();
                    changed[at] ^= 1 << bit;
                    assert!(DatabaseId::decode(&changed).is_err(), "bit {bit} of {at}");
                }
            }
        }
        for other in ["", "\n", "00", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(DatabaseId::decode(other.as_bytes()), Err(DatabaseIdError::Form), "{other}");
        }
    }

    #[test]
    fn the_text_stays() {
        let golden = include_bytes!("../../tests/data/id/v1_id.txt");
        let id = DatabaseId::new(*b"twelve bytes");
        assert_eq!(DatabaseId::decode(golden), Ok(id));
        assert_eq!(format!("{id}\n").as_bytes(), golden);
    }
}

//! `/metrics/index.json`: every series by name, tagged ones in canonical form.
//!
//! Nodes have millions of names, so the list is written while it is sent.

use super::json_text::{self, Charset};
use crate::api::Api;
use crate::budget::Held;
use crate::listing;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::stream::Pieces;

/// Names in a piece of the answer.
const NAMES_AT_ONCE: usize = 8192;

/// Answers `/metrics/index.json`.
///
/// # Errors
/// When the limit of names is passed or the time is over, or `jsonp` is not a function's name.
pub fn index_json(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let callback = json_text::callback(request)?.map(str::to_owned);
    let charset = Charset::wanted(request);
    let content_type = match callback {
        Some(_) => "text/javascript",
        None => charset.content_type(),
    };
    let (names, held) = listing::names(api, request)?;
    let list = List { names, charset, callback, _held: held };
    Ok(Reply::new(content_type, api.desks.body(list)))
}

/// The answer.
struct List {
    names: Vec<Vec<u8>>,
    charset: Charset,
    callback: Option<String>,
    /// The memory of the names.
    _held: Held,
}

impl Pieces for List {
    fn count(&self) -> usize {
        self.names.len().div_ceil(NAMES_AT_ONCE).max(1)
    }

    fn write(&self, piece: usize) -> Vec<u8> {
        let names = self.names.chunks(NAMES_AT_ONCE).nth(piece).unwrap_or_default();
        let mut text = match (piece, &self.callback) {
            (0, Some(callback)) => format!("{callback}(["),
            (0, None) => "[".to_owned(),
            _ => ", ".to_owned(),
        };
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            text.push_str(&json_text::to_text(&String::from_utf8_lossy(name), self.charset, false));
        }
        if piece + 1 == self.count() {
            text.push_str(if self.callback.is_some() { "])" } else { "]" });
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[test]
    fn pieces_are_one_list() {
        for count in [0, 1, NAMES_AT_ONCE, NAMES_AT_ONCE + 1, 3 * NAMES_AT_ONCE] {
            let names: Vec<Vec<u8>> =
                (0..count).map(|i| format!("n.\u{e9}.{i}").into_bytes()).collect();
            for callback in [None, Some("cb".to_owned())] {
                let held = Budget::new(0).nothing();
                let (names, charset) = (names.clone(), Charset::Utf8);
                let list = List { names, charset, callback: callback.clone(), _held: held };
                let text: Vec<u8> = (0..list.count()).flat_map(|piece| list.write(piece)).collect();
                let text = String::from_utf8(text).unwrap();
                let text = match callback {
                    Some(_) => text.strip_prefix("cb(").unwrap().strip_suffix(')').unwrap(),
                    None => &text,
                };
                let read: Vec<String> = serde_json::from_str(text).unwrap();
                assert!(read.iter().map(String::as_bytes).eq(list.names.iter().map(Vec::as_slice)));
            }
        }
    }
}

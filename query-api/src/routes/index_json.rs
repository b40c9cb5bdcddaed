//! `/metrics/index.json`: every series by name, tagged ones in canonical form.

use super::json_text::{self, Charset};
use crate::api::Api;
use crate::listing::{self, Names, Spelling};
use crate::refusal::Refusal;
use crate::request::{Reply, Request};

/// Answers `/metrics/index.json`.
///
/// # Errors
/// When `jsonp` is not a function's name.
pub fn index_json(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let callback = json_text::callback(request)?.map(str::to_owned);
    let charset = Charset::wanted(request);
    let content_type = match callback {
        Some(_) => "text/javascript",
        None => charset.content_type(),
    };
    let body = listing::body(api, Names::all(api), List { charset, callback });
    Ok(Reply::new(content_type, body))
}

/// A list as Python spells it.
struct List {
    charset: Charset,
    callback: Option<String>,
}

impl Spelling for List {
    fn begin(&self, out: &mut Vec<u8>) {
        if let Some(callback) = &self.callback {
            out.extend_from_slice(callback.as_bytes());
            out.push(b'(');
        }
        out.push(b'[');
    }

    fn name(&self, name: &[u8], is_first: bool, out: &mut Vec<u8>) {
        if !is_first {
            out.extend_from_slice(b", ");
        }
        let text = json_text::to_text(&String::from_utf8_lossy(name), self.charset, false);
        out.extend_from_slice(text.as_bytes());
    }

    fn end(&self, _: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.callback.is_some() { b"])" } else { b"]" });
    }
}

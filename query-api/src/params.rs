//! Request parameters: query string and form body, merged the way Graphite clients rely on.
//!
//! Repeated names keep all their values, those of the query string first; where one value is
//! wanted the last one wins, so a body overrides the query string.

use std::borrow::Cow;

/// All parameters of one request, in order, query string first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Parses a query string and a form body (`application/x-www-form-urlencoded`, or the raw
    /// text Grafana sends under that type). Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn parse(query: Option<&str>, body: &[u8]) -> Self {
        let query = query.unwrap_or_default().as_bytes();
        // Grafana's editor posts the pattern of a find as it was typed: a plus in it is one.
        let is_raw = body.starts_with(b"query=") && memchr::memchr(b'%', body).is_none();
        let body = if is_raw { escaped_pluses(body) } else { Cow::Borrowed(body) };
        let body: &[u8] = &body;
        let pairs = form_urlencoded::parse(query).chain(form_urlencoded::parse(body));
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Parses a query string and a `multipart/form-data` body whose parts are divided by
    /// `boundary`. Parts without a name are left out; a body cut short ends with its last whole
    /// part.
    #[must_use]
    pub fn parse_multipart(query: Option<&str>, boundary: &str, body: &[u8]) -> Self {
        let mut params = Self::parse(query, b"");
        let divider = format!("--{boundary}");
        // The text before the first divider is a preamble; each part ends where the next
        // divider begins.
        let mut rest = split_once(body, divider.as_bytes()).map_or(&[][..], |(_, rest)| rest);
        while let Some((part, next)) = split_once(rest, divider.as_bytes()) {
            params.0.extend(field(part));
            rest = next;
        }
        params
    }

    /// Every value of `name`; of `name[]` when there is none under the plain spelling.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let plain: Vec<&str> = self.values(name).collect();
        if plain.is_empty() { self.values(&format!("{name}[]")).collect() } else { plain }
    }

    /// The last value of `name`.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// Whether `name` is given at all, with whatever value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// All pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names and values as one text of at most `characters` characters, for people.
    #[must_use]
    pub fn excerpt(&self, characters: usize) -> String {
        let pairs = self.0.iter().enumerate();
        let texts = pairs.flat_map(|(index, (name, value))| {
            [if index == 0 { "" } else { "&" }, name, "=", value]
        });
        texts.flat_map(str::chars).take(characters).collect()
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn escaped_pluses(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let pieces: Vec<&[u8]> = text.split(|&byte| byte == b'+').collect();
    Cow::Owned(pieces.join(&b"%2B"[..]))
}

/// Name and value of one part of a multipart body: `CRLF headers CRLF CRLF value CRLF`.
fn field(part: &[u8]) -> Option<(String, String)> {
    let (headers, value) = split_once(part, b"\r\n\r\n")?;
    let headers = String::from_utf8_lossy(headers);
    let name = headers.lines().find_map(|line| {
        let (header, value) = line.split_once(':')?;
        let disposition = header.trim().eq_ignore_ascii_case("content-disposition");
        let (_, name) = value.split_once("; name=\"").filter(|_| disposition)?;
        Some(name.split_once('"')?.0.to_owned())
    })?;
    let value = value.strip_suffix(b"\r\n")?;
    Some((name, String::from_utf8_lossy(value).into_owned()))
}

fn split_once<'a>(text: &'a [u8], divider: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(text, divider)?;
    Some((&text[..at], &text[at + divider.len()..]))
}

#[cfg(test)]
mod tests {
    use super::Params;

    #[test]
    fn body_follows_query_and_wins() {
        let params = Params::parse(Some("target=a&from=1&x[]=7"), b"target=b.{c,d}&from=2");
        assert_eq!(params.all("target"), ["a", "b.{c,d}"]);
        assert_eq!(params.last("from"), Some("2"));
        assert_eq!(params.all("x"), ["7"]);
        assert!(!params.has("until"));
    }

    #[test]
    fn a_raw_pattern_keeps_its_pluses() {
        let pattern = |body: &[u8]| Params::parse(None, body).last("query").unwrap().to_owned();
        assert_eq!(pattern(b"query=with.a+b.*"), "with.a+b.*");
        assert_eq!(pattern(b"query=++{a,b}+&x=1"), "++{a,b}+");
        assert_eq!(pattern(b"query=a%2Bb.%2A"), "a+b.*");
        assert_eq!(pattern(b"query=a+b%2A"), "a b*");
        assert_eq!(pattern(b"from=1&query=a+b"), "a b");
        assert_eq!(Params::parse(Some("query=a+b"), b"").last("query"), Some("a b"));
    }

    #[test]
    fn an_excerpt_is_bounded() {
        let params = Params::parse(Some("target=a.*&from=-1h"), b"");
        assert_eq!(params.excerpt(500), "target=a.*&from=-1h");
        assert_eq!(params.excerpt(12), "target=a.*&f");
    }

    const MULTIPART: &str = "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\
        \r\napp.*\r\n--b\r\ncontent-disposition: form-data; name=\"format\"\r\n\
        Content-Type: text/plain\r\n\r\npickle\r\n--b\r\nX: y\r\n\r\nnameless\r\n--b--\r\n";

    #[test]
    fn multipart_is_as_good_as_a_form() {
        let params = Params::parse_multipart(Some("local=1"), "b", MULTIPART.as_bytes());
        let pairs: Vec<(&str, &str)> = params.iter().collect();
        assert_eq!(pairs, [("local", "1"), ("query", "app.*"), ("format", "pickle")]);
    }

    #[test]
    fn a_cut_multipart_body_keeps_its_whole_parts() {
        let whole = Params::parse_multipart(None, "b", MULTIPART.as_bytes());
        for end in 0..MULTIPART.len() {
            let cut = Params::parse_multipart(None, "b", &MULTIPART.as_bytes()[..end]);
            assert!(whole.0.starts_with(&cut.0), "cut at {end}");
        }
    }
}

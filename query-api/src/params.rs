//! Request parameters: query string and form body, merged the way Graphite clients rely on.
//!
//! Repeated names keep all their values, those of the query string first; where one value is
//! wanted the last one wins, so a body overrides the query string.

/// All parameters of one request, in order, query string first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Parses a query string and a form body (`application/x-www-form-urlencoded`, or the raw
    /// text Grafana sends under that type). Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn parse(query: Option<&str>, body: &[u8]) -> Self {
        let query = query.unwrap_or_default().as_bytes();
        let pairs = form_urlencoded::parse(query).chain(form_urlencoded::parse(body));
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
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

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
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
}

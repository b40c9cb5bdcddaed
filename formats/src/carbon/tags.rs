//! Tagged names: `name;key=value;key=value`.
//!
//! The same tags in another order mean the same series, so each tagged name
//! has one canonical order: by key, and of equal keys the last one given.

use memchr::memchr;
use std::borrow::Cow;

/// Why a tagged name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// Nothing stands before the first `;`.
    #[error("no name before the first \";\"")]
    NoName,
    /// A part behind a `;` is no tag.
    #[error("tag {number} has no \"=\" after its key, expected \"key=value\"")]
    NotATag {
        /// Which one, counted from 1.
        number: usize,
    },
}

/// Brings the tags of a name into canonical order; a name without `;` has none
/// and stays as it is.
///
/// Keys are compared with the `=` that ends them, as go-carbon does, so `a!=2`
/// comes before `a=1`. Values may be empty and may hold any bytes but `;`.
///
/// # Errors
/// When a part is not `key=value` with a key, or the name before them is empty.
///
/// # Examples
/// ```
/// use silverback_formats::carbon::tags::normalise;
/// assert_eq!(normalise(b"cpu;host=a;dc=b;host=c")?.as_ref(), b"cpu;dc=b;host=c");
/// # Ok::<(), silverback_formats::carbon::tags::TagError>(())
/// ```
pub fn normalise(name: &[u8]) -> Result<Cow<'_, [u8]>, TagError> {
    let Some(path_end) = memchr(b';', name) else { return Ok(Cow::Borrowed(name)) };
    if path_end == 0 {
        return Err(TagError::NoName);
    }
    let mut tags = name[path_end + 1..]
        .split(|&byte| byte == b';')
        .enumerate()
        .map(|(at, text)| Tag::parse(text).ok_or(TagError::NotATag { number: at + 1 }))
        .collect::<Result<Vec<_>, _>>()?;
    if tags.is_sorted_by(|left, right| left.key() < right.key()) {
        return Ok(Cow::Borrowed(name));
    }
    tags.sort_by_key(Tag::key);

    let mut canonical = Vec::with_capacity(name.len());
    canonical.extend_from_slice(&name[..path_end]);
    for (at, tag) in tags.iter().enumerate() {
        let overruled = tags.get(at + 1).is_some_and(|next| next.key() == tag.key());
        if !overruled {
            canonical.push(b';');
            canonical.extend_from_slice(tag.text);
        }
    }
    Ok(Cow::Owned(canonical))
}

/// One `key=value`.
#[derive(Debug, Clone, Copy)]
struct Tag<'a> {
    text: &'a [u8],
    /// Length of the key with its `=`; at least 2.
    key_len: usize,
}

impl<'a> Tag<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let equals = memchr(b'=', text)?;
        (equals > 0).then_some(Self { text, key_len: equals + 1 })
    }

    fn key(&self) -> &'a [u8] {
        &self.text[..self.key_len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const VECTORS: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/ingest.json"));

    #[test]
    fn as_go_carbon() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["tag_normalise"].as_array().unwrap();
        assert_eq!(cases.len(), 23);
        for case in cases {
            let input = case["input"].as_str().unwrap();
            let output = normalise(input.as_bytes()).ok();
            assert_eq!(output.as_deref(), case["output"].as_str().map(str::as_bytes), "{input}");
        }
    }

    #[test]
    fn canonical_names_are_borrowed() {
        for name in ["plain", "a.b;k=v", "a;b=;c=;d=e=f"] {
            assert!(matches!(normalise(name.as_bytes()), Ok(Cow::Borrowed(_))), "{name}");
        }
    }

    #[test]
    fn errors_name_the_tag() {
        assert_eq!(normalise(b";a=1"), Err(TagError::NoName));
        assert_eq!(normalise(b"n;a=1;b"), Err(TagError::NotATag { number: 2 }));
        assert_eq!(normalise(b"n;"), Err(TagError::NotATag { number: 1 }));
    }

    proptest! {
        #[test]
        fn as_a_map_of_tags(tags in proptest::collection::vec(("[a-c!]{1,2}", "[a-c=]{0,2}"), 1..6)) {
            let mut name = b"n".to_vec();
            let mut last_wins = BTreeMap::new();
            for (key, value) in &tags {
                name.extend_from_slice(format!(";{key}={value}").as_bytes());
                last_wins.insert(format!("{key}="), value);
            }
            let expected: String =
                last_wins.iter().map(|(key, value)| format!(";{key}{value}")).collect();
            let canonical = normalise(&name).unwrap();
            let expected = format!("n{expected}");
            prop_assert_eq!(canonical.as_ref(), expected.as_bytes());
            prop_assert!(matches!(normalise(&canonical), Ok(Cow::Borrowed(_))));
        }

        #[test]
        fn any_bytes_are_no_panic(name in "[;=a\\PC]{0,12}") {
            if let Ok(canonical) = normalise(name.as_bytes()) {
                prop_assert_eq!(normalise(&canonical), Ok(Cow::Borrowed(canonical.as_ref())));
            }
        }
    }
}

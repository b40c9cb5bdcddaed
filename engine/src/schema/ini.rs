//! The grammar that go-carbon's rule files share: sections of `key = value` lines.
//!
//! A line is trimmed, then it is blank, a comment (`;` or `#` first), a
//! `[section]` or `key = value`. There are no comments behind a value and no
//! continuation lines. Reading goes on after a mistake, so that one look shows
//! them all.

use super::RuleFile;
use super::error::{Mistake, SchemaError, SchemaErrors};
use super::re2::{Pattern, PatternError};

/// A section and its keys, in the order of the file.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    /// Line of its header, from 1.
    pub(super) line: usize,
    entries: Vec<Entry>,
}

/// One `key = value` line.
#[derive(Debug)]
pub(super) struct Entry {
    /// In lower case.
    key: String,
    pub(super) value: String,
    /// Line in the file, from 1.
    pub(super) line: usize,
    /// Whether the line was valid UTF-8; if not, `value` has replacement characters.
    pub(super) is_utf8: bool,
}

impl Section {
    /// The entry of `key` (lower case) that counts: the last one.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// A switch for which any text but `true` is false, as in go-carbon.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.entry(key).map(|entry| entry.value == "true")
    }

    /// Line and mistake of a section without `key`.
    pub(super) fn missing(&self, key: &'static str, expected: &'static str) -> (usize, Mistake) {
        (self.line, Mistake::Missing { section: self.name.clone(), key, expected })
    }
}

impl Entry {
    /// The value as a regular expression.
    pub(super) fn pattern(&self) -> Result<Pattern, (usize, Mistake)> {
        // The first replacement character is, or stands before, the first invalid byte.
        let invalid_at = if self.is_utf8 { None } else { self.value.find('\u{FFFD}') };
        let parsed = match invalid_at {
            Some(position) => Err(PatternError::utf8(position)),
            None => Pattern::parse(&self.value),
        };
        parsed.map_err(|error| (self.line, Mistake::Pattern { pattern: self.value.clone(), error }))
    }

    /// Line and mistake of a value that `key` (as the manual spells it) cannot have.
    pub(super) fn refused(&self, key: &'static str, expected: &'static str) -> (usize, Mistake) {
        (self.line, Mistake::Value { key, value: self.value.clone(), expected })
    }
}

/// Cuts a file into sections; mistakes are added to `errors`.
pub(super) fn parse(file: RuleFile<'_>, errors: &mut SchemaErrors) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, bytes) in file.text.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        if text.is_empty() || text.starts_with([';', '#']) {
            continue;
        }
        let mut refuse = |mistake| errors.push(SchemaError::new(file.name, line, mistake));
        if let Some(rest) = text.strip_prefix('[') {
            let name = rest.strip_suffix(']').unwrap_or(rest).trim();
            if !rest.ends_with(']') {
                refuse(Mistake::UnfinishedSection { text: text.to_owned() });
            } else if name.is_empty() {
                refuse(Mistake::EmptySectionName);
            }
            // A section with a damaged header is still read, for the mistakes inside it.
            sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
            continue;
        }
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        match (parse_entry(text), sections.last_mut()) {
            (_, None) => refuse(Mistake::OutsideSection { text: text.to_owned() }),
            (Err(mistake), _) => refuse(mistake),
            (Ok((key, value)), Some(section)) => {
                section.entries.push(Entry { key, value, line, is_utf8 });
            }
        }
    }
    sections
}

fn parse_entry(text: &str) -> Result<(String, String), Mistake> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| Mistake::NotKeyValue { text: text.to_owned() })?;
    let key = key.trim();
    if key.is_empty() {
        return Err(Mistake::EmptyKey);
    }
    Ok((key.to_lowercase(), value.trim().trim_matches(['"', '\'']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> (Vec<Section>, Vec<String>) {
        let mut errors = SchemaErrors::none();
        let sections = parse(RuleFile { name: "f", text }, &mut errors);
        (sections, errors.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn check_value(text: &str, key: &str, expected: Option<&str>) {
        let (sections, errors) = read(format!("[a]\n{text}").as_bytes());
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(sections[0].entry(key).map(|entry| entry.value.as_str()), expected, "{text}");
    }

    #[track_caller]
    fn check_mistake(text: &str, expected: &str) {
        let (_, errors) = read(text.as_bytes());
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(expected), "{} is not {expected}", errors[0]);
    }

    #[test]
    fn blank_lines_and_comments_are_skipped() {
        let (sections, errors) = read(b"\n \t\r\n; c\n  # [x\n\xa0\xff# is no comment");
        assert!(sections.is_empty());
        assert_eq!(errors.len(), 1);
        check_value("\u{3000}a = 1\u{a0}\r", "a", Some("1"));
    }

    #[test]
    fn comments_behind_a_value_belong_to_it() {
        check_value("pattern = .* # c", "pattern", Some(".* # c"));
    }

    #[test]
    fn keys_are_lower_case_and_values_lose_their_quotes() {
        check_value("xFilesFactor=0.5", "xfilesfactor", Some("0.5"));
        check_value("a = \"'x y'\"'", "a", Some("x y"));
        check_value("a = ' x '", "a", Some(" x "));
        check_value("a = b = c", "a", Some("b = c"));
        check_value("a =", "a", Some(""));
        check_value("b = 1", "a", None);
    }

    #[test]
    fn the_last_of_a_repeated_key_wins() {
        check_value("a = 1\na = 2", "a", Some("2"));
    }

    #[test]
    fn repeated_sections_stay_apart_and_names_may_hold_brackets() {
        let (sections, errors) = read(b"[ a]b[ ]\nk=1\n[a]\n[a]\nk=2");
        assert!(errors.is_empty());
        let names: Vec<_> = sections.iter().map(|s| (s.name.as_str(), s.line)).collect();
        assert_eq!(names, [("a]b[", 1), ("a", 3), ("a", 4)]);
        assert!(sections[1].entry("k").is_none());
    }

    #[test]
    fn mistakes_name_file_and_line() {
        check_mistake("\n[a", "f:2: section header");
        check_mistake("[a] # c", "f:1: section header");
        check_mistake("[", "f:1: section header");
        check_mistake("[ ]", "f:1: section name is empty");
        check_mistake("a = 1\n[a]", "f:1: ");
        check_mistake("[a]\nkey: value", "f:2: ");
        check_mistake("[a]\nk = v\n  more", "f:3: ");
        check_mistake("[a]\n = v", "f:2: key is empty");
        check_mistake("\u{feff}[a]", "f:1: ");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let (sections, errors) = read(b"x\n[\nx\n[b]\n=\nk=v");
        assert_eq!(errors.len(), 4);
        assert_eq!(sections.len(), 2);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_marked() {
        let (sections, errors) = read(b"[\xe9]\na = \xe9\nb = e");
        assert!(errors.is_empty());
        assert!(!sections[0].entry("a").unwrap().is_utf8);
        assert!(sections[0].entry("b").unwrap().is_utf8);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&text);
        }
    }
}

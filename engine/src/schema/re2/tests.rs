use super::super::matcher::Matcher;
use super::*;
use proptest::prelude::*;

fn matches(pattern: &str, name: &[u8]) -> bool {
    let pattern = Pattern::parse(pattern).unwrap();
    Matcher::new(&[&pattern]).unwrap().first_match(name).is_some()
}

#[track_caller]
fn check_match(pattern: &str, yes: &[&str], no: &[&str]) {
    for name in yes {
        assert!(matches(pattern, name.as_bytes()), "{pattern} does not match {name:?}");
    }
    for name in no {
        assert!(!matches(pattern, name.as_bytes()), "{pattern} matches {name:?}");
    }
}

#[track_caller]
fn check_mistake(pattern: &str, position: usize, reason: PatternReason) {
    assert_eq!(Pattern::parse(pattern), Err(PatternError { position, reason }), "{pattern}");
}

/// Answers of Go's own engine: verdict on each pattern, and for the good ones which of the
/// names match.
#[test]
fn agrees_with_go() {
    let vectors = include_str!("../../../../tests/vectors/re2/go.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let names: Vec<Vec<u8>> = vectors["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| unhex(name.as_str().unwrap()))
        .collect();
    let mut wrong = Vec::new();
    for case in vectors["patterns"].as_array().unwrap() {
        let text = case["pattern"].as_str().unwrap();
        let pattern = Pattern::parse(text).ok();
        let Some(expected) = case["matches"].as_str() else {
            if pattern.is_some() {
                wrong.push(format!("{text:?} is accepted, Go says {}", case["error"]));
            }
            continue;
        };
        let Some(pattern) = pattern else {
            wrong.push(format!("{text:?} is refused: {}", Pattern::parse(text).unwrap_err()));
            continue;
        };
        let matcher = Matcher::new(&[&pattern]).unwrap();
        for (name, expected) in names.iter().zip(expected.bytes()) {
            if matcher.first_match(name).is_some() != (expected == b'1') {
                let name = String::from_utf8_lossy(name);
                wrong.push(format!("{text:?} on {name:?}: Go says {}", char::from(expected)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).unwrap().try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

/// What stands in the table of dialects, beyond what Go's recorded answers cover.
#[test]
fn dialect_of_go() {
    check_match("(?<n>x)", &["x"], &["n"]);
    check_match("^\\Qa.b\\E$", &["a.b"], &["axb"]);
    check_match("^a{,5}$", &["a{,5}"], &["a", "aaaaa"]);
    check_match("^[[]$", &["["], &[]);
    check_match("^[[a]$", &["[", "a"], &["b"]);
    check_match("^\\<a\\>$", &["<a>"], &["a"]);
    check_match("^[a&&b]$", &["a", "b", "&"], &["&&"]);
    check_match("^[a~~b]$", &["a", "b", "~"], &[]);
    check_match("^\\07$", &["\u{7}"], &["\0"]);
    check_match("^\\d$", &["1"], &["\u{661}"]);
    check_match("^\\w$", &["a", "_"], &["é"]);
    check_match("^\\s$", &["\t", "\x0c"], &["\x0b", "\u{a0}"]);
    check_match("(?i)^k$", &["k", "K", "\u{212a}"], &[]);
    check_match("a$", &["ba"], &["a\n"]);
    check_match("^\\pL$", &["a", "é"], &["1"]);
}

/// Names that newer versions of Go know, in any spelling; and what no Go knows.
#[test]
fn unicode_names() {
    for name in ["Greek", "greek", "GREEK", "Letter", "Old_Italic", "old-italic", "Thai", "Any"] {
        assert!(Pattern::parse(&format!("\\p{{{name}}}")).is_ok(), "{name}");
    }
    for name in ["Grek", "IsGreek", "Alphabetic", "sc=Greek", "White_Space", "Age=3.0", "L&", ""] {
        let reason = PatternReason::UnicodeClass;
        check_mistake(&format!("a\\p{{{name}}}"), 1, reason);
    }
}

#[test]
fn mistakes_name_their_place() {
    use PatternReason::*;
    check_mistake("ab**", 3, RepeatOfRepeat);
    check_mistake("ab*+", 3, RepeatOfRepeat);
    check_mistake("ab++", 3, RepeatOfRepeat);
    check_mistake("x{2}{3}", 4, RepeatOfRepeat);
    check_mistake("a|*", 2, RepeatOfNothing);
    check_mistake("a{1001}", 1, RepeatCount);
    check_mistake("(a{100}){100}", 8, RepeatCount);
    check_mistake("a(b(c)", 1, MissingParenthesis);
    check_mistake("a)", 1, UnexpectedParenthesis);
    check_mistake("a(?=b)", 1, UnknownGroup);
    check_mistake("(?x)", 0, UnknownGroup);
    check_mistake("(?#a)", 0, UnknownGroup);
    check_mistake("(?>a)", 0, UnknownGroup);
    check_mistake("(?<=a)", 3, GroupName);
    check_mistake("(?P<n-m>b)", 4, GroupName);
    check_mistake("é[a", 2, MissingBracket);
    check_mistake("[a--b]", 1, ClassRange);
    check_mistake("[x[:foo:]]", 2, ClassRange);
    check_mistake("a\\", 1, TrailingBackslash);
    check_mistake("a\\Z", 1, Escape);
    check_mistake("(a)\\1", 3, Escape);
    check_mistake("\\uffff", 0, Escape);
}

/// Levels count as in Go: repeats, capturing groups, sequences and alternatives.
#[test]
fn nesting_is_bounded() {
    let check = |open: &str, close: &str, most: usize| {
        let nested = |levels: usize| open.repeat(levels) + "a" + &close.repeat(levels);
        let pattern = Pattern::parse(&nested(most)).unwrap();
        assert!(Matcher::new(&[&pattern]).unwrap().first_match(b"x").is_none());
        let error = Pattern::parse(&nested(most + 1)).unwrap_err();
        assert_eq!(error.reason, PatternReason::Depth, "{open}");
    };
    check("(", ")", 99);
    check("(?:", ")+", 99);
    check("(", ")+", 49);
    check("(?:(?:", "){1})+", 49);
    check("(?:.b|c", ")", 49);
    check("(?:ab|a", ")", 49);
}

/// Depth that no tree has does not count, and costs no stack.
#[test]
fn hostile_nesting() {
    let levels = 100_000;
    check_match(&("(?:".repeat(levels) + "a" + &")".repeat(levels)), &["a"], &["b"]);
    check_mistake(&"(".repeat(levels), levels - 1, PatternReason::MissingParenthesis);
    check_mistake(&"(?:a|".repeat(levels), (levels - 1) * 5, PatternReason::MissingParenthesis);
}

proptest! {
    #[test]
    fn any_text_is_an_answer(text in "\\PC{0,20}") {
        let _ = Pattern::parse(&text);
    }

    #[test]
    fn any_soup_of_operators_is_an_answer(text in "[-\\\\(){}\\[\\]*+?.|^$:<>PpQEixs&a0-2,]{0,16}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            let _ = Matcher::new(&[&pattern]).unwrap().first_match(b"a.0{\xff");
        }
    }

    /// A literal means itself.
    #[test]
    fn quoted_text_matches_itself(text in "[^\\\\]{1,12}") {
        let pattern = format!("^\\Q{text}\\E$");
        prop_assert!(matches(&pattern, text.as_bytes()));
    }
}

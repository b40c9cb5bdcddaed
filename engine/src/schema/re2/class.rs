//! Character classes, spelled out as ranges of code points.

use super::cursor::Cursor;
use super::escape;
use super::{PatternError, PatternReason};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// `.`: everything but a line end, or everything.
pub(super) fn dot(with_line_end: bool) -> ClassUnicode {
    let mut class = if with_line_end { ClassUnicode::empty() } else { of_code(0x0A, false) };
    class.negate();
    class
}

/// One code point and, when folded, its other cases. A surrogate is in no name.
pub(super) fn of_code(code: u32, fold: bool) -> ClassUnicode {
    let mut class = of_ranges(&[(code, code)]);
    fold_if(&mut class, fold);
    class
}

/// `\d`, `\P{Greek}` and their like; `None`, with nothing taken, when another escape follows.
pub(super) fn take_escape(
    cursor: &mut Cursor<'_>,
    fold: bool,
) -> Result<Option<ClassUnicode>, PatternError> {
    let mut ahead = *cursor;
    ahead.take();
    let (mut class, negated) = match ahead.take() {
        Some(c @ ('p' | 'P')) => {
            let (class, negated) = take_unicode(&mut ahead)
                .ok_or_else(|| cursor.error(PatternReason::UnicodeClass))?;
            (class, negated != (c == 'P'))
        }
        Some(c @ ('d' | 'D')) => (of_ranges(DIGIT), c == 'D'),
        Some(c @ ('s' | 'S')) => (of_ranges(PERL_SPACE), c == 'S'),
        Some(c @ ('w' | 'W')) => (of_ranges(WORD), c == 'W'),
        _ => return Ok(None),
    };
    finish(&mut class, fold, negated);
    *cursor = ahead;
    Ok(Some(class))
}

/// `[...]`, bracket first.
pub(super) fn take_brackets(
    cursor: &mut Cursor<'_>,
    fold: bool,
) -> Result<ClassUnicode, PatternError> {
    let start = *cursor;
    cursor.take();
    let negated = cursor.take_token("^");
    let mut class = ClassUnicode::empty();
    let mut is_first = true;
    // A ] in the first place is a member.
    while is_first || !cursor.take_token("]") {
        is_first = false;
        match cursor.peek() {
            None => return Err(start.error(PatternReason::MissingBracket)),
            Some('[') => {
                if let Some(named) = take_named(cursor, fold)? {
                    class.union(&named);
                    continue;
                }
            }
            Some('\\') => {
                if let Some(escaped) = take_escape(cursor, fold)? {
                    class.union(&escaped);
                    continue;
                }
            }
            Some(_) => {}
        }
        class.union(&take_range(cursor, fold, start)?);
    }
    if negated {
        class.negate();
    }
    Ok(class)
}

/// `a` or `a-z` in brackets that opened at `start`.
fn take_range(
    cursor: &mut Cursor<'_>,
    fold: bool,
    start: Cursor<'_>,
) -> Result<ClassUnicode, PatternError> {
    let range_start = *cursor;
    let first = take_member(cursor, start)?;
    let mut last = first;
    // A - before the closing bracket is a member.
    if cursor.rest().len() >= 2 && cursor.peek() == Some('-') && !cursor.rest().starts_with("-]") {
        cursor.take();
        last = take_member(cursor, start)?;
    }
    if last < first {
        return Err(range_start.error(PatternReason::ClassRange));
    }
    let mut class = of_ranges(&[(first, last)]);
    fold_if(&mut class, fold);
    Ok(class)
}

fn take_member(cursor: &mut Cursor<'_>, start: Cursor<'_>) -> Result<u32, PatternError> {
    if cursor.peek() == Some('\\') {
        return escape::take(cursor);
    }
    cursor.take().map(u32::from).ok_or_else(|| start.error(PatternReason::MissingBracket))
}

/// `[:alpha:]` or `[:^alpha:]`; `None`, with nothing taken, when the bracket is a member.
fn take_named(cursor: &mut Cursor<'_>, fold: bool) -> Result<Option<ClassUnicode>, PatternError> {
    let mut ahead = *cursor;
    if !ahead.take_token("[:") {
        return Ok(None);
    }
    let Some(name) = ahead.take_until(":]") else { return Ok(None) };
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (_, ranges) = POSIX
        .iter()
        .find(|(posix, _)| *posix == name)
        .ok_or_else(|| cursor.error(PatternReason::ClassRange))?;
    let mut class = of_ranges(ranges);
    finish(&mut class, fold, negated);
    *cursor = ahead;
    Ok(Some(class))
}

/// `L`, `{Greek}` or `{^Greek}`, behind the `\p`: the class, and whether it is negated.
fn take_unicode(cursor: &mut Cursor<'_>) -> Option<(ClassUnicode, bool)> {
    if !cursor.take_token("{") {
        let mut buffer = [0; 4];
        return Some((unicode(cursor.take()?.encode_utf8(&mut buffer))?, false));
    }
    let name = cursor.take_until("}")?;
    match name.strip_prefix('^') {
        Some(name) => Some((unicode(name)?, true)),
        None => Some((unicode(name)?, false)),
    }
}

/// The category or script of this name. As in current Go, case, spaces, `_` and `-` do not
/// count.
fn unicode(name: &str) -> Option<ClassUnicode> {
    let mut key = name.to_ascii_lowercase();
    key.retain(|c| !matches!(c, ' ' | '_' | '-'));
    // The tables of regex-syntax also know an "is" in front, four-letter codes of scripts
    // and properties of other kinds; Go does not.
    if !key.chars().all(|c| c.is_ascii_lowercase()) || key.is_empty() || key.starts_with("is") {
        return None;
    }
    if matches!(key.as_str(), "cs" | "surrogate") {
        return Some(ClassUnicode::empty());
    }
    if let Some(class) = from_tables("gc", &key) {
        return Some(class);
    }
    if key.len() == 4 && !FOUR_LETTER_SCRIPTS.contains(&key.as_str()) {
        return None;
    }
    from_tables("sc", &key)
}

/// Scripts whose name in full has four letters.
const FOUR_LETTER_SCRIPTS: [&str; 8] =
    ["ahom", "cham", "kawi", "lisu", "modi", "newa", "thai", "toto"];

fn from_tables(property: &str, value: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!("\\p{{{property}={value}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A category of one code point, such as Zl.
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(of_code(u32::from(c), false))
        }
        _ => None,
    }
}

/// Go folds a class before it negates it.
fn finish(class: &mut ClassUnicode, fold: bool, negated: bool) {
    fold_if(class, fold);
    if negated {
        class.negate();
    }
}

fn fold_if(class: &mut ClassUnicode, fold: bool) {
    if fold {
        class.case_fold_simple();
    }
}

/// A range of code points, both ends in it.
type Range = (u32, u32);

/// The class of these ranges, without the surrogates, which are in no name.
fn of_ranges(ranges: &[Range]) -> ClassUnicode {
    let ranges = ranges.iter().filter_map(|&(first, last)| {
        let first = char::from_u32(first).unwrap_or('\u{E000}');
        let last = char::from_u32(last).unwrap_or('\u{D7FF}');
        // The constructor would swap the ends.
        (first <= last).then(|| ClassUnicodeRange::new(first, last))
    });
    ClassUnicode::new(ranges)
}

const fn ascii(first: u8, last: u8) -> Range {
    (first as u32, last as u32)
}

const DIGIT: &[Range] = &[ascii(b'0', b'9')];
const LOWER: Range = ascii(b'a', b'z');
const UPPER: Range = ascii(b'A', b'Z');
/// `\s`, without the vertical tab of `[:space:]`.
const PERL_SPACE: &[Range] = &[ascii(b'\t', b'\n'), ascii(0x0C, b'\r'), ascii(b' ', b' ')];
const WORD: &[Range] = &[ascii(b'0', b'9'), UPPER, ascii(b'_', b'_'), LOWER];

/// The names in `[[:name:]]`.
const POSIX: &[(&str, &[Range])] = &[
    ("alnum", &[ascii(b'0', b'9'), UPPER, LOWER]),
    ("alpha", &[UPPER, LOWER]),
    ("ascii", &[ascii(0x00, 0x7F)]),
    ("blank", &[ascii(b'\t', b'\t'), ascii(b' ', b' ')]),
    ("cntrl", &[ascii(0x00, 0x1F), ascii(0x7F, 0x7F)]),
    ("digit", DIGIT),
    ("graph", &[ascii(b'!', b'~')]),
    ("lower", &[LOWER]),
    ("print", &[ascii(b' ', b'~')]),
    ("punct", &[ascii(b'!', b'/'), ascii(b':', b'@'), ascii(b'[', b'`'), ascii(b'{', b'~')]),
    ("space", &[ascii(b'\t', b'\r'), ascii(b' ', b' ')]),
    ("upper", &[UPPER]),
    ("word", WORD),
    ("xdigit", &[ascii(b'0', b'9'), ascii(b'A', b'F'), ascii(b'a', b'f')]),
];

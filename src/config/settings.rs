//! A TOML text read against the table of keys: values of the right type, and whatever in
//! it is wrong or unknown.
//!
//! Names match in any case, as in go-carbon. Later stages ask by section and key and get a
//! value always, since the table has a default for each.

use super::duration::GoDuration;
use super::keys::{self, Key, Kind, Least, Section, Shape, Status};
use super::problem::Problem;
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value of one of the table's types.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, word or form.
    Text(String),
    /// Integer or count.
    Int(i64),
    /// Number.
    Float(f64),
    /// Truth.
    Bool(bool),
    /// Span of time.
    Duration(GoDuration),
    /// List of texts.
    Texts(Vec<String>),
    /// List of integers.
    Ints(Vec<i64>),
}

/// A value that stands in the file.
#[derive(Debug, Clone, PartialEq)]
struct Given {
    value: Value,
    line: usize,
}

/// One table of the file.
#[derive(Debug, Clone)]
pub struct Table {
    section: &'static Section,
    /// As an operator would write it, such as `receiver.second`.
    name: String,
    line: usize,
    given: BTreeMap<&'static str, Given>,
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.given == other.given
    }
}

impl Table {
    /// As an operator would write it, such as `receiver.second`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A section that does not stand in the file.
    fn absent(section: &'static Section) -> Self {
        Self { section, name: section.path.to_owned(), line: 0, given: BTreeMap::new() }
    }

    /// Its value, when the file has one.
    #[must_use]
    pub fn given(&self, key: &str) -> Option<&Value> {
        self.given.get(key).map(|given| &given.value)
    }

    /// Line of the key, or else of the table, or `None` when neither stands in the file.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<usize> {
        self.given.get(key).map(|given| given.line).or((self.line > 0).then_some(self.line))
    }

    /// Its value or its default.
    ///
    /// # Panics
    /// When the table of keys has no such key: our mistake, not the user's.
    #[must_use]
    pub fn value(&self, key: &str) -> Value {
        let entry = self.section.key(key).expect("only keys of the table are asked for");
        self.given(key).cloned().unwrap_or_else(|| default(&entry.kind))
    }

    /// The text of a text, word or form.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        match self.value(key) {
            Value::Text(text) => text,
            other => unreachable!("[{}] {key} is {other:?}, not a text", self.name),
        }
    }

    /// The truth of a flag.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.value(key) == Value::Bool(true)
    }

    /// The number of an integer.
    #[must_use]
    pub fn int(&self, key: &str) -> i64 {
        match self.value(key) {
            Value::Int(int) => int,
            other => unreachable!("[{}] {key} is {other:?}, not an integer", self.name),
        }
    }

    /// The span of a duration.
    #[must_use]
    pub fn duration(&self, key: &str) -> std::time::Duration {
        match self.value(key) {
            Value::Duration(span) => span.not_negative(),
            other => unreachable!("[{}] {key} is {other:?}, not a duration", self.name),
        }
    }
}

/// Everything that a file says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    tables: Vec<Table>,
    /// Tables and keys that are not in the table of keys, with their lines.
    pub unknown: Vec<String>,
}

impl Settings {
    /// Reads a TOML text. Every mistake is found, not only the first.
    ///
    /// # Errors
    /// All mistakes, each with `file` as its file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let text = prepare(text);
        let mut reader =
            Reader { file, text: &text, settings: Self::default(), problems: Vec::new() };
        let (root, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let line = error.span().map_or(1, |span| reader.line(span.start));
            let shown = text.lines().nth(line - 1).unwrap_or_default().trim();
            reader.problem(line, format!("not TOML: {}: {shown}", error.message()));
        }
        if reader.problems.is_empty() {
            reader.root(root.get_ref());
        }
        reader.problems.sort_by_key(|problem| problem.line);
        if reader.problems.is_empty() { Ok(reader.settings) } else { Err(reader.problems) }
    }

    /// The section of this path; all defaults when the file has none.
    ///
    /// # Panics
    /// When the table of keys has no such section: our mistake, not the user's.
    #[must_use]
    pub fn table(&self, path: &str) -> Cow<'_, Table> {
        let section = keys::section(path).expect("only sections of the table are asked for");
        match self.tables(path).next() {
            Some(table) => Cow::Borrowed(table),
            None => Cow::Owned(Table::absent(section)),
        }
    }

    /// The tables of a section that may stand several times, in the order of the file.
    pub fn tables<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Table> + use<'a> {
        let section = keys::section(path).expect("only sections of the table are asked for");
        self.tables.iter().filter(move |table| table.section.path == section.path)
    }

    /// Keys in the file that have this status, as `section.key`.
    #[must_use]
    pub fn given_with(&self, status: Status) -> Vec<String> {
        let mut names = Vec::new();
        for table in &self.tables {
            match table.section.shape {
                Shape::Labels if status == Status::Later => names.push(table.name.clone()),
                Shape::Ignored if status == Status::NoEffect => names.push(table.name.clone()),
                _ => {
                    let keys = table.section.keys.iter().filter(|key| key.status == status);
                    let given = keys.filter(|key| table.given.contains_key(key.name));
                    names.extend(given.map(|key| format!("{}.{}", table.name, key.name)));
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Keys of this status whose values differ between two files, as `section.key`.
    #[must_use]
    pub fn changed(&self, new: &Self, status: Status) -> Vec<String> {
        let mut changed = Vec::new();
        for section in keys::SECTIONS {
            let of_status = || section.keys.iter().filter(|key| key.status == status);
            if section.shape == Shape::Single {
                let (old, new) = (self.table(section.path), new.table(section.path));
                let differs = |key: &&Key| old.value(key.name) != new.value(key.name);
                changed.extend(
                    of_status().filter(differs).map(|key| format!("{}.{}", section.path, key.name)),
                );
            } else if of_status().next().is_some()
                && !self.tables(section.path).eq(new.tables(section.path))
            {
                changed.push(section.path.to_owned());
            }
        }
        changed
    }
}

/// Without a byte order mark, and with go-carbon's old `[logging]` as the list it is now.
fn prepare(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.split_inclusive('\n').map(|line| match line.trim_end_matches(['\r', '\n']) {
        "[logging]" => Cow::Owned(line.replace("[logging]", "[[logging]]")),
        _ => Cow::Borrowed(line),
    });
    lines.collect()
}

/// Default of a key as a value.
pub(super) fn default(kind: &Kind) -> Value {
    match *kind {
        Kind::Text(text) | Kind::Word { default: text, .. } | Kind::Form { default: text, .. } => {
            Value::Text(text.to_owned())
        }
        Kind::Int { default, .. } | Kind::Count(default) => Value::Int(default),
        Kind::Float(number) => Value::Float(number),
        Kind::Bool(flag) => Value::Bool(flag),
        Kind::Duration { default, .. } => {
            Value::Duration(GoDuration::parse(default).expect("defaults are Go durations"))
        }
        Kind::Texts(texts) => Value::Texts(texts.iter().map(|&text| text.to_owned()).collect()),
        Kind::Ints => Value::Ints(Vec::new()),
    }
}

/// Walks the TOML tree and sorts what it finds into settings, unknowns and problems.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    settings: Settings,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>) {
        for (name, value) in in_order(root) {
            let path = name.get_ref().to_lowercase();
            match keys::section(&path) {
                Some(section) => self.section(section, value),
                None => self.unknown(name.span().start, &format!("[{}]", name.get_ref())),
            }
        }
    }

    fn section(&mut self, section: &'static Section, value: &Spanned<DeValue<'_>>) {
        let offset = value.span().start;
        match (section.shape, value.get_ref()) {
            (Shape::Single | Shape::List, DeValue::Table(table)) => {
                self.keys(section, section.path.to_owned(), offset, table);
            }
            (Shape::List, DeValue::Array(tables)) => {
                for table in tables {
                    match table.get_ref() {
                        DeValue::Table(content) => {
                            let name = section.path.to_owned();
                            self.keys(section, name, table.span().start, content);
                        }
                        other => self.not_a_table(section.path, table.span().start, other),
                    }
                }
            }
            (Shape::Named, DeValue::Table(tables)) => {
                for (name, table) in in_order(tables) {
                    let name = format!("{}.{}", section.path, name.get_ref());
                    match table.get_ref() {
                        DeValue::Table(content) => {
                            self.keys(section, name, table.span().start, content);
                        }
                        other => self.not_a_table(&name, table.span().start, other),
                    }
                }
            }
            (Shape::Labels, DeValue::Table(labels)) => self.labels(section, offset, labels),
            (Shape::Ignored, _) => self.settings.tables.push(Table::absent(section)),
            (_, other) => self.not_a_table(section.path, offset, other),
        }
    }

    fn keys(
        &mut self,
        section: &'static Section,
        name: String,
        offset: usize,
        content: &DeTable<'_>,
    ) {
        let line = self.line(offset);
        let mut table = Table { section, name, line, given: BTreeMap::new() };
        for (name, value) in in_order(content) {
            let key_name = name.get_ref().to_lowercase();
            if let Some(inner) = keys::section(&format!("{}.{key_name}", section.path)) {
                self.section(inner, value);
                continue;
            }
            let Some(key) = section.key(&key_name) else {
                let shown = format!("[{}] {}", table.name, name.get_ref());
                self.unknown(name.span().start, &shown);
                continue;
            };
            let line = self.line(name.span().start);
            match read(&key.kind, value.get_ref()) {
                Ok(value) => {
                    if table.given.insert(key.name, Given { value, line }).is_some() {
                        let message =
                            format!("[{}] {}: given twice in different case", table.name, key.name);
                        self.problem(line, message);
                    }
                }
                Err(allowed) => {
                    let shown = self.text[value.span()].trim();
                    let message =
                        format!("[{}] {} = {shown}: allowed is {allowed}", table.name, key.name);
                    self.problem(line, message);
                }
            }
        }
        self.settings.tables.push(table);
    }

    fn labels(&mut self, section: &'static Section, offset: usize, labels: &DeTable<'_>) {
        let (path, line) = (section.path, self.line(offset));
        if !labels.is_empty() {
            self.settings.tables.push(Table { line, ..Table::absent(section) });
        }
        for (name, value) in in_order(labels) {
            if !value.get_ref().is_str() {
                let (name, shown) = (name.get_ref(), self.text[value.span()].trim());
                let message = format!("[{path}] {name} = {shown}: allowed is a text in quotes");
                self.problem(self.line(value.span().start), message);
            }
        }
    }

    fn not_a_table(&mut self, name: &str, offset: usize, found: &DeValue<'_>) {
        let message = format!("{name}: allowed is a table, found {}", found.type_str());
        self.problem(self.line(offset), message);
    }

    fn unknown(&mut self, offset: usize, name: &str) {
        let line = self.line(offset);
        self.settings.unknown.push(format!("{name} (line {line})"));
    }

    fn problem(&mut self, line: usize, message: String) {
        self.problems.push(Problem { file: self.file.to_owned(), line: Some(line), message });
    }

    /// Line from 1 of a byte of the text.
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }
}

/// The entries of a table as they stand in the file.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// The value, or what is allowed instead.
fn read(kind: &Kind, value: &DeValue<'_>) -> Result<Value, String> {
    match (kind, value) {
        (Kind::Text(_), DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Kind::Text(_), _) => Err("a text in quotes".to_owned()),
        (Kind::Word { allowed, .. }, value) => match value {
            DeValue::String(text) if allowed.contains(&text.as_ref()) => {
                Ok(Value::Text(text.to_string()))
            }
            _ => Err(quoted(allowed)),
        },
        (Kind::Form { accepts, allowed, .. }, value) => match value {
            DeValue::String(text) if accepts(text) => Ok(Value::Text(text.to_string())),
            _ => Err((*allowed).to_owned()),
        },
        (Kind::Int { least, .. }, value) => match integer(value) {
            Some(int) if int >= *least => Ok(Value::Int(int)),
            _ if *least == i64::MIN => Err("an integer".to_owned()),
            _ => Err(format!("an integer of at least {least}")),
        },
        (Kind::Count(_), value) => match integer(value) {
            Some(int) => Ok(Value::Int(int)),
            None => Err("an integer; negative means no limit".to_owned()),
        },
        (Kind::Float(_), value) => number(value).ok_or_else(|| "a number".to_owned()),
        (Kind::Bool(_), DeValue::Boolean(flag)) => Ok(Value::Bool(*flag)),
        (Kind::Bool(_), _) => Err("true or false".to_owned()),
        (Kind::Duration { least, .. }, value) => duration(*least, value),
        (Kind::Texts(_), value) => {
            let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
            list(value, text).map(Value::Texts).ok_or_else(|| "a list of texts".to_owned())
        }
        (Kind::Ints, value) => {
            let texts = list(value, |item| integer(item.get_ref()));
            texts.map(Value::Ints).ok_or_else(|| "a list of integers".to_owned())
        }
    }
}

fn duration(least: Least, value: &DeValue<'_>) -> Result<Value, String> {
    let span = value.as_str().and_then(GoDuration::parse);
    match (least, span) {
        (Least::Zero, Some(span)) if span.nanos() >= 0 => Ok(Value::Duration(span)),
        (Least::AboveZero, Some(span)) if span.nanos() > 0 => Ok(Value::Duration(span)),
        (Least::Zero, _) => {
            Err(r#"a Go duration in quotes such as "1m30s" or "250ms", not below 0s"#.to_owned())
        }
        (Least::AboveZero, _) => {
            Err(r#"a Go duration in quotes such as "1m30s" or "250ms", above 0s"#.to_owned())
        }
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok().map(Value::Float),
        value => integer(value).map(|int| Value::Float(int as f64)),
    }
}

fn list<T>(
    value: &DeValue<'_>,
    item: impl Fn(&Spanned<DeValue<'_>>) -> Option<T>,
) -> Option<Vec<T>> {
    value.as_array()?.iter().map(item).collect()
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests;

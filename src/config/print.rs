//! The default configuration as a TOML text, for `-config-print-default`.

use super::keys::{Kind, SECTIONS, Section, Shape, Status};
use std::fmt::Write;

/// All sections and keys with their defaults, one line a key. Reading it gives the defaults.
#[must_use]
pub fn default_toml() -> String {
    let mut text = String::from(
        "# Configuration of silverback: go-carbon's keys, then its own.\n\
         # Every key stands here with its default.\n",
    );
    for section in SECTIONS {
        print_section(&mut text, section);
    }
    text
}

fn print_section(text: &mut String, section: &Section) {
    let path = section.path;
    // Writing to a String cannot fail.
    let _ = match section.shape {
        Shape::Single | Shape::Labels | Shape::Ignored => writeln!(text, "\n[{path}]"),
        Shape::List if path == "logging" => writeln!(text, "\n[[{path}]]"),
        // Of these there are none by default.
        Shape::List => writeln!(text, "\n# [[{path}]]"),
        Shape::Named => writeln!(text, "\n# [{path}.NAME]"),
    };
    let live = matches!(section.shape, Shape::Single) || path == "logging";
    for key in section.keys {
        let mark = if live { "" } else { "# " };
        let note = note(key.status);
        let _ = writeln!(
            text,
            "{mark}{} = {} # {}{note}",
            key.name,
            default_literal(&key.kind),
            key.about
        );
    }
}

fn note(status: Status) -> &'static str {
    match status {
        Status::Live | Status::AtStart => "",
        Status::NoEffect => " (no effect here)",
        Status::Later => " (not acted on yet)",
    }
}

/// Default of a key as TOML writes it.
#[must_use]
pub fn default_literal(kind: &Kind) -> String {
    match *kind {
        Kind::Text(text)
        | Kind::Word { default: text, .. }
        | Kind::Form { default: text, .. }
        | Kind::Duration { default: text, .. } => format!("{text:?}"),
        Kind::Int { default, .. } | Kind::Count(default) => default.to_string(),
        Kind::Float(number) => format!("{number:?}"),
        Kind::Bool(flag) => flag.to_string(),
        Kind::Texts(texts) => format!("{texts:?}"),
        Kind::Ints => "[]".to_owned(),
    }
}

/// One line of the table in `docs/config.md`.
#[cfg(test)]
pub(super) fn doc_row(key: &super::keys::Key) -> String {
    let status = match key.status {
        Status::Live => "yes, on reload too",
        Status::AtStart => "yes, at start",
        Status::NoEffect => "no effect here",
        Status::Later => "not yet",
    };
    format!("| `{}` | `{}` | {status} | {} |", key.name, default_literal(&key.kind), key.about)
}

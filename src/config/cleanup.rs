//! `[[cleanup]]` → which series are deleted when nobody writes them any more.

use super::problem::Problem;
use super::settings::{Settings, Table};
use silverback_engine::CleanupOptions;
use silverback_engine::schema::{CleanupRule, CleanupRules, Pattern};
use std::time::Duration;

/// Less would delete series that are only slow.
const LEAST: Duration = Duration::from_secs(3600);

/// What the tables and the keys of `[storage]` ask for; the server's own series begin with
/// `own_prefix`.
pub(super) fn options(
    file: &str,
    settings: &Settings,
    own_prefix: &str,
) -> Result<CleanupOptions, Vec<Problem>> {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    for table in settings.tables("cleanup") {
        match rule(table) {
            Ok(rule) => rules.push(rule),
            Err((key, message)) => {
                let line = table.line(key);
                problems.push(Problem { file: file.to_owned(), line, message });
            }
        }
    }
    let compiled = CleanupRules::compile(file, rules);
    let errors = compiled.as_ref().err().into_iter().flat_map(|errors| errors.iter());
    problems.extend(errors.map(|error| Problem {
        file: error.file.clone(),
        line: Some(error.line),
        message: format!("[[cleanup]] {}", error.mistake),
    }));
    let storage = settings.table("storage");
    match compiled {
        Ok(rules) if problems.is_empty() => Ok(CleanupOptions {
            rules,
            interval: storage.duration("cleanup-interval"),
            series_per_second: u32::try_from(storage.int("cleanup-series-per-second")).unwrap_or(0),
            own_prefix: own_prefix.as_bytes().to_vec(),
        }),
        _ => Err(problems),
    }
}

/// A rule, or a key and what is wrong with it.
fn rule(table: &Table) -> Result<CleanupRule, (&'static str, String)> {
    let (text, age) = (table.text("pattern"), table.duration("not-updated-for"));
    if text.is_empty() {
        let message = "[[cleanup]] pattern is not set: allowed is a regular expression over names, \
                       such as \"^tmp\\\\.\"";
        return Err(("pattern", message.to_owned()));
    }
    let pattern = Pattern::parse(&text)
        .map_err(|error| ("pattern", format!("[[cleanup]] pattern = {text:?}: {error}")))?;
    let not_updated_for_s = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
    if age < LEAST {
        let message = format!(
            "[[cleanup]] not-updated-for = \"{}s\": allowed is a Go duration of at least 1h, such \
             as \"720h\"",
            age.as_secs_f64()
        );
        return Err(("not-updated-for", message));
    }
    let line = table.line("pattern").unwrap_or(0);
    Ok(CleanupRule { pattern, not_updated_for_s, line })
}

//! `storage-schemas.conf`: which archives a series has.

use super::RuleFile;
use super::error::{Mistake, SchemaError, SchemaErrors};
use super::ini::{self, Section};
use super::re2::Pattern;
use super::retention::Retention;
use super::rule_set::{Rule, RuleSet};

/// One section of `storage-schemas.conf`.
#[derive(Debug, Clone)]
pub struct StorageRule {
    /// Name of the section, for people.
    pub name: String,
    /// Line of its header in the file, from 1.
    pub line: usize,
    /// Names that the rule is for.
    pub pattern: Pattern,
    /// Archives, finest first; never empty.
    pub archives: Vec<Retention>,
    /// Rules of higher priority are asked first.
    pub priority: i64,
    /// Whether whisper files of this rule are compressed; `None` leaves it to the main
    /// configuration.
    pub compressed: Option<bool>,
    /// Whether existing files are brought to these archives; `None` leaves it to the main
    /// configuration.
    pub migration: Option<bool>,
}

impl Rule for StorageRule {
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    fn line(&self) -> usize {
        self.line
    }
}

/// Reads the file; rules come back in the order in which they are asked.
pub(super) fn parse(file: RuleFile<'_>) -> Result<RuleSet<StorageRule>, SchemaErrors> {
    let mut errors = SchemaErrors::none();
    let sections = ini::parse(file, &mut errors);
    let mut rules: Vec<StorageRule> =
        sections.iter().filter_map(|section| read(file.name, section, &mut errors)).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    // Stable: rules of one priority stay in the order of the file.
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    RuleSet::compile(file.name, rules)
}

/// The rule of a section. Looks at all keys, so that each mistake is told.
fn read(file: &str, section: &Section, errors: &mut SchemaErrors) -> Option<StorageRule> {
    let mut keep = |line: usize, mistake| errors.push(SchemaError::new(file, line, mistake));
    let pattern = pattern(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    let archives = archives(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    let priority = priority(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    let compressed = compressed(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    Some(StorageRule {
        name: section.name.clone(),
        line: section.line,
        pattern: pattern?,
        archives: archives?,
        priority: priority?,
        compressed: compressed?,
        migration: section.flag("migration"),
    })
}

fn pattern(section: &Section) -> Result<Pattern, (usize, Mistake)> {
    match section.entry("pattern") {
        Some(entry) if !entry.value.is_empty() => entry.pattern(),
        _ => Err(section.missing("pattern", "a regular expression, such as ^carbon\\.")),
    }
}

fn archives(section: &Section) -> Result<Vec<Retention>, (usize, Mistake)> {
    match section.entry("retentions") {
        Some(entry) if !entry.value.is_empty() => {
            Retention::parse_list(&entry.value).map_err(|error| (entry.line, error.into()))
        }
        _ => Err(section.missing("retentions", "archives, such as 10s:6h,1m:30d")),
    }
}

fn priority(section: &Section) -> Result<i64, (usize, Mistake)> {
    match section.entry("priority") {
        Some(entry) if !entry.value.is_empty() => entry.value.parse().map_err(|_| {
            entry.refused("priority", "an integer from -9223372036854775808 to 9223372036854775807")
        }),
        _ => Ok(0),
    }
}

fn compressed(section: &Section) -> Result<Option<bool>, (usize, Mistake)> {
    section
        .entry("compressed")
        .map(|entry| entry.value.parse().map_err(|_| entry.refused("compressed", "true or false")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<StorageRule>, String> {
        let rules = parse(RuleFile { name: "s", text: text.as_bytes() });
        rules.map(|set| set.rules().to_vec()).map_err(|errors| errors.to_string())
    }

    #[track_caller]
    fn check_mistake(lines: &str, expected: &str) {
        let error = read(&format!("[a]\n{lines}")).unwrap_err();
        assert!(error.starts_with(expected), "{error} is not {expected}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    fn rule(lines: &str) -> StorageRule {
        read(&format!("[a]\npattern = x\nretentions = 60:10\n{lines}")).unwrap().remove(0)
    }

    #[test]
    fn order_is_by_priority_then_by_file() {
        let section = |name: &str, priority: &str| {
            format!("[{name}]\npattern=x\nretentions=60:10\npriority={priority}\n")
        };
        let text = [("a", "-1"), ("b", ""), ("c", "10"), ("d", "0"), ("e", "+10")]
            .map(|(name, priority)| section(name, priority))
            .concat();
        let names: Vec<_> = read(&text).unwrap().into_iter().map(|rule| rule.name).collect();
        assert_eq!(names, ["c", "e", "b", "d", "a"]);
    }

    #[test]
    fn an_empty_file_has_no_rules() {
        assert!(read("").unwrap().is_empty());
        assert!(read("# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn defaults() {
        let rule = rule("unknown = 1");
        assert_eq!((rule.priority, rule.compressed, rule.migration), (0, None, None));
    }

    #[test]
    fn flags_are_kept() {
        assert_eq!(rule("compressed = true").compressed, Some(true));
        assert_eq!(rule("Compressed = 'false'").compressed, Some(false));
        assert_eq!(rule("migration = true").migration, Some(true));
        assert_eq!(rule("migration = yes").migration, Some(false));
        assert_eq!(rule("migration =").migration, Some(false));
    }

    #[test]
    fn mistakes() {
        check_mistake("retentions = 60:10", "s:1: section [a] has no pattern");
        check_mistake("pattern =\nretentions = 60:10", "s:1: section [a] has no pattern");
        check_mistake("pattern = x", "s:1: section [a] has no retentions");
        check_mistake("pattern = x\nretentions = 0s:1d", "s:3: retention \"0s:1d\"");
        check_mistake("pattern = a\nretentions = 60s:1d # c", "s:3: length of time \"1d # c\"");
        check_mistake("pattern = (\nretentions = 60:10", "s:2: pattern \"(\"");
        let ok = "pattern = x\nretentions = 60:10\n";
        check_mistake(
            &format!("{ok}priority = high"),
            "s:4: priority is \"high\", expected an int",
        );
        check_mistake(&format!("{ok}priority = 9223372036854775808"), "s:4: priority is");
        check_mistake(
            &format!("{ok}compressed = True"),
            "s:4: compressed is \"True\", expected tr",
        );
        check_mistake(&format!("{ok}compressed ="), "s:4: compressed is \"\"");
    }

    #[test]
    fn patterns_must_be_utf8() {
        let text = b"[a]\npattern = \xff\nretentions = 60:10";
        let errors = parse(RuleFile { name: "s", text }).unwrap_err();
        assert!(errors.to_string().contains("UTF-8"), "{errors}");
    }

    #[test]
    fn all_mistakes_of_a_section_are_told() {
        let error = read("[a]\npattern=(\nretentions=1\npriority=x\ncompressed=x").unwrap_err();
        assert_eq!(error.lines().count(), 4, "{error}");
    }
}

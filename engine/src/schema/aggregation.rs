//! `storage-aggregation.conf`: how the points of a finer archive become one of a coarser.

use super::RuleFile;
use super::error::{Mistake, SchemaError, SchemaErrors};
use super::extra::ExtraRollUps;
use super::ini::{self, Section};
use super::re2::Pattern;
use super::rule_set::{Rule, RuleSet};

/// How points of a finer archive become one of a coarser one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum AggregationMethod {
    /// Mean of the known points.
    #[default]
    Average,
    /// Their sum.
    Sum,
    /// The newest.
    Last,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

impl AggregationMethod {
    /// The method of this name in `storage-aggregation.conf`: `average` or `avg`, `sum`,
    /// `last`, `max`, `min`, in lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "average" | "avg" => Some(Self::Average),
            "sum" => Some(Self::Sum),
            "last" => Some(Self::Last),
            "max" => Some(Self::Max),
            "min" => Some(Self::Min),
            _ => None,
        }
    }

    /// Its name in `storage-aggregation.conf`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Sum => "sum",
            Self::Last => "last",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

/// One section of `storage-aggregation.conf`.
#[derive(Debug, Clone)]
pub struct AggregationRule {
    /// Name of the section, for people.
    pub name: String,
    /// Line of its header in the file, from 1; 0 for the rule that stands in no file.
    pub line: usize,
    /// Names that the rule is for.
    pub pattern: Pattern,
    /// How a coarser archive is computed.
    pub method: AggregationMethod,
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub x_files_factor: f32,
    /// What coarser archives tell beside that.
    pub extra: ExtraRollUps,
    /// Whether existing files are brought to this factor; `None` leaves it to the main
    /// configuration.
    pub xff_migration: Option<bool>,
    /// Whether existing files are brought to this method; `None` leaves it to the main
    /// configuration.
    pub method_migration: Option<bool>,
}

/// The rule of names that no section matches: average, at least half of the points known.
impl Default for AggregationRule {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            line: 0,
            pattern: Pattern::any(),
            method: AggregationMethod::Average,
            x_files_factor: 0.5,
            extra: ExtraRollUps::NONE,
            xff_migration: None,
            method_migration: None,
        }
    }
}

impl Rule for AggregationRule {
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    fn line(&self) -> usize {
        self.line
    }
}

/// Reads the file; rules are asked in its order.
pub(super) fn parse(file: RuleFile<'_>) -> Result<RuleSet<AggregationRule>, SchemaErrors> {
    let mut errors = SchemaErrors::none();
    let sections = ini::parse(file, &mut errors);
    let rules =
        sections.iter().filter_map(|section| read(file.name, section, &mut errors)).collect();
    if errors.is_empty() { RuleSet::compile(file.name, rules) } else { Err(errors) }
}

/// The rule of a section. Looks at all keys, so that each mistake is told.
fn read(file: &str, section: &Section, errors: &mut SchemaErrors) -> Option<AggregationRule> {
    let mut keep = |line: usize, mistake| errors.push(SchemaError::new(file, line, mistake));
    let pattern = pattern(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    let factor = x_files_factor(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    let method = method(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    let extra = extra(section).map_err(|(line, mistake)| keep(line, mistake)).ok();
    Some(AggregationRule {
        name: section.name.clone(),
        line: section.line,
        pattern: pattern?,
        method: method?,
        x_files_factor: factor?,
        extra: extra?,
        xff_migration: section.flag("xffmigration"),
        method_migration: section.flag("aggregationmethodmigration"),
    })
}

fn pattern(section: &Section) -> Result<Pattern, (usize, Mistake)> {
    section.entry("pattern").map_or_else(|| Ok(Pattern::any()), |entry| entry.pattern())
}

fn x_files_factor(section: &Section) -> Result<f32, (usize, Mistake)> {
    const EXPECTED: &str = "a decimal number from 0 to 1";
    let Some(entry) = section.entry("xfilesfactor").filter(|entry| !entry.value.is_empty()) else {
        return Err(section.missing("xFilesFactor", EXPECTED));
    };
    match entry.value.parse::<f64>() {
        Ok(factor) if (0.0..=1.0).contains(&factor) => Ok(factor as f32),
        _ => Err(entry.refused("xFilesFactor", EXPECTED)),
    }
}

fn method(section: &Section) -> Result<AggregationMethod, (usize, Mistake)> {
    const EXPECTED: &str = "one of average, avg, sum, last, max, min (lower case)";
    let Some(entry) = section.entry("aggregationmethod").filter(|entry| !entry.value.is_empty())
    else {
        return Err(section.missing("aggregationMethod", EXPECTED));
    };
    AggregationMethod::from_name(&entry.value)
        .ok_or_else(|| entry.refused("aggregationMethod", EXPECTED))
}

fn extra(section: &Section) -> Result<ExtraRollUps, (usize, Mistake)> {
    const EXPECTED: &str = "a list of min, max, sum, count, last (lower case, with commas)";
    section.entry("extrarollups").map_or(Ok(ExtraRollUps::NONE), |entry| {
        ExtraRollUps::parse(&entry.value).ok_or_else(|| entry.refused("extraRollUps", EXPECTED))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Aggregate;
    use super::*;

    fn read(text: &str) -> Result<Vec<AggregationRule>, String> {
        let rules = parse(RuleFile { name: "a", text: text.as_bytes() });
        rules.map(|set| set.rules().to_vec()).map_err(|errors| errors.to_string())
    }

    fn rule(lines: &str) -> Result<AggregationRule, String> {
        read(&format!("[r]\n{lines}")).map(|mut rules| rules.remove(0))
    }

    fn with_factor(text: &str) -> Result<f32, String> {
        rule(&format!("xFilesFactor = {text}\naggregationMethod = sum"))
            .map(|rule| rule.x_files_factor)
    }

    #[test]
    fn exactly_the_methods_of_go_carbon() {
        let method = |name: &str| {
            rule(&format!("xFilesFactor = 0\naggregationMethod = {name}")).map(|rule| rule.method)
        };
        assert_eq!(method("average"), Ok(AggregationMethod::Average));
        assert_eq!(method("avg"), Ok(AggregationMethod::Average));
        assert_eq!(method("sum"), Ok(AggregationMethod::Sum));
        assert_eq!(method("last"), Ok(AggregationMethod::Last));
        assert_eq!(method("max"), Ok(AggregationMethod::Max));
        assert_eq!(method("min"), Ok(AggregationMethod::Min));
        for name in ["Average", "SUM", "median", "p95", "mix", "absmax", "absmin", "avg_zero"] {
            let error = method(name).unwrap_err();
            assert!(error.starts_with("a:3: aggregationMethod is"), "{error}");
        }
    }

    #[test]
    fn names_of_methods_are_read_back() {
        use AggregationMethod::{Average, Last, Max, Min, Sum};
        for method in [Average, Sum, Last, Max, Min] {
            assert_eq!(AggregationMethod::from_name(method.name()), Some(method));
        }
    }

    #[test]
    fn the_factor_is_from_0_to_1() {
        for (text, expected) in
            [("0", 0.0), ("1", 1.0), ("0.5", 0.5), (".5", 0.5), ("5e-1", 0.5), ("+1.", 1.0)]
        {
            assert_eq!(with_factor(text), Ok(expected), "{text}");
        }
        for text in ["1.5", "-1", "nan", "NaN", "inf", "1.0000001", "half", "0,5", "1e400"] {
            let error = with_factor(text).unwrap_err();
            assert!(error.starts_with("a:2: xFilesFactor is"), "{error}");
        }
    }

    #[test]
    fn both_values_are_required() {
        let error = rule("pattern = x").unwrap_err();
        assert!(error.contains("a:1: section [r] has no xFilesFactor"), "{error}");
        assert!(error.contains("a:1: section [r] has no aggregationMethod"), "{error}");
    }

    #[test]
    fn no_pattern_matches_everything() {
        for pattern in ["", "pattern =\n"] {
            let rule = rule(&format!("{pattern}xFilesFactor=0\naggregationMethod=sum")).unwrap();
            assert_eq!(rule.pattern.text(), "");
        }
    }

    #[test]
    fn extra_roll_ups_are_a_list() {
        let extra = |text: &str| {
            rule(&format!("xFilesFactor=0\naggregationMethod=sum\n{text}")).map(|rule| rule.extra)
        };
        assert_eq!(extra(""), Ok(ExtraRollUps::NONE));
        assert_eq!(extra("extraRollUps ="), Ok(ExtraRollUps::NONE));
        let all = extra("extraRollUps = min, max,sum,count ,last,max").unwrap();
        assert_eq!(all.iter().collect::<Vec<_>>(), Aggregate::ALL);
        for text in ["Max", "average", "max,", "min max"] {
            let error = extra(&format!("extraRollUps = {text}")).unwrap_err();
            assert!(error.starts_with("a:4: extraRollUps is"), "{error}");
        }
    }

    #[test]
    fn migration_keys_are_kept() {
        let lines = "xFilesFactor=0\naggregationMethod=sum\n";
        let plain = rule(lines).unwrap();
        assert_eq!((plain.xff_migration, plain.method_migration), (None, None));
        let both = "xffMigration = true\naggregationMethodMigration = no";
        let rule = rule(&format!("{lines}{both}")).unwrap();
        assert_eq!((rule.xff_migration, rule.method_migration), (Some(true), Some(false)));
    }

    #[test]
    fn rules_stay_in_the_order_of_the_file() {
        let section =
            |name| format!("[{name}]\nxFilesFactor=0\naggregationMethod=sum\npriority=9\n");
        let rules = read(&["b", "a", "c"].map(section).concat()).unwrap();
        let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
    }
}

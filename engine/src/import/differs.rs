//! How a file is unlike the rules, which its series follows from now on.

use crate::schema::{Policy, Retention};
use crate::whisper_dir::{FileInfo, Scope};
use std::fmt::Write;

/// What of a file is not as the rules have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Differs {
    /// In words, both sides.
    pub(super) text: String,
    /// Whether the rules keep less than the file does: an archive of a finer step, or a longer one.
    pub(super) is_cut: bool,
}

/// Compares a file with the rules; `None` where it is as they have it.
pub(super) fn differs(file: &FileInfo, policy: &Policy) -> Option<Differs> {
    let all = Scope { x_files_factor: true, method: true, schema: true };
    let differs = file.differs(policy, all);
    let mut parts = Vec::new();
    if differs.schema {
        let [found, rules] = [&file.archives, &policy.archives].map(|archives| list(archives));
        parts.push(format!("archives {found}, rules {rules}"));
    }
    if differs.method {
        let (found, rules) = (file.method.name(), policy.method.name());
        parts.push(format!("aggregation method {found}, rules {rules}"));
    }
    if differs.x_files_factor {
        let (found, rules) = (file.x_files_factor, policy.x_files_factor);
        parts.push(format!("xFilesFactor {found}, rules {rules}"));
    }
    let is_kept = |archive: &Retention| policy.archives.iter().any(|rule| keeps(*rule, *archive));
    let is_cut = !file.archives.iter().all(is_kept);
    differs.is_any().then(|| Differs { text: parts.join("; "), is_cut })
}

/// Whether an archive of the rules has a slot for each of an archive of a file.
fn keeps(rule: Retention, archive: Retention) -> bool {
    archive.step_s.is_multiple_of(rule.step_s) && rule.reach_s() >= archive.reach_s()
}

fn list(archives: &[Retention]) -> String {
    let mut text = String::new();
    for (at, archive) in archives.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(text, "{comma}{archive}").expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{AggregationMethod as Method, ExtraRollUps};
    use crate::whisper_dir::FileKind;
    use silverback_formats::whisper::AggregationMethod;

    #[test]
    fn what_the_rules_keep_less_of_is_cut() {
        let policy = |archives: &str| Policy {
            extra: ExtraRollUps::NONE,
            archives: Retention::parse_list(archives).unwrap(),
            method: Method::Sum,
            x_files_factor: 0.5,
        };
        let file = |archives: &str, method, x_files_factor| FileInfo {
            kind: FileKind::Standard,
            archives: Retention::parse_list(archives).unwrap(),
            method,
            x_files_factor,
        };
        let rules = policy("10:360,60:1440");
        let sum = AggregationMethod::Sum;
        assert_eq!(differs(&file("10:360,60:1440", sum, 0.5), &rules), None);
        for (archives, is_cut) in [
            ("60:1440", false),
            ("10:100,120:720", false),
            ("5:10", true),
            ("10:361,60:1440", true),
            ("60:1441", true),
            ("90:100", true),
        ] {
            let found = differs(&file(archives, sum, 0.5), &rules).unwrap();
            assert_eq!(found.is_cut, is_cut, "{archives}");
            assert_eq!(found.text, format!("archives {archives}, rules 10:360,60:1440"));
        }
        let found = differs(&file("10:360,60:1440", AggregationMethod::Last, 0.0), &rules);
        let text = "aggregation method last, rules sum; xFilesFactor 0, rules 0.5";
        assert_eq!(found, Some(Differs { text: text.to_owned(), is_cut: false }));
    }
}

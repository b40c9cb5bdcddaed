//! Rules that decide how a series is kept: `storage-schemas.conf` and
//! `storage-aggregation.conf`, read as go-carbon reads them.
//!
//! Texts come in as bytes; nothing here opens a file. All mistakes of both files
//! are told at once, and what go-carbon would stumble over later is refused here.
//! Good files become automata, so that the rules of a new name are found without
//! asking rule by rule.
//!
//! | module | |
//! |---|---|
//! | `ini` | lines, sections, keys |
//! | [`retention`](Retention) | `10s:6h,1m:30d` |
//! | `storage` | rules of `storage-schemas.conf` |
//! | `aggregation` | rules of `storage-aggregation.conf` |
//! | `extra` | roll-ups beside the main one |
//! | `cleanup` | rules for series that nobody writes any more |
//! | `re2` | patterns in Go's dialect |
//! | `matcher` | the first pattern that matches |
//! | `rule_set` | rules of a file and their matcher |
//! | `policy` | what both files say of one series |
//! | `error` | mistakes and where they are |

mod aggregation;
mod cleanup;
mod error;
mod extra;
mod ini;
mod matcher;
mod policy;
mod re2;
mod retention;
mod rule_set;
mod storage;

pub use aggregation::{AggregationMethod, AggregationRule};
pub use cleanup::{CleanupRule, CleanupRules};
pub use error::{Mistake, SchemaError, SchemaErrors};
pub use extra::{Aggregate, ExtraRollUps};
pub(crate) use extra::{Instead, Rolled};
pub use policy::Policy;
pub use re2::{Pattern, PatternError, PatternReason};
pub use retention::{Retention, RetentionError};
pub use storage::StorageRule;

use parking_lot::RwLock;
use rule_set::RuleSet;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Longest text of a rule file: it is written to the head of each segment of the log.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// A rule file as the caller read it.
#[derive(Debug, Clone, Copy)]
pub struct RuleFile<'a> {
    /// Name, for messages only.
    pub name: &'a str,
    /// Content.
    pub text: &'a [u8],
}

/// All rules of a database. Clones share them.
#[derive(Debug, Clone)]
pub struct Schema {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    storage: RuleSet<StorageRule>,
    aggregation: RuleSet<AggregationRule>,
    /// The rule of names that no section of `storage-aggregation.conf` matches.
    default: AggregationRule,
    /// Both files as they were read.
    texts: [Box<[u8]>; 2],
    /// What was handed out, so that equal rules share one policy.
    policies: RwLock<HashMap<PolicyKey, Arc<Policy>>>,
}

/// All that makes up a policy; the factor by its bits.
type PolicyKey = (Vec<Retention>, AggregationMethod, u32, ExtraRollUps);

/// The two rules that a series follows.
#[derive(Debug, Clone, Copy)]
pub struct RulePair<'a> {
    /// From `storage-schemas.conf`.
    pub storage: &'a StorageRule,
    /// From `storage-aggregation.conf`, or the default one.
    pub aggregation: &'a AggregationRule,
}

impl Schema {
    /// `storage-schemas.conf` of a database without one.
    pub const EMBEDDED_SCHEMAS: &'static str = "\
# The first matching section counts; higher priorities are asked first.

[carbon]
pattern = ^carbon\\.
retentions = 10s:6h,1m:30d

[default]
pattern = .*
retentions = 1m:30d
";

    /// `storage-aggregation.conf` of a database without one.
    pub const EMBEDDED_AGGREGATION: &'static str = "\
# The first matching section counts.

[default]
pattern = .*
xFilesFactor = 0.5
aggregationMethod = average
";

    /// The rules used without configuration files.
    #[must_use]
    pub fn embedded() -> Self {
        let schemas =
            RuleFile { name: "embedded schemas", text: Self::EMBEDDED_SCHEMAS.as_bytes() };
        let aggregation =
            RuleFile { name: "embedded aggregation", text: Self::EMBEDDED_AGGREGATION.as_bytes() };
        Self::parse(schemas, Some(aggregation)).expect("the embedded rules are tested")
    }

    /// Reads `storage-schemas.conf` and, if there is one, `storage-aggregation.conf`.
    ///
    /// ```
    /// use silverback_engine::schema::{RuleFile, Schema};
    ///
    /// let text = b"[all]\npattern = .*\nretentions = 60s:1d\ncompressed = yes\n";
    /// let file = RuleFile { name: "storage-schemas.conf", text };
    /// let errors = Schema::parse(file, None).unwrap_err();
    /// assert_eq!(
    ///     errors.to_string(),
    ///     "storage-schemas.conf:4: compressed is \"yes\", expected true or false"
    /// );
    /// ```
    ///
    /// # Errors
    /// All mistakes of both files.
    pub fn parse(
        schemas: RuleFile<'_>,
        aggregation: Option<RuleFile<'_>>,
    ) -> Result<Self, SchemaErrors> {
        let mut errors = SchemaErrors::none();
        let aggregation = aggregation.unwrap_or(RuleFile { name: "", text: b"" });
        let texts = [schemas.text.into(), aggregation.text.into()];
        for file in [schemas, aggregation] {
            if file.text.len() > TEXT_BYTES_MAX {
                let mistake = Mistake::TooLong { limit_bytes: TEXT_BYTES_MAX };
                errors.push(SchemaError::new(file.name, 1, mistake));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let storage = storage::parse(schemas).map_err(|file| errors.append(file)).ok();
        let aggregation = aggregation::parse(aggregation).map_err(|file| errors.append(file)).ok();
        let (Some(storage), Some(aggregation)) = (storage, aggregation) else {
            return Err(errors);
        };
        let default = AggregationRule::default();
        let policies = RwLock::default();
        let rules = Rules { storage, aggregation, default, texts, policies };
        Ok(Self { rules: Arc::new(rules) })
    }

    /// The texts that it was read from: schemas and aggregation, empty where there was none.
    #[must_use]
    pub fn texts(&self) -> [&[u8]; 2] {
        self.rules.texts.each_ref().map(|text| &**text)
    }

    /// The policy of a series that is there, whatever rules it was created by: where none of these
    /// matches its name, that of the [embedded](Self::embedded) ones.
    #[must_use]
    pub fn policy_of_existing(&self, name: &[u8]) -> Arc<Policy> {
        static EMBEDDED: LazyLock<Schema> = LazyLock::new(Schema::embedded);
        let policy = self.policy(name).or_else(|| EMBEDDED.policy(name));
        policy.expect("the embedded rules match every name")
    }

    /// The policy of a series, or `None` when no schema rule matches its name. A tagged series
    /// is asked for by its canonical name, `name;k=v;...`.
    ///
    /// Series whose rules say the same share one policy.
    #[must_use]
    pub fn policy(&self, name: &[u8]) -> Option<Arc<Policy>> {
        let RulePair { storage, aggregation } = self.rules_of(name)?;
        let factor = aggregation.x_files_factor;
        let extra = aggregation.extra;
        let key = (storage.archives.clone(), aggregation.method, factor.to_bits(), extra);
        if let Some(policy) = self.rules.policies.read().get(&key) {
            return Some(Arc::clone(policy));
        }
        let policy = || {
            Arc::new(Policy {
                archives: storage.archives.clone(),
                method: aggregation.method,
                x_files_factor: factor,
                extra,
            })
        };
        Some(Arc::clone(self.rules.policies.write().entry(key).or_insert_with(policy)))
    }

    /// The rules that decide about a series, or `None` when no schema rule matches its name.
    #[must_use]
    pub fn rules_of(&self, name: &[u8]) -> Option<RulePair<'_>> {
        let storage = self.rules.storage.first_match(name)?;
        let aggregation = self.rules.aggregation.first_match(name).unwrap_or(&self.rules.default);
        Some(RulePair { storage, aggregation })
    }

    /// The rules of `storage-schemas.conf`, in the order in which they are asked.
    #[must_use]
    pub fn storage_rules(&self) -> &[StorageRule] {
        self.rules.storage.rules()
    }

    /// The rules of `storage-aggregation.conf`, in the order in which they are asked.
    #[must_use]
    pub fn aggregation_rules(&self) -> &[AggregationRule] {
        self.rules.aggregation.rules()
    }
}

#[cfg(test)]
mod tests;

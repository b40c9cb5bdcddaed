//! What the rule files and the settings say of the file of one series.

use crate::inner::Inner;
use crate::options::{MigrationOptions, WhisperOptions};
use crate::policies::Times;
use crate::schema::{AggregationMethod, ExtraRollUps, Policy, RulePair, Schema};
use crate::whisper_dir::{FileInfo, NewFile, Scope};
use silverback_formats::whisper;
use std::sync::Arc;

/// What a new file of this series is to be. One that no rule matches, whose file is gone, follows
/// the rules that are built in.
pub(super) fn new_file(db: &Inner, options: &WhisperOptions, name: &[u8]) -> NewFile {
    let schema = db.schema.load();
    let rule = schema.rules_of(name).and_then(|rules| rules.storage.compressed);
    NewFile { policy: policy(&schema, name), compressed: rule.unwrap_or(options.compressed) }
}

/// The policy by the rules.
pub(super) fn policy(schema: &Schema, name: &[u8]) -> Arc<Policy> {
    schema.policy_of_existing(name)
}

/// What of an existing file is to follow the rules: what a rule says of itself counts more than
/// the settings.
pub(super) fn scope(rules: RulePair<'_>, migration: MigrationOptions) -> Scope {
    let RulePair { storage, aggregation } = rules;
    Scope {
        x_files_factor: aggregation.xff_migration.unwrap_or(migration.x_files_factor),
        method: aggregation.method_migration.unwrap_or(migration.method),
        schema: storage.migration.unwrap_or(migration.archives),
    }
}

/// What a file says of itself, as a policy.
pub(super) fn policy_of(file: &FileInfo) -> Policy {
    Policy {
        archives: file.archives.clone(),
        method: method_of(file.method),
        x_files_factor: file.x_files_factor,
        extra: ExtraRollUps::NONE,
    }
}

/// The nearest of the methods that rule files know: what a client that consolidates values of
/// the series should do.
fn method_of(method: whisper::AggregationMethod) -> AggregationMethod {
    use whisper::AggregationMethod as Method;
    match method {
        Method::Sum => AggregationMethod::Sum,
        Method::Last => AggregationMethod::Last,
        Method::Max | Method::AbsMax => AggregationMethod::Max,
        Method::Min | Method::AbsMin => AggregationMethod::Min,
        _ => AggregationMethod::Average,
    }
}

/// Has the head keep the series' samples in the slots of its file from now on.
pub(super) fn learn(db: &Inner, id: u32, file: &FileInfo) {
    let Some(now) = db.head.policy(id) else { return };
    let entry = db.policies.entry(now);
    if entry.times == Times::AsSent || entry.policy.archives != file.archives {
        db.head.set_policy(id, db.policies.of_file(&Arc::new(policy_of(file))));
    }
}

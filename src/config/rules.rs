//! The rule files that a configuration names.

use super::{Config, ConfigError, Problem};
use silverback_engine::schema::{RuleFile, Schema, SchemaError};
use std::path::Path;

/// Reads the retention and roll-up rules of `config`.
///
/// # Errors
/// When a file cannot be read, and with all mistakes of both.
pub fn load(config: &Config) -> Result<Schema, ConfigError> {
    let schemas = config.schemas_file.as_deref().map(|file| read(config, "schemas-file", file));
    let aggregation =
        config.aggregation_file.as_deref().map(|file| read(config, "aggregation-file", file));
    let (schemas, aggregation) = match (schemas.transpose(), aggregation.transpose()) {
        (Ok(schemas), Ok(aggregation)) => (schemas, aggregation),
        (schemas, aggregation) => {
            let unreadable = schemas.err().into_iter().chain(aggregation.err());
            return Err(ConfigError(unreadable.collect()));
        }
    };
    let schemas = match (schemas, &aggregation) {
        (Some(schemas), _) => schemas,
        (None, None) => return Ok(Schema::embedded()),
        (None, Some(aggregation)) => {
            return Err(ConfigError(vec![Problem {
                file: config.name(),
                line: config.settings.table("whisper").line("aggregation-file"),
                message: format!(
                    "[whisper] aggregation-file = {:?}: allowed is \"\" as long as schemas-file \
                     is empty, since the built-in rules bring their own aggregation",
                    aggregation.name
                ),
            }]));
        }
    };
    Schema::parse(schemas.as_rule_file(), aggregation.as_ref().map(Text::as_rule_file)).map_err(
        |errors| {
            let problem = |error: &SchemaError| Problem {
                file: error.file.clone(),
                line: Some(error.line),
                message: error.mistake.to_string(),
            };
            ConfigError(errors.iter().map(problem).collect())
        },
    )
}

/// A rule file as it was read.
struct Text {
    name: String,
    bytes: Vec<u8>,
}

impl Text {
    fn as_rule_file(&self) -> RuleFile<'_> {
        RuleFile { name: &self.name, text: &self.bytes }
    }
}

fn read(config: &Config, key: &str, file: &Path) -> Result<Text, Problem> {
    let name = file.display().to_string();
    match std::fs::read(file) {
        Ok(bytes) => Ok(Text { name, bytes }),
        Err(error) => Err(Problem {
            file: config.name(),
            line: config.settings.table("whisper").line(key),
            message: format!("[whisper] {key} = {name:?}: {error}: allowed is a file to read"),
        }),
    }
}

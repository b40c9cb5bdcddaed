//! `whisper info`: what a file says of itself.

use super::error::{CommandError, FileError};
use super::file::WhisperFile;
use super::{DialectName, printf};
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Names and values, in the order in which they are printed.
type Fields = Vec<(&'static str, Value)>;

/// Arguments of `whisper info`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:\n  \
    silverback whisper info load.wsp\n  \
    silverback whisper info load.wsp aggregationMethod\n  \
    silverback whisper info --json load.wsp")]
pub(crate) struct Info {
    /// The file
    file: PathBuf,
    /// Print this field alone
    field: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
}

impl Info {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        let (fields, archives) = self.fields().map_err(|error| error.at(&self.file))?;
        if let Some(wanted) = &self.field {
            let found = fields.iter().find(|(name, _)| name == wanted);
            match found {
                Some((_, value)) => writeln!(out, "{}", plain(value))?,
                None if wanted == "archives" => writeln!(out, "{}", Value::from(archives))?,
                None => {
                    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
                    let names = names.join(",");
                    return Err(CommandError::Usage(format!(
                        "unknown field {wanted:?}, valid fields are {names},archives"
                    )));
                }
            }
        } else if self.json {
            let mut object: Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            object.insert("archives".to_owned(), archives.into());
            writeln!(out, "{}", Value::from(object))?;
        } else {
            for (name, value) in &fields {
                writeln!(out, "{name}: {}", plain(value))?;
            }
            writeln!(out)?;
            for (number, archive) in archives.iter().enumerate() {
                writeln!(out, "Archive {number}")?;
                for name in ["offset", "secondsPerPoint", "points", "retention", "size"] {
                    writeln!(out, "{name}: {}", plain(&archive[name]))?;
                }
                writeln!(out)?;
            }
        }
        Ok(true)
    }

    /// Fields of the file in the order of the script, and its archives.
    fn fields(&self) -> Result<(Fields, Vec<Value>), FileError> {
        let file_bytes = std::fs::metadata(&self.file)?.len();
        let file = WhisperFile::open_path(&self.file, self.dialect.rules())?;
        let fields = vec![
            ("aggregationMethod", json!(file.method().name())),
            ("maxRetention", json!(file.max_retention_s())),
            ("xFilesFactor", json!(f64::from(file.x_files_factor()))),
            ("fileSize", json!(file_bytes)),
            ("format", json!(file.kind().name())),
        ];
        let archives =
            file.archives().into_iter().zip(file.archive_bytes()).map(|(archive, size)| {
                json!({
                    "offset": archive.offset, "secondsPerPoint": archive.step_s,
                    "points": archive.points, "retention": archive.reach_s(), "size": size,
                })
            });
        Ok((fields, archives.collect()))
    }
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            printf::shortest(number.as_f64().unwrap_or(f64::NAN))
        }
        other => other.to_string(),
    }
}

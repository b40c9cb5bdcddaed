//! Log lines in go-carbon's looks, to the places that `[[logging]]` names.
//!
//! | module | step |
//! |---|---|
//! | [`output`] | one `[[logging]]` entry: which lines, in which look, to which sink |
//! | [`mod@line`] | one event → one line |
//! | [`sink`] | lines → stdout, stderr or a file that may be moved away under us |
//! | this one | `tracing` events → outputs |

pub mod line;
pub mod output;
pub mod sink;

pub use output::{Encoding, Output, OutputText, Target, TimeStyle, level};

use line::Line;
use sink::Sink;
use std::io;
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// A log file cannot be opened.
    #[error("[[logging]] file = {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Sends the program's events to `outputs` from now on. The first call in a process counts;
/// later ones change nothing, so that a test may start several servers.
///
/// # Errors
/// When a log file cannot be opened.
pub fn install(outputs: &[Output]) -> Result<(), LoggingError> {
    let layer = Lines::open(outputs)?;
    let subscriber = tracing_subscriber::registry().with(layer);
    // An error means that some subscriber is in place already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// The layer that turns events into lines.
#[derive(Debug)]
pub struct Lines {
    outputs: Vec<(Output, Sink)>,
}

impl Lines {
    /// Opens the sinks of `outputs`.
    ///
    /// # Errors
    /// When a log file cannot be opened.
    pub fn open(outputs: &[Output]) -> Result<Self, LoggingError> {
        let open = |output: &Output| Ok((output.clone(), Sink::open(&output.target)?));
        Ok(Self { outputs: outputs.iter().map(open).collect::<Result<_, _>>()? })
    }

    /// The outputs that want the lines of `logger`: its own ones, or else the default ones.
    fn outputs_of<'a>(&'a self, logger: &'a str) -> impl Iterator<Item = &'a (Output, Sink)> {
        let own = self.outputs.iter().any(|(output, _)| output.logger == logger);
        let wanted = if own { logger } else { "" };
        self.outputs.iter().filter(move |(output, _)| output.logger == wanted)
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.outputs.iter().map(|(output, _)| output.level).max()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let logger = line::logger(metadata.target());
        self.outputs_of(logger).any(|(output, _)| output.level >= *metadata.level())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let line = Line::of(event, line::now());
        for (output, sink) in self.outputs_of(line.logger) {
            if output.level >= *metadata.level() {
                sink.write(&line.render(output.encoding, output.time_style));
            }
        }
    }
}

#[cfg(test)]
mod tests;

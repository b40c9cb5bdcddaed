//! Configuration: a go-carbon TOML file and its rule files, turned into what the server
//! acts on.
//!
//! | module | step |
//! |---|---|
//! | [`keys`] | the table of all keys |
//! | [`settings`] | TOML text → values of the right types |
//! | [`duration`], [`address`] | Go's forms of spans of time and of addresses |
//! | this one | values → [`Config`], with what depends on several keys |
//! | `checks` | what a key's own type cannot say |
//! | [`rules`] | storage-schemas.conf, storage-aggregation.conf → `Schema` |
//! | [`mod@print`] | the defaults as a TOML text |

pub mod address;
mod checks;
mod cleanup;
pub mod duration;
pub mod keys;
pub mod print;
pub mod problem;
pub mod rules;
pub mod settings;
mod store;

pub use address::ListenAddress;
pub use problem::{ConfigError, Problem};

use crate::logging::{self, Output};
use settings::{Settings, Table};
use silverback_engine::schema::Schema;
use silverback_engine::{CleanupOptions, ImportOptions, StoreOptions, WhisperOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settings of a start without a configuration file.
const STANDALONE: &str = include_str!("standalone.toml");

/// What stands for the file name in messages about [`STANDALONE`].
const STANDALONE_NAME: &str = "built-in configuration";

/// Everything that the server acts on.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; none for a start without one.
    pub file: Option<PathBuf>,
    /// User that must exist.
    pub user: Option<String>,
    /// Prefix of the server's own metrics, with the host already filled in.
    pub graph_prefix: String,
    /// How often own metrics are stored.
    pub metric_interval: Duration,
    /// Where own metrics should go instead of the own store, which is not acted on yet.
    pub remote_metric_endpoint: Option<String>,
    /// Threads that run code; none for one per core.
    pub threads: Option<usize>,
    /// Where log lines go.
    pub logging: Vec<Output>,
    /// Folder of the data.
    pub storage_path: PathBuf,
    /// Where samples are kept after the head.
    pub store: StoreOptions,
    /// How a node of whisper files would keep them.
    pub whisper: WhisperOptions,
    /// Whisper files that are answered from and moved into blocks.
    pub migrate_from: Option<ImportOptions>,
    /// Which series are deleted when nobody writes them any more.
    pub cleanup: CleanupOptions,
    /// Whether whisper files of tagged series are named by hashes.
    pub hash_filenames: bool,
    /// Retention rules; none for the built-in ones.
    pub schemas_file: Option<PathBuf>,
    /// Roll-up rules; none for the default of go-carbon.
    pub aggregation_file: Option<PathBuf>,
    /// Longest time until a written point is synced.
    pub wal_sync_interval: Duration,
    /// Span of a block, in seconds.
    pub block_duration_s: u32,
    /// Most bytes of blocks that are read in a second to be merged; 0 for no limit.
    pub compaction_bytes_per_s: u64,
    /// Bytes of WAL above which the head is sealed early.
    pub wal_budget_bytes: u64,
    /// Bytes of points in memory above which a block is sealed early.
    pub head_budget_bytes: usize,
    /// Bytes of points of one series above which the head is sealed early.
    pub series_budget_bytes: usize,
    /// The same in points; half of `cache.max-size`, at which points wait.
    pub head_budget_points: usize,
    /// Whether names with `;` are tagged series.
    pub tags: bool,
    /// Where carbon lines are received over TCP.
    pub tcp: Option<ListenAddress>,
    /// Where carbon lines are received over UDP.
    pub udp: Option<ListenAddress>,
    /// Where the node API answers.
    pub node_api: Option<ListenAddress>,
    /// Where the Graphite API answers.
    pub graphite_api: Option<ListenAddress>,
    /// Where the admin API answers.
    pub admin_api: Option<ListenAddress>,
    /// Longest work for an answer; none for no limit.
    pub request_timeout: Option<Duration>,
    /// Most names that a pattern may match.
    pub max_metrics_globbed: usize,
    /// Most series that an answer may have.
    pub max_metrics_rendered: usize,
    /// Most points that a request of either API may read or make.
    pub max_points: usize,
    /// Most bytes of series that a request may hold beside the points read.
    pub max_series_bytes: usize,
    /// Most bytes that an answer of the Graphite API may have.
    pub max_answer_bytes: usize,
    /// Most bytes that all requests of both APIs may hold.
    pub max_memory_bytes: usize,
    /// From which time on requests are logged as slow; none for never.
    pub slow_request: Option<Duration>,
    /// Whether web pages of other origins may read answers of the Graphite API.
    pub cors: bool,
    /// Most requests worked on at once; none for the default of the APIs.
    pub max_inflight_requests: Option<usize>,
    /// Whether the node API answers 200 when nothing is found.
    pub empty_result_ok: bool,
    /// The values as they were read.
    pub settings: Settings,
}

/// A configuration with the rules that its files hold.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the main file says.
    pub config: Config,
    /// What the rule files say.
    pub schema: Schema,
}

/// Reads the configuration in `file`, or the built-in one, and its rule files; looks up the
/// user it names.
///
/// # Errors
/// All mistakes of all files.
pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let config = match file {
        Some(file) => Config::load(file)?,
        None => Config::standalone(),
    };
    match (user_exists(&config), rules::load(&config)) {
        (Ok(()), Ok(schema)) => Ok(Loaded { config, schema }),
        (user, schema) => {
            let errors = user.err().into_iter().chain(schema.err());
            Err(ConfigError(errors.flat_map(|error| error.0).collect()))
        }
    }
}

/// Refuses a user that the system does not know, as go-carbon does.
fn user_exists(config: &Config) -> Result<(), ConfigError> {
    let Some(user) = &config.user else { return Ok(()) };
    let reason = match nix::unistd::User::from_name(user) {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => "no such user".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "[common] user = {user:?}: {reason}: allowed is a user of this machine, or \"\" to \
         run as whoever starts the server"
    );
    let line = config.settings.table("common").line("user");
    Err(ConfigError(vec![Problem { file: config.name(), line, message }]))
}

impl Config {
    /// The folder of whisper files, where samples are kept in these.
    #[must_use]
    pub fn whisper_dir(&self) -> Option<&Path> {
        match &self.store {
            StoreOptions::Whisper(whisper) => Some(&whisper.dir),
            StoreOptions::Blocks => self.migrate_from.as_ref().map(|old| old.from.as_path()),
        }
    }

    /// The configuration of a start without a file.
    ///
    /// # Panics
    /// Never: the built-in text is tested.
    #[must_use]
    pub fn standalone() -> Self {
        Self::parse(STANDALONE_NAME, STANDALONE).expect("the built-in configuration is valid")
    }

    /// Reads a configuration file. Rule files are read by [`rules::load`].
    ///
    /// # Errors
    /// When it cannot be read, and with all its mistakes.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| ConfigError::of_file(&name, error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..offset].iter().filter(|&&b| b == b'\n').count();
            let message = "not UTF-8, which TOML requires".to_owned();
            ConfigError(vec![Problem { file: name.clone(), line: Some(line), message }])
        })?;
        let config = Self::parse(&name, &text)?;
        Ok(Self { file: Some(path.to_owned()), ..config })
    }

    /// Reads a TOML text.
    ///
    /// # Errors
    /// All its mistakes, each with `file` as its file.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let settings = Settings::parse(file, text).map_err(ConfigError)?;
        let problems = checks::all(file, &settings);
        if problems.is_empty() {
            Ok(Self::from_settings(file, settings))
        } else {
            Err(ConfigError(problems))
        }
    }

    /// What the configuration is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        let file = self.file.as_ref().map(|path| path.display().to_string());
        file.unwrap_or_else(|| STANDALONE_NAME.to_owned())
    }

    fn from_settings(file: &str, settings: Settings) -> Self {
        let common = settings.table("common");
        let whisper = settings.table("whisper");
        let (block, cache) = (settings.table("block"), settings.table("cache"));
        let carbonserver = settings.table("carbonserver");
        let graphite_api = settings.table("graphite-api");
        let slow_request = graphite_api.duration("slow-request");
        let endpoint = common.text("metric-endpoint");
        let request_timeout = carbonserver.duration("request-timeout");
        let graph_prefix = common.text("graph-prefix").replace("{host}", &host());
        Self {
            file: None,
            user: not_empty(common.text("user")),
            graph_prefix: graph_prefix.clone(),
            metric_interval: common.duration("metric-interval"),
            remote_metric_endpoint: not_empty(endpoint).filter(|endpoint| endpoint != "local"),
            threads: usize::try_from(common.int("max-cpu")).ok().filter(|&threads| threads > 0),
            logging: outputs(&settings),
            storage_path: storage_path(&settings),
            store: store::options(&settings),
            whisper: store::whisper(&settings),
            migrate_from: store::migrate_from(&settings),
            cleanup: cleanup::options(file, &settings, &graph_prefix)
                .expect("the checks read them too"),
            hash_filenames: whisper.flag("hash-filenames"),
            schemas_file: schemas_file(&whisper),
            aggregation_file: not_empty(whisper.text("aggregation-file")).map(PathBuf::from),
            wal_sync_interval: settings.table("wal").duration("sync-interval"),
            compaction_bytes_per_s: u64::try_from(block.int("compaction-bytes-per-second"))
                .unwrap_or(0),
            block_duration_s: u32::try_from(block.duration("duration").as_secs())
                .expect("the checks bound it"),
            wal_budget_bytes: u64::try_from(settings.table("wal").int("budget"))
                .unwrap_or(u64::MAX),
            head_budget_bytes: limit(block.int("head-budget")),
            series_budget_bytes: limit(block.int("series-budget")),
            // Beyond twice of a budget points wait: at what the key says.
            head_budget_points: usize::try_from(cache.int("max-size"))
                .ok()
                .filter(|&points| points > 0)
                .map_or(usize::MAX, |points| points.div_ceil(2)),
            tags: settings.table("tags").flag("enabled"),
            tcp: listener(&settings.table("tcp")),
            udp: listener(&settings.table("udp")),
            node_api: listener(&carbonserver),
            graphite_api: listener(&graphite_api),
            admin_api: listener(&settings.table("admin")),
            request_timeout: Some(request_timeout).filter(|timeout| !timeout.is_zero()),
            max_metrics_globbed: limit(carbonserver.int("max-metrics-globbed")),
            max_metrics_rendered: limit(carbonserver.int("max-metrics-rendered")),
            max_points: limit(graphite_api.int("max-points")),
            max_series_bytes: limit(graphite_api.int("max-series-size")),
            max_answer_bytes: limit(graphite_api.int("max-answer-size")),
            max_memory_bytes: limit(graphite_api.int("max-memory")),
            slow_request: Some(slow_request).filter(|slow| !slow.is_zero()),
            cors: graphite_api.flag("cors"),
            max_inflight_requests: Some(limit(carbonserver.int("max-inflight-requests")))
                .filter(|&requests| requests > 0),
            empty_result_ok: carbonserver.flag("empty-result-ok"),
            settings: settings.clone(),
        }
    }
}

/// The retention rules. Who keeps no whisper files need not have the file that is read by default.
fn schemas_file(whisper: &Table) -> Option<PathBuf> {
    let is_wanted = whisper.flag("enabled") || whisper.given("schemas-file").is_some();
    let file = is_wanted.then(|| whisper.text("schemas-file"))?;
    not_empty(file).map(PathBuf::from)
}

/// The outputs of `[[logging]]`, or the one that the deprecated keys of `[common]` ask for.
fn outputs(settings: &Settings) -> Vec<Output> {
    let common = settings.table("common");
    let (file, level) = (common.text("logfile"), common.text("log-level"));
    if !file.is_empty() || !level.is_empty() {
        return vec![Output::deprecated(&file, &level)];
    }
    let listed = settings.tables("logging").map(|table| logging_output(table).unwrap_or_default());
    let listed: Vec<Output> = listed.collect();
    if listed.is_empty() { vec![Output::default()] } else { listed }
}

/// One `[[logging]]` entry. A key left out of an entry differs from a left out entry.
fn logging_output(table: &Table) -> Result<Output, String> {
    let given = |key: &str, otherwise: &str| match table.given(key) {
        Some(_) => table.text(key),
        None => otherwise.to_owned(),
    };
    Output::parse(&logging::OutputText {
        logger: table.text("logger"),
        file: given("file", ""),
        level: given("level", "info"),
        encoding: given("encoding", "mixed"),
        encoding_time: table.text("encoding-time"),
    })
}

fn listener(table: &Table) -> Option<ListenAddress> {
    table.flag("enabled").then(|| {
        ListenAddress::parse(&table.text("listen")).expect("the table of keys checks its form")
    })
}

/// Where the data lie; beside whisper files they get a folder of their own.
fn storage_path(settings: &Settings) -> PathBuf {
    let path = settings.table("storage").text("path");
    if path.is_empty() {
        Path::new(&settings.table("whisper").text("data-dir")).join(".silverback")
    } else {
        PathBuf::from(path)
    }
}

/// A limit as a size; what the machine cannot count is no limit.
fn limit(value: i64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// This host's name as one part of a metric name.
pub(crate) fn host() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned());
    name.replace('.', "_")
}

#[cfg(test)]
mod tests;

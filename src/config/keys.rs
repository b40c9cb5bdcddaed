//! Every key that a configuration may have, in one table: its type, its default, what we do
//! with it and what it is for. Reading, checking, `-config-print-default` and the tests of
//! `docs/config.md` all walk this table, so none of them can forget a key.

use super::address::ListenAddress;

/// What becomes of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Acted on; a reload applies a new value.
    Live,
    /// Acted on at start; a new value needs a restart.
    AtStart,
    /// Means nothing here and never will.
    NoEffect,
    /// Understood and checked, but not acted on by this version.
    Later,
}

/// The lower end of a range of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// Zero is allowed, less is not.
    Zero,
    /// More than zero.
    AboveZero,
}

/// Type of a value, with its default.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text(&'static str),
    /// One of a few words.
    Word {
        /// Default.
        default: &'static str,
        /// All words.
        allowed: &'static [&'static str],
    },
    /// Text of a certain form.
    Form {
        /// Default.
        default: &'static str,
        /// Whether a text has the form.
        accepts: fn(&str) -> bool,
        /// The form in words.
        allowed: &'static str,
    },
    /// An integer of at least `least`.
    Int {
        /// Default.
        default: i64,
        /// Smallest allowed value.
        least: i64,
    },
    /// A count for which go-carbon reads a negative number as "no limit".
    Count(i64),
    /// A number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A Go duration.
    Duration {
        /// Default.
        default: &'static str,
        /// Lower end.
        least: Least,
    },
    /// A list of texts.
    Texts(&'static [&'static str]),
    /// A list of integers, empty by default.
    Ints,
}

/// One key of a section.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Name in lower case.
    pub name: &'static str,
    /// Type and default.
    pub kind: Kind,
    /// What becomes of it.
    pub status: Status,
    /// What it is for.
    pub about: &'static str,
}

/// How often a section may stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Once: `[name]`.
    Single,
    /// Any number of tables that their author names: `[name.ANY]`.
    Named,
    /// A list of tables: `[[name]]`.
    List,
    /// Once, with keys that their author names; all values are texts. Not acted on yet.
    Labels,
    /// Once, with keys that nobody reads.
    Ignored,
}

/// A section and its keys.
#[derive(Debug)]
pub struct Section {
    /// Path in lower case, parts joined by dots; without the part that an author names.
    pub path: &'static str,
    /// How often it may stand.
    pub shape: Shape,
    /// Its keys, in the order in which they are printed. Empty for labels.
    pub keys: &'static [Key],
}

impl Section {
    /// The key of this name, which must be in lower case.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// The section at `path`, which must be in lower case.
#[must_use]
pub fn section(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.path == path)
}

const fn key(name: &'static str, kind: Kind, status: Status, about: &'static str) -> Key {
    Key { name, kind, status, about }
}

const fn count(default: i64) -> Kind {
    Kind::Int { default, least: 0 }
}

const fn span(default: &'static str, least: Least) -> Kind {
    Kind::Duration { default, least }
}

const fn listen(default: &'static str) -> Kind {
    Kind::Form {
        default,
        accepts: |text| ListenAddress::parse(text).is_some(),
        allowed: r#"host:port or :port with a port from 0 to 65535, such as "127.0.0.1:2003""#,
    }
}

/// An address that may be left empty where the server that uses it is off.
const fn listen_or_empty(default: &'static str) -> Kind {
    Kind::Form {
        default,
        accepts: |text| text.is_empty() || ListenAddress::parse(text).is_some(),
        allowed: r#"host:port, :port, or "" for none"#,
    }
}

const METRIC_ENDPOINT: Kind = Kind::Form {
    default: "local",
    accepts: |text| {
        let remote = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("udp://"));
        text.is_empty() || text == "local" || remote.is_some_and(|to| !to.is_empty())
    },
    allowed: r#""local", "tcp://host:port" or "udp://host:port""#,
};

const LEVEL: Kind = Kind::Form {
    default: "info",
    accepts: |text| crate::logging::level(text).is_some(),
    allowed: "debug, info, warn, error, dpanic, panic or fatal",
};

const DEPRECATED_LEVEL: Kind = Kind::Form {
    default: "",
    accepts: |text| text.is_empty() || crate::logging::level(text).is_some(),
    allowed: "debug, info, warn, error, dpanic, panic or fatal",
};

use Kind::{Bool, Count, Float, Int, Ints, Text, Texts, Word};
use Least::{AboveZero, Zero};
use Status::{AtStart, Later, Live, NoEffect};

/// All sections: go-carbon's in the order of its documentation, then our own.
pub const SECTIONS: &[Section] = &[
    Section { path: "common", shape: Shape::Single, keys: COMMON },
    Section { path: "whisper", shape: Shape::Single, keys: WHISPER },
    Section { path: "cache", shape: Shape::Single, keys: CACHE },
    Section { path: "udp", shape: Shape::Single, keys: UDP },
    Section { path: "tcp", shape: Shape::Single, keys: TCP },
    Section { path: "pickle", shape: Shape::Single, keys: PICKLE },
    Section { path: "receiver", shape: Shape::Named, keys: RECEIVER },
    Section { path: "carbonlink", shape: Shape::Single, keys: CARBONLINK },
    Section { path: "grpc", shape: Shape::Single, keys: GRPC },
    Section { path: "tags", shape: Shape::Single, keys: TAGS },
    Section { path: "carbonserver", shape: Shape::Single, keys: CARBONSERVER },
    Section { path: "carbonserver.grpc", shape: Shape::Single, keys: CARBONSERVER_GRPC },
    Section {
        path: "carbonserver.heavy-glob-query-rate-limiters",
        shape: Shape::List,
        keys: HEAVY_GLOB_LIMITERS,
    },
    Section {
        path: "carbonserver.api-per-path-rate-limiters",
        shape: Shape::List,
        keys: PATH_LIMITERS,
    },
    Section { path: "dump", shape: Shape::Single, keys: DUMP },
    Section { path: "pprof", shape: Shape::Single, keys: PPROF },
    Section { path: "prometheus", shape: Shape::Single, keys: PROMETHEUS },
    Section { path: "prometheus.labels", shape: Shape::Labels, keys: &[] },
    Section { path: "tracing", shape: Shape::Ignored, keys: &[] },
    Section { path: "logging", shape: Shape::List, keys: LOGGING },
    Section { path: "storage", shape: Shape::Single, keys: STORAGE },
    Section { path: "wal", shape: Shape::Single, keys: WAL },
    Section { path: "block", shape: Shape::Single, keys: BLOCK },
    Section { path: "graphite-api", shape: Shape::Single, keys: GRAPHITE_API },
    Section { path: "admin", shape: Shape::Single, keys: ADMIN },
    Section { path: "cleanup", shape: Shape::List, keys: CLEANUP },
];

const COMMON: &[Key] = &[
    key("user", Text("carbon"), AtStart, "user that must exist; empty skips the look-up"),
    key("graph-prefix", Text("carbon.agents.{host}"), Live, "prefix of own metrics"),
    key("metric-interval", span("1m0s", AboveZero), Live, "how often own metrics are stored"),
    key("metric-endpoint", METRIC_ENDPOINT, Live, "where own metrics go; only local for now"),
    key(
        "max-cpu",
        Int { default: 1, least: i64::MIN },
        AtStart,
        "threads, at most one per core; below 1: all cores",
    ),
    key("logfile", Text(""), AtStart, "old form of [[logging]] file; replaces all of them"),
    key("log-level", DEPRECATED_LEVEL, AtStart, "old form of [[logging]] level"),
];

const WHISPER: &[Key] = &[
    key(
        "enabled",
        Bool(true),
        AtStart,
        "whether points may be written to files; false needs engine = \"block\" in [storage]",
    ),
    key("data-dir", Text("/var/lib/graphite/whisper/"), AtStart, "root of the data"),
    key(
        "schemas-file",
        Text("/etc/go-carbon/storage-schemas.conf"),
        Live,
        "retention rules; empty: the rules built in",
    ),
    key("aggregation-file", Text(""), Live, "roll-up rules; empty: average, xFilesFactor 0.5"),
    key("quotas-file", Text(""), Later, "limits by part of the tree"),
    key("workers", Int { default: 1, least: i64::MIN }, Live, "threads that write files"),
    key("max-updates-per-second", count(0), Live, "most file updates a second; 0: no limit"),
    key("sparse-create", Bool(false), Live, "create files with holes"),
    key("physical-size-factor", Float(0.75), Later, "share of a sparse file that counts"),
    key("flock", Bool(false), Live, "lock each file while it is open"),
    key("compressed", Bool(false), Live, "new files are of the compressed kind"),
    key("hash-filenames", Bool(true), AtStart, "files of tagged series are named by a hash"),
    key("remove-empty-file", Bool(false), Live, "make empty files anew"),
    key("online-migration", Bool(false), Live, "bring files to changed rules while running"),
    key("online-migration-rate", count(5), Live, "files a second; 0: no limit"),
    key(
        "online-migration-global-scope",
        Text(""),
        Live,
        "what changes where no rule says: xff,aggregationMethod,schema",
    ),
    key("max-creates-per-second", count(0), Live, "most files made a second; 0: no limit"),
    key("hard-max-creates-per-second", Bool(false), NoEffect, "has no effect in go-carbon either"),
];

const CACHE: &[Key] = &[
    key(
        "max-size",
        Count(0),
        AtStart,
        "points held in memory, beyond which senders wait; sealing begins at half of it; 0: as head-budget says",
    ),
    key(
        "write-strategy",
        Word { default: "max", allowed: &["max", "sorted", "noop"] },
        Live,
        "order in which files are written",
    ),
    key("bloom-size", Count(0), NoEffect, "new names need no bloom filter here"),
    key("input-buffer", Count(0), NoEffect, "has no effect in go-carbon either"),
];

const UDP: &[Key] = &[
    key("listen", listen(":2003"), AtStart, "where lines are received in datagrams"),
    key("enabled", Bool(true), AtStart, "whether to receive them"),
    key("buffer-size", count(0), NoEffect, "points go to the store without a queue"),
    key("log-incomplete", Bool(false), NoEffect, "has no effect in go-carbon either"),
];

const TCP: &[Key] = &[
    key("listen", listen(":2003"), AtStart, "where lines are received over connections"),
    key("enabled", Bool(true), AtStart, "whether to receive them"),
    key("buffer-size", count(0), NoEffect, "points go to the store without a queue"),
    key("compression", Text(""), Later, "gzip or snappy"),
];

const PICKLE: &[Key] = &[
    key("listen", listen(":2004"), Later, "where pickled lists are received"),
    key("enabled", Bool(true), Later, "whether to receive them"),
    key("buffer-size", count(0), NoEffect, "points go to the store without a queue"),
    key("max-message-size", count(67_108_864), Later, "bytes of the largest message"),
];

const RECEIVER: &[Key] = &[
    key(
        "protocol",
        Word {
            default: "",
            allowed: &["udp", "tcp", "pickle", "protobuf", "http", "kafka", "pubsub"],
        },
        Later,
        "what the receiver speaks; required",
    ),
    key("listen", listen_or_empty(""), Later, "where it listens"),
    key("enabled", Bool(true), Later, "whether to receive"),
    key("buffer-size", count(0), NoEffect, "points go to the store without a queue"),
    key("compression", Text(""), Later, "gzip or snappy"),
    key("max-message-size", count(67_108_864), Later, "bytes of the largest message"),
    key("log-incomplete", Bool(false), NoEffect, "has no effect in go-carbon either"),
    key("brokers", Texts(&["localhost:9092"]), Later, "Kafka servers"),
    key("topic", Text("graphite"), Later, "Kafka topic"),
    key("partition", count(0), Later, "Kafka partition"),
    key("parse-protocol", Text("plain"), Later, "form of Kafka messages"),
    key("state-file", Text(""), Later, "where the Kafka offset is kept"),
    key("initial-offset", Text("oldest"), Later, "newest, oldest or a duration added to now"),
    key("state-save-interval", span("60s", AboveZero), Later, "how often the offset is kept"),
    key("reconnect-interval", span("60s", AboveZero), Later, "how often to reconnect"),
    key("fetch-interval", span("250ms", AboveZero), Later, "how often to fetch"),
    key("kafka-version", Text("0.11.0.0"), Later, "Kafka protocol version"),
    key("project", Text(""), Later, "Pub/Sub project"),
    key("subscription", Text(""), Later, "Pub/Sub subscription"),
    key("receiver_go_routines", count(4), Later, "Pub/Sub tasks"),
    key("receiver_max_messages", count(1000), Later, "Pub/Sub messages at once"),
    key("receiver_max_bytes", count(100_000_000), Later, "Pub/Sub bytes at once"),
];

const CARBONLINK: &[Key] = &[
    key("listen", listen("127.0.0.1:7002"), Later, "where cache queries are answered"),
    key("enabled", Bool(true), Later, "whether to answer them"),
    key("read-timeout", span("30s", Zero), Later, "longest silence of a client"),
    key("query-timeout", span("0s", Zero), NoEffect, "has no effect in go-carbon either"),
];

const GRPC: &[Key] = &[
    key("listen", listen("127.0.0.1:7003"), Later, "where gRPC cache queries are answered"),
    key("enabled", Bool(true), Later, "whether to answer them"),
];

const TAGS: &[Key] = &[
    key("enabled", Bool(false), AtStart, "whether names with ; are tagged series"),
    key("tagdb-url", Text("http://127.0.0.1:8000"), Later, "where new tagged names are sent"),
    key("tagdb-timeout", span("1s", Zero), Later, "longest wait for it"),
    key("tagdb-chunk-size", Int { default: 32, least: i64::MIN }, Later, "names per request"),
    key("tagdb-update-interval", Int { default: 100, least: i64::MIN }, Later, "sent every n-th"),
    key("local-dir", Text("/var/lib/graphite/tagging/"), Later, "queue of names to send"),
];

const CARBONSERVER: &[Key] = &[
    key("listen", listen("127.0.0.1:8080"), AtStart, "where the node API answers"),
    key("enabled", Bool(false), AtStart, "whether to answer"),
    key("read-timeout", span("60s", Zero), Later, "longest reading of a request"),
    key("idle-timeout", span("60s", Zero), Later, "longest silence between requests"),
    key("write-timeout", span("60s", Zero), Later, "longest writing of an answer"),
    key("request-timeout", span("0s", Zero), AtStart, "longest work for an answer; 0s: 60s"),
    key(
        "scan-frequency",
        span("5m0s", Zero),
        Live,
        "how often data-dir is looked through; 0s: once, as long as there is no index",
    ),
    key("query-cache-enabled", Bool(true), Later, "keep answers of render"),
    key("streaming-query-cache-enabled", Bool(false), Later, "keep answers of gRPC render"),
    key("query-cache-size-mb", count(0), Later, "size of it; 0: no limit"),
    key("find-cache-enabled", Bool(true), Later, "keep answers of find"),
    key("find-cache-size-mb", count(0), Later, "size of it; 0: no limit"),
    key("glob-cache-enabled", Bool(true), NoEffect, "the index needs no such cache"),
    key("glob-cache-size-mb", count(0), NoEffect, "the index needs no such cache"),
    key("buckets", count(10), Later, "counters of request times"),
    key("max-globs", count(100), Later, "most * ? [ { of a pattern"),
    key("fail-on-max-globs", Bool(false), Later, "whether to refuse more of them"),
    key("empty-result-ok", Bool(false), AtStart, "no match is 200, not 404"),
    key("do-not-log-404s", Bool(false), Later, "leave 404s out of the access log"),
    key("metrics-as-counters", Bool(false), Later, "own counters only grow"),
    key("trigram-index", Bool(true), NoEffect, "there is one index, always on"),
    key("internal-stats-dir", Text(""), NoEffect, "no directory is scanned here"),
    key("stats-percentiles", Ints, Later, "percentiles of request times"),
    key("cache-scan", Bool(false), NoEffect, "new names are found at once"),
    key("max-metrics-globbed", count(10_000_000), AtStart, "most names a pattern may match"),
    key("max-metrics-rendered", count(1_000_000), AtStart, "most series an answer may have"),
    key("max-fetch-data-goroutines", count(0), Later, "threads that read for one answer"),
    key("trie-index", Bool(false), NoEffect, "there is one index, always on"),
    key("concurrent-index", Bool(false), NoEffect, "the index is always concurrent"),
    key("realtime-index", count(0), NoEffect, "new names are found at once"),
    key("file-list-cache", Text(""), NoEffect, "no directory is scanned here"),
    key("file-list-cache-version", Int { default: 1, least: 1 }, NoEffect, "1 or 2"),
    key("quota-usage-report-frequency", span("1m0s", AboveZero), Later, "how often use is told"),
    key("max-creates-per-second", count(0), Later, "most new series a second; 0: no limit"),
    key("no-service-when-index-is-not-ready", Bool(false), NoEffect, "it is ready at start"),
    key("max-inflight-requests", count(0), AtStart, "most requests at once; 0: 64, others wait"),
    key("render-trace-logging-enabled", Bool(false), Later, "log the steps of render"),
    key("graphite-web-10-strict-mode", Bool(true), NoEffect, "has no effect in go-carbon either"),
];

const CARBONSERVER_GRPC: &[Key] = &[
    key("listen", listen_or_empty(""), Later, "where the node API answers gRPC"),
    key("enabled", Bool(false), Later, "whether to answer"),
];

const HEAVY_GLOB_LIMITERS: &[Key] = &[
    key("pattern", Text(""), Later, "regular expression over the query"),
    key("max-inflight-requests", count(0), Later, "most such requests at once"),
];

const PATH_LIMITERS: &[Key] = &[
    key("path", Text(""), Later, "path of the request"),
    key("max-inflight-requests", count(0), Later, "most such requests at once"),
    key("request-timeout", span("0s", Zero), Later, "longest work for one"),
];

const DUMP: &[Key] = &[
    key("enabled", Bool(false), NoEffect, "the WAL keeps what is not in blocks yet"),
    key("path", Text("/var/lib/graphite/dump/"), NoEffect, "where dumps of the cache lie"),
    key("restore-per-second", count(0), NoEffect, "points read back a second; 0: no limit"),
];

const PPROF: &[Key] = &[
    key("listen", listen("127.0.0.1:7007"), Later, "where Prometheus metrics are served"),
    key("enabled", Bool(false), NoEffect, "there is no Go profiler here"),
];

const PROMETHEUS: &[Key] = &[
    key("enabled", Bool(false), Later, "serve own metrics to Prometheus on [pprof] listen"),
    key("endpoint", Text("/metrics"), Later, "path of them"),
];

const LOGGING: &[Key] = &[
    key("logger", Text(""), AtStart, "part of the server; empty: all parts without their own"),
    key("file", Text("stdout"), AtStart, "stdout, stderr, none or a path"),
    key("level", LEVEL, AtStart, "least level: debug, info, warn, error"),
    key(
        "encoding",
        Word { default: "console", allowed: &["mixed", "json", "console"] },
        AtStart,
        "look of a line; mixed when left out of an entry",
    ),
    key(
        "encoding-time",
        Word { default: "iso8601", allowed: &["iso8601", "millis", "nanos", "epoch"] },
        AtStart,
        "look of the time",
    ),
    key(
        "encoding-duration",
        Word { default: "seconds", allowed: &["seconds", "nanos", "string"] },
        NoEffect,
        "lines say the unit of their durations",
    ),
    key("sample-tick", Text(""), Later, "span over which equal lines are thinned"),
    key("sample-initial", count(0), Later, "equal lines logged before thinning"),
    key("sample-thereafter", count(0), Later, "every n-th of the rest is logged"),
];

const STORAGE: &[Key] = &[
    key(
        "engine",
        Word { default: "whisper", allowed: &["block", "whisper"] },
        AtStart,
        "whisper: files of go-carbon in data-dir of [whisper]; block: own files",
    ),
    key("path", Text(""), AtStart, "folder of the data; empty: data-dir of [whisper]/.silverback"),
    key(
        "flush-interval",
        span("1s", AboveZero),
        Live,
        "how long points wait for others of their whisper file",
    ),
    key(
        "checkpoint-interval",
        span("1m0s", AboveZero),
        Live,
        "how often whisper files are synced and the log before dropped",
    ),
    key(
        "stuck-points-max",
        Int { default: 1_000_000, least: 0 },
        Live,
        "points kept for whisper files that cannot be opened",
    ),
    key(
        "migrate-from",
        Text(""),
        AtStart,
        "block: folder of whisper files that are answered from and moved into blocks",
    ),
    key(
        "migrate-files-per-second",
        Int { default: 200, least: 0 },
        AtStart,
        "most files moved in a second; 0: no limit",
    ),
    key(
        "migrated-files",
        Word { default: "keep", allowed: &["keep", "remove", "leave"] },
        AtStart,
        "keep: in a folder beside, its name with .moved; remove; leave: where they are",
    ),
    key(
        "cleanup-interval",
        span("1h0m0s", AboveZero),
        AtStart,
        "time between passes of [[cleanup]]",
    ),
    key(
        "cleanup-series-per-second",
        Int { default: 10_000, least: 0 },
        AtStart,
        "most series looked at in a second by them; 0: no limit",
    ),
];

const WAL: &[Key] = &[
    key(
        "sync-interval",
        span("1s", Zero),
        AtStart,
        "longest time until a written point is safe from a power cut; 0s: at once",
    ),
    key(
        "budget",
        Int { default: 4_294_967_296, least: 1_048_576 },
        AtStart,
        "bytes of log above which a block is sealed early, so that the log can be dropped",
    ),
];

const BLOCK: &[Key] = &[
    key("duration", span("2h0m0s", AboveZero), AtStart, "span of a block, in whole seconds"),
    key(
        "head-budget",
        Int { default: 536_870_912, least: 1_048_576 },
        AtStart,
        "bytes of points in memory above which a block is sealed early; above twice of it, points wait",
    ),
    key(
        "series-budget",
        Int { default: 8_388_608, least: 65_536 },
        AtStart,
        "the same of one series: bytes of its points in memory above which a block is sealed early",
    ),
    key(
        "compaction-bytes-per-second",
        Int { default: 33_554_432, least: 0 },
        AtStart,
        "most bytes read and written in a second to merge blocks and to make roll-ups of them; 0: no limit",
    ),
];

const GRAPHITE_API: &[Key] = &[
    key("listen", listen("127.0.0.1:8081"), AtStart, "where the Graphite API answers"),
    key("enabled", Bool(false), AtStart, "whether to answer"),
    key("max-points", ANY_POINTS, AtStart, "most points a request may read or make"),
    key("max-series-size", GIBIBYTE, AtStart, "most bytes of series a request may hold"),
    key("max-answer-size", GIBIBYTE, AtStart, "bytes of the largest answer"),
    key("max-memory", FOUR_GIBIBYTES, AtStart, "most bytes that all requests may hold"),
    key(
        "slow-request",
        span("1s", Zero),
        AtStart,
        "requests that take longer are logged with what they took; 0s: none",
    ),
    key("cors", Bool(false), AtStart, "whether web pages of any origin may read answers"),
];

const ADMIN: &[Key] = &[
    key("listen", listen("127.0.0.1:8082"), AtStart, "where the admin API answers; loopback only"),
    key("enabled", Bool(false), AtStart, "whether to answer"),
];

const CLEANUP: &[Key] = &[
    key("pattern", Text(""), AtStart, "regular expression over names; required"),
    key(
        "not-updated-for",
        span("0s", Zero),
        AtStart,
        "age of the newest point from which on a series is deleted; required, from 1h",
    ),
];

const ANY_POINTS: Kind = Int { default: 100_000_000, least: 1 };
const GIBIBYTE: Kind = Int { default: 1 << 30, least: 1 };
const FOUR_GIBIBYTES: Kind = Int { default: 4 << 30, least: 1 };

#[cfg(test)]
mod tests;

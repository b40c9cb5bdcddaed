//! From texts to what the server acts on.

use super::print::default_toml;
use super::settings::default;
use super::{Config, ConfigError, ListenAddress, keys, load};
use crate::logging::{Encoding, Output, Target};
use silverback_engine::{MigrationOptions, StoreOptions, WhisperOptions, WriteStrategy};
use std::path::{Path, PathBuf};
use std::time::Duration;

const BLOCK: &str = "[storage]\nengine = \"block\"\n";

#[track_caller]
fn read(text: &str) -> Config {
    Config::parse("f", text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    Config::parse("f", text).unwrap_err().to_string()
}

fn address(text: &str) -> Option<ListenAddress> {
    Some(ListenAddress::parse(text).unwrap())
}

#[test]
fn defaults_of_a_file() {
    let config = read(BLOCK);
    assert_eq!(config.user.as_deref(), Some("carbon"));
    assert_eq!(config.metric_interval, Duration::from_secs(60));
    assert_eq!(config.threads, Some(1));
    assert_eq!(config.logging, [Output::default()]);
    assert_eq!(config.storage_path, Path::new("/var/lib/graphite/whisper/.silverback"));
    assert_eq!(
        config.schemas_file.as_deref(),
        Some(Path::new("/etc/go-carbon/storage-schemas.conf"))
    );
    assert_eq!(config.aggregation_file, None);
    assert_eq!(config.wal_sync_interval, Duration::from_secs(1));
    assert_eq!((config.block_duration_s, config.head_budget_bytes), (7200, 512 << 20));
    assert_eq!((config.tcp, config.udp), (address(":2003"), address(":2003")));
    assert_eq!((config.node_api, config.graphite_api), (None, None));
    assert_eq!((config.request_timeout, config.max_inflight_requests), (None, None));
    assert!(!config.tags && !config.empty_result_ok);
    assert!(config.graph_prefix.starts_with("carbon.agents."));
    assert!(!config.graph_prefix["carbon.agents.".len()..].contains(['.', '{']));
}

#[test]
fn defaults_without_a_file() {
    let config = Config::standalone();
    assert_eq!(config.user, None);
    assert_eq!(config.metric_interval, Duration::from_secs(10));
    assert_eq!(config.storage_path, Path::new("silverback-data"));
    assert_eq!((config.schemas_file.clone(), config.threads), (None, None));
    assert_eq!((config.tcp, config.udp), (address("127.0.0.1:2003"), address("127.0.0.1:2003")));
    assert_eq!(config.node_api, address("127.0.0.1:8080"));
    assert_eq!(config.graphite_api, address("127.0.0.1:8081"));
    assert_eq!(config.admin_api, address("127.0.0.1:8082"));
    assert_eq!(config.logging[0].target, Target::Stderr);
    assert_eq!(config.logging[0].encoding, Encoding::Mixed);
    assert!(config.tags);
    load(None).unwrap();
}

/// Every key that is printed parses back to its default, and none is missing.
#[test]
fn printed_defaults_parse_back() {
    let config = read(&default_toml());
    assert!(config.settings.unknown.is_empty(), "{:?}", config.settings.unknown);
    for section in keys::SECTIONS {
        let printed = section.shape == keys::Shape::Single || section.path == "logging";
        for key in section.keys.iter().filter(|_| printed) {
            let table = config.settings.table(section.path);
            assert_eq!(table.given(key.name), Some(&default(&key.kind)), "{}", key.name);
        }
    }
    let defaults = read(BLOCK);
    assert_eq!(config.logging, defaults.logging);
    assert_eq!(config.storage_path, defaults.storage_path);
}

/// The commented examples of the printed defaults hold too.
#[test]
fn printed_examples_parse() {
    let text = default_toml();
    let uncommented = text.lines().skip_while(|line| !line.is_empty()).map(|line| {
        let line = line.strip_prefix("# ").unwrap_or(line);
        // The keys that have no default.
        match line {
            _ if line.starts_with("protocol") => "protocol = \"udp\"",
            _ if line.contains("regular expression over names") => "pattern = \"^a\"",
            _ if line.starts_with("not-updated-for") => "not-updated-for = \"1h\"",
            _ => line,
        }
    });
    let config = read(&uncommented.collect::<Vec<_>>().join("\n"));
    assert!(config.settings.unknown.is_empty(), "{:?}", config.settings.unknown);
    assert_eq!(config.settings.tables("receiver").count(), 1);
}

/// A go-carbon file with everything that its reader lets pass: a byte order mark, CRLF, names
/// in any case, old tables, keys of older versions, a key that nobody knows.
#[test]
fn a_go_carbon_file_of_some_age() {
    let text = include_str!("../../tests/vectors/config/aged.toml").replace('\n', "\r\n");
    let text = format!("\u{feff}{text}");
    let config = read(&text);
    assert!(matches!(config.store, StoreOptions::Whisper(_)));
    assert_eq!(config.tcp, address("0.0.0.0:2003"));
    assert_eq!(config.udp, None);
    assert_eq!(config.node_api, address("127.0.0.1:8080"));
    assert_eq!(config.max_metrics_globbed, 30_000);
    assert_eq!(config.logging.len(), 2);
    assert_eq!(config.settings.unknown, ["[whisper] write-aloud (line 19)"]);
    let later = config.settings.given_with(keys::Status::Later);
    assert_eq!(
        later,
        ["carbonserver.buckets", "receiver.second.listen", "receiver.second.protocol",]
    );
    let without_effect = config.settings.given_with(keys::Status::NoEffect);
    assert_eq!(
        without_effect,
        ["carbonserver.trie-index", "dump.enabled", "tracing", "udp.log-incomplete",]
    );
}

#[test]
fn without_an_engine_files_are_go_carbons() {
    let unset = read("[tcp]\nenabled = false\n");
    let StoreOptions::Whisper(whisper) = unset.store else { panic!("{:?}", unset.store) };
    assert_eq!(*whisper, WhisperOptions::new("/var/lib/graphite/whisper/"));
    assert!(matches!(read(BLOCK).store, StoreOptions::Blocks));
}

/// Who imports a node's files has to know how it keeps them.
#[test]
fn moved_files_are_kept_as_the_section_says() {
    let files = "[whisper]\ndata-dir = \"/d\"\nflock = true\nsparse-create = true\n";
    let StoreOptions::Whisper(expected) = read(files).store else { panic!("no files") };
    let moving = read(&format!("{files}{BLOCK}migrate-from = \"/d\"\n"));
    assert_eq!(moving.migrate_from.unwrap().node, *expected);
    assert!(expected.flock && expected.sparse_create);
}

#[test]
fn no_whisper_files_are_kept_where_they_are_not_wanted() {
    let off = "[whisper]\nenabled = false\n";
    let refused = Config::parse("file", off).unwrap_err().to_string();
    assert!(refused.starts_with("file:2: [whisper] enabled = false"), "{refused}");
    assert!(refused.contains("engine = \"block\""), "{refused}");
    // No rule file is asked for, but for one that is named.
    let blocks = read(&format!("{off}{BLOCK}"));
    assert!(matches!(blocks.store, StoreOptions::Blocks));
    assert_eq!(blocks.schemas_file, None);
    assert!(read(BLOCK).schemas_file.is_some());
    let named = read(&format!("{off}schemas-file = \"/r\"\n{BLOCK}"));
    assert_eq!(named.schemas_file, Some("/r".into()));
}

#[test]
fn how_whisper_files_are_kept() {
    let config = read(
        "[whisper]\ndata-dir = \"/d\"\nworkers = 4\nmax-updates-per-second = 100\n\
         max-creates-per-second = 7\nsparse-create = true\nflock = true\ncompressed = true\n\
         hash-filenames = false\nremove-empty-file = true\nonline-migration = true\n\
         online-migration-rate = 3\nonline-migration-global-scope = \"xff,schema\"\n\
         [cache]\nwrite-strategy = \"sorted\"\n[carbonserver]\nscan-frequency = \"1m\"\n\
         [storage]\nflush-interval = \"2s\"\ncheckpoint-interval = \"30s\"\n\
         stuck-points-max = 9\n",
    );
    let StoreOptions::Whisper(whisper) = config.store else { panic!("{:?}", config.store) };
    let expected = WhisperOptions {
        workers: 4,
        updates_per_second: 100,
        creates_per_second: 7,
        write_strategy: WriteStrategy::Sorted,
        flush_interval: Duration::from_secs(2),
        checkpoint_interval: Duration::from_secs(30),
        scan_interval: Duration::from_secs(60),
        stuck_points_max: 9,
        compressed: true,
        sparse_create: true,
        flock: true,
        hash_filenames: false,
        remove_empty_file: true,
        migration: Some(MigrationOptions {
            per_second: 3,
            x_files_factor: true,
            method: false,
            archives: true,
        }),
        ..WhisperOptions::new("/d")
    };
    assert_eq!(*whisper, expected);
}

#[test]
fn what_one_key_cannot_say() {
    for (text, message) in [
        ("[block]\nduration = \"1.5s\"", "f:4: [block] duration = \"1.5s\": allowed are"),
        ("[block]\nduration = \"25h\"", "f:4: [block] duration = \"90000s\": allowed are"),
        (
            "[prometheus]\nenabled = true\nendpoint = \"\"",
            "f:5: [prometheus] endpoint = \"\": allowed is",
        ),
        (
            "[tcp]\ncompression = \"gzip\"",
            "f:4: [tcp] compression = \"gzip\": this version cannot read compressed streams yet",
        ),
        (
            "[admin]\nenabled = true\nlisten = \":8082\"",
            "f:5: [admin] listen = \":8082\": whoever reaches it may delete everything",
        ),
        (
            "[admin]\nenabled = true\nlisten = \"192.0.2.1:8082\"",
            "f:5: [admin] listen = \"192.0.2.1:8082\": whoever reaches it may delete everything",
        ),
        (
            "[[cleanup]]\nnot-updated-for = \"24h\"",
            "f:3: [[cleanup]] pattern is not set: allowed is a regular expression",
        ),
        (
            "[[cleanup]]\npattern = \"^a\"\n",
            "f:3: [[cleanup]] not-updated-for = \"0s\": allowed is a Go duration of at least 1h",
        ),
        (
            "[[cleanup]]\nnot-updated-for = \"24h\"\npattern = \"a(\"\n",
            "f:5: [[cleanup]] pattern = \"a(\": missing )",
        ),
        ("[receiver.x]\nlisten = \":1\"", "f:3: [receiver.x] protocol is not set: allowed are"),
        (
            "[[logging]]\nfile = \"x?level=loud\"",
            "f:4: [[logging]] file = \"x?level=loud\": level \"loud\": allowed are",
        ),
    ] {
        let found = refused(&format!("{BLOCK}{text}"));
        assert!(found.starts_with(message), "{found}");
    }
    read(&format!("{BLOCK}[prometheus]\nendpoint = \"\""));
    for listen in ["localhost:1", "[::1]:1", "127.8.9.1:0"] {
        let text = format!("{BLOCK}[admin]\nenabled = true\nlisten = {listen:?}");
        assert_eq!(read(&text).admin_api, address(listen));
    }
    assert_eq!(read(&format!("{BLOCK}[admin]\nlisten = \":1\"")).admin_api, None);
}

#[test]
fn logging_entries() {
    let config = read(&format!("{BLOCK}[[logging]]\n[[logging]]\nlogger = \"tcp\"\nfile = \"x\""));
    assert_eq!(config.logging[0].target, Target::Stderr);
    assert_eq!(config.logging[0].encoding, Encoding::Mixed);
    assert_eq!(config.logging[1].target, Target::File("x".into()));
    assert_eq!(config.logging[1].logger, "tcp");
    let old =
        read(&format!("{BLOCK}[common]\nlogfile = \"/l\"\nlog-level = \"error\"\n[[logging]]"));
    assert_eq!(old.logging, [Output::deprecated("/l", "error")]);
}

#[test]
fn cleanup_rules() {
    let text = "cleanup-interval = \"2m\"\n[common]\ngraph-prefix = \"own\"\n\
        [[cleanup]]\npattern = \"^tmp\"\nnot-updated-for = \"24h\"\n\
        [[cleanup]]\npattern = \"a$\"\nnot-updated-for = \"720h\"\n";
    let cleanup = read(&format!("{BLOCK}{text}")).cleanup;
    let age = |name: &[u8]| cleanup.rules.rule_of(name).map(|rule| rule.not_updated_for_s / 3600);
    assert_eq!([age(b"tmp.a"), age(b"x.a"), age(b"x.b")], [Some(24), Some(720), None]);
    assert_eq!(cleanup.interval, Duration::from_secs(120));
    assert_eq!((cleanup.series_per_second, &cleanup.own_prefix[..]), (10_000, &b"own"[..]));
    assert!(read(BLOCK).cleanup.rules.is_empty());
}

#[test]
fn other_values_are_taken_over() {
    let config = read(
        "[common]\nuser = \"\"\ngraph-prefix = \"x.{host}.y\"\nmax-cpu = 0\n\
         metric-endpoint = \"tcp://h:1\"\n[whisper]\ndata-dir = \"/d\"\n[tcp]\nenabled = false\n\
         [udp]\nlisten = \"[::1]:7\"\n[carbonserver]\nenabled = true\nrequest-timeout = \"3s\"\n\
         max-metrics-globbed = 5\nmax-metrics-rendered = 6\nmax-inflight-requests = 7\n\
         empty-result-ok = true\n[graphite-api]\nenabled = true\nmax-points = 1\n\
         max-series-size = 2\nmax-answer-size = 3\nmax-memory = 4\nslow-request = \"0s\"\n\
         cors = true\n[storage]\nengine = \"block\"\n\
         [wal]\nsync-interval = \"0s\"\n[block]\nduration = \"10m\"\nhead-budget = 2000000\nseries-budget = 65536\n",
    );
    assert!(config.graph_prefix.starts_with("x.") && config.graph_prefix.ends_with(".y"));
    assert_eq!((config.user, config.threads), (None, None));
    assert_eq!(config.remote_metric_endpoint.as_deref(), Some("tcp://h:1"));
    assert_eq!(config.storage_path, Path::new("/d/.silverback"));
    assert_eq!((config.tcp, config.udp), (None, address("[::1]:7")));
    assert_eq!(config.node_api, address("127.0.0.1:8080"));
    assert_eq!(config.graphite_api, address("127.0.0.1:8081"));
    assert_eq!(config.request_timeout, Some(Duration::from_secs(3)));
    assert_eq!((config.max_metrics_globbed, config.max_metrics_rendered), (5, 6));
    assert_eq!(config.max_inflight_requests, Some(7));
    assert!(config.empty_result_ok);
    assert_eq!((config.max_points, config.max_series_bytes), (1, 2));
    assert_eq!((config.max_answer_bytes, config.max_memory_bytes), (3, 4));
    assert_eq!((config.slow_request, config.cors), (None, true));
    assert!(config.wal_sync_interval.is_zero());
    assert_eq!((config.block_duration_s, config.head_budget_bytes), (600, 2_000_000));
    assert_eq!(config.series_budget_bytes, 65_536);
}

#[test]
fn points_wait_at_max_size_or_never() {
    for (text, budget) in [("", usize::MAX), ("max-size = 0\n", usize::MAX)] {
        assert_eq!(read(&format!("[cache]\n{text}")).head_budget_points, budget);
    }
    for (max_size, budget) in [(-5, usize::MAX), (1, 1), (1_000_000, 500_000)] {
        assert_eq!(read(&format!("[cache]\nmax-size = {max_size}\n")).head_budget_points, budget);
    }
}

/// A configuration in a folder of its own, with `extra` after the sections it needs.
fn load_with(folder: &Path, whisper: &str, common: &str) -> Result<super::Loaded, ConfigError> {
    let file = folder.join("silverback.toml");
    let text = format!("[common]\n{common}\n{BLOCK}[whisper]\n{whisper}\n");
    std::fs::write(&file, text).unwrap();
    load(Some(&file))
}

#[test]
fn rule_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let schemas = folder.path().join("schemas.conf");
    std::fs::write(&schemas, "[a]\npattern = ^a\nretentions = 10s:1h\n").unwrap();
    let whisper = format!("schemas-file = {schemas:?}");
    let loaded = load_with(folder.path(), &whisper, "user = \"\"").unwrap();
    assert_eq!(loaded.schema.policy(b"abc").unwrap().archives[0].step_s, 10);
    assert!(loaded.schema.policy(b"b").is_none());
    assert_eq!(loaded.config.file, Some(folder.path().join("silverback.toml")));
}

#[test]
fn mistakes_of_all_files_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (schemas, rollups) = (folder.path().join("s.conf"), folder.path().join("a.conf"));
    std::fs::write(&schemas, "[a]\npattern = (\nretentions = 10s:1h\n").unwrap();
    std::fs::write(&rollups, "[a]\npattern = .*\naggregationMethod = median\n").unwrap();
    let whisper = format!("schemas-file = {schemas:?}\naggregation-file = {rollups:?}");
    let error = load_with(folder.path(), &whisper, "user = \"no such user\"").unwrap_err();
    let files: Vec<PathBuf> = error.0.iter().map(|problem| PathBuf::from(&problem.file)).collect();
    for file in [&folder.path().join("silverback.toml"), &schemas, &rollups] {
        assert!(files.contains(file), "{error}");
    }
}

#[test]
fn absent_files() {
    let folder = tempfile::tempdir().unwrap();
    let error = load_with(
        folder.path(),
        "schemas-file = \"/nowhere/s\"\naggregation-file = \"/nowhere/a\"",
        "user = \"\"",
    )
    .unwrap_err();
    assert_eq!(error.0.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(6), Some(7)]);
    assert!(
        error.0[0].message.starts_with("[whisper] schemas-file = \"/nowhere/s\": No such file")
    );
    let alone = "schemas-file = \"\"\naggregation-file = \"/dev/null\"";
    let error = load_with(folder.path(), alone, "user = \"\"").unwrap_err();
    assert!(error.0[0].message.contains("schemas-file is empty"), "{error}");
    let error = load(Some(Path::new("/nowhere/f.toml"))).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/f.toml: No such file"), "{error}");
}

#[test]
fn a_file_that_is_not_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    std::fs::write(&file, b"# one\n# \xff\n").unwrap();
    let error = load(Some(&file)).unwrap_err();
    assert_eq!(error.0[0].line, Some(2));
}

//! TOML rules of go-carbon, and every way to get a value wrong.

use super::{Settings, Status, Value};
use std::time::Duration;

#[track_caller]
fn read(text: &str) -> Settings {
    Settings::parse("f", text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Each problem as a line of text.
fn problems(text: &str) -> Vec<String> {
    Settings::parse("f", text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(problems(text), [message], "{text}");
}

#[test]
fn values_of_every_type() {
    let settings = read(
        "[common]\nuser = \"u\"\nmetric-interval = \"1m30s\"\nmax-cpu = -1\n\
         [whisper]\nphysical-size-factor = 0.5\nflock = true\n\
         [cache]\nmax-size = -5\nwrite-strategy = \"noop\"\n\
         [carbonserver]\nstats-percentiles = [99, 95]\n\
         [receiver.k]\nprotocol = \"kafka\"\nbrokers = [\"a:1\", \"b:2\"]\n",
    );
    assert_eq!(settings.table("common").text("user"), "u");
    assert_eq!(settings.table("common").duration("metric-interval"), Duration::from_secs(90));
    assert_eq!(settings.table("common").int("max-cpu"), -1);
    assert_eq!(settings.table("whisper").value("physical-size-factor"), Value::Float(0.5));
    assert!(settings.table("whisper").flag("flock"));
    assert_eq!(settings.table("cache").int("max-size"), -5);
    assert_eq!(
        settings.table("carbonserver").value("stats-percentiles"),
        Value::Ints(vec![99, 95])
    );
    let receiver = settings.tables("receiver").next().unwrap();
    assert_eq!(receiver.name(), "receiver.k");
    assert_eq!(receiver.value("brokers"), Value::Texts(vec!["a:1".into(), "b:2".into()]));
    assert_eq!(receiver.value("topic"), Value::Text("graphite".into()));
}

#[test]
fn names_match_in_any_case() {
    let settings = read("[Common]\nGraph-Prefix = \"p\"\n[CARBONSERVER]\nListen = \":1\"\n");
    assert_eq!(settings.table("common").text("graph-prefix"), "p");
    assert_eq!(settings.table("carbonserver").text("listen"), ":1");
}

#[test]
fn byte_order_mark_and_crlf() {
    let settings = read("\u{feff}[common]\r\nuser = \"u\"\r\n");
    assert_eq!(settings.table("common").text("user"), "u");
}

#[test]
fn old_single_logging_tables() {
    let settings = read("[common]\n[logging]\nfile = \"a\"\n[logging]\nfile = \"b\"\n");
    let files: Vec<String> = settings.tables("logging").map(|table| table.text("file")).collect();
    assert_eq!(files, ["a", "b"]);
    assert_eq!(read("[logging]\r\nfile = \"a\"\r\n").tables("logging").count(), 1);
    assert_eq!(read("[logging] # one\nfile = \"a\"\n").tables("logging").count(), 1);
}

#[test]
fn unknown_names_are_told_and_do_not_hurt() {
    let settings = read("top = 1\n[common]\nusr = \"u\"\n\n[nope]\nx = 1\n");
    assert_eq!(settings.unknown, ["[top] (line 1)", "[common] usr (line 3)", "[nope] (line 5)"]);
}

#[test]
fn keys_by_status() {
    let settings = read(
        "[cache]\nmax-size = 1\nbloom-size = 0\n[receiver.x]\nprotocol = \"udp\"\n\
         [tracing]\nanything = 1\n[prometheus.labels]\na = \"b\"\n[tcp]\nenabled = true\n",
    );
    assert_eq!(settings.given_with(Status::Later), ["prometheus.labels", "receiver.x.protocol"]);
    assert_eq!(settings.given_with(Status::NoEffect), ["cache.bloom-size", "tracing"]);
    assert_eq!(settings.given_with(Status::AtStart), ["cache.max-size", "tcp.enabled"]);
}

#[test]
fn changes_between_two_files() {
    let old = read("[tcp]\nlisten = \":1\"\n[common]\ngraph-prefix = \"a\"\n");
    let new = read("[tcp]\nlisten = \":2\"\nenabled = true\n[[logging]]\nfile = \"x\"\n");
    assert_eq!(old.changed(&new, Status::AtStart), ["tcp.listen", "logging"]);
    assert_eq!(old.changed(&new, Status::Live), ["common.graph-prefix"]);
    assert!(old.changed(&old, Status::AtStart).is_empty());
}

#[test]
fn wrong_types() {
    for (text, message) in [
        ("[common]\nuser = 1", "f:2: [common] user = 1: allowed is a text in quotes"),
        (
            "[cache]\nwrite-strategy = \"Max\"",
            "f:2: [cache] write-strategy = \"Max\": allowed is \"max\", \"sorted\", \"noop\"",
        ),
        ("[whisper]\nworkers = \"1\"", "f:2: [whisper] workers = \"1\": allowed is an integer"),
        ("[whisper]\nworkers = 1.0", "f:2: [whisper] workers = 1.0: allowed is an integer"),
        (
            "[whisper]\nmax-updates-per-second = -1",
            "f:2: [whisper] max-updates-per-second = -1: allowed is an integer of at least 0",
        ),
        (
            "[cache]\nmax-size = 99999999999999999999",
            "f:2: [cache] max-size = 99999999999999999999: allowed is an integer; negative \
             means no limit",
        ),
        ("[tcp]\nenabled = 1", "f:2: [tcp] enabled = 1: allowed is true or false"),
        (
            "[whisper]\nphysical-size-factor = \"x\"",
            "f:2: [whisper] physical-size-factor = \"x\": allowed is a number",
        ),
        (
            "[carbonserver]\nstats-percentiles = [1, \"2\"]",
            "f:2: [carbonserver] stats-percentiles = [1, \"2\"]: allowed is a list of integers",
        ),
        (
            "[prometheus.labels]\na = 1",
            "f:2: [prometheus.labels] a = 1: allowed is a text in quotes",
        ),
        ("common = 1", "f:1: common: allowed is a table, found integer"),
        ("logging = [1]", "f:1: logging: allowed is a table, found integer"),
        ("receiver = { a = 1 }", "f:1: receiver.a: allowed is a table, found integer"),
    ] {
        refused(text, message);
    }
}

#[test]
fn spans_out_of_sense() {
    for (value, key) in [
        ("\"0s\"", "[common]\nmetric-interval"),
        ("\"-1s\"", "[common]\nmetric-interval"),
        ("60", "[common]\nmetric-interval"),
        ("\"1d\"", "[common]\nmetric-interval"),
        ("\"\"", "[common]\nmetric-interval"),
        ("\"-1s\"", "[carbonserver]\nscan-frequency"),
        ("\"0s\"", "[carbonserver]\nquota-usage-report-frequency"),
        ("\"-1s\"", "[wal]\nsync-interval"),
    ] {
        let found = problems(&format!("{key} = {value}"));
        assert_eq!(found.len(), 1);
        let (section, key) = key.split_once('\n').unwrap();
        let expected = format!("f:2: {section} {key} = {value}: allowed is a Go duration");
        assert!(found[0].starts_with(&expected), "{found:?}");
    }
}

#[test]
fn addresses_and_endpoints_out_of_form() {
    for text in [
        "[tcp]\nlisten = \"2003\"",
        "[udp]\nlisten = \"\"",
        "[carbonserver]\nlisten = \"x:99999\"",
        "[common]\nmetric-endpoint = \"http://x\"",
        "[common]\nmetric-endpoint = \"tcp://\"",
        "[[logging]]\nlevel = \"loud\"",
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].contains(": allowed is "), "{found:?}");
    }
    read("[common]\nmetric-endpoint = \"udp://h:1\"\n[carbonserver.grpc]\nlisten = \"\"\n");
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "[common]\nuser = 1\nUSER = \"x\"\n[tcp]\nenabled = 2\n\n[udp]\nlisten = \":x\"\n";
    let lines: Vec<Option<usize>> =
        Settings::parse("f", text).unwrap_err().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(2), Some(5), Some(8)]);
    refused(
        "[common]\nuser = \"a\"\nUser = \"b\"",
        "f:3: [common] user: given twice in different case",
    );
}

#[test]
fn broken_toml_is_told_with_its_line() {
    for (text, line) in
        [("[common\n", 1), ("[common]\nuser = \n", 2), ("[tcp]\nenabled = true\n[tcp]\n", 3)]
    {
        let found = Settings::parse("f", text).unwrap_err();
        assert_eq!(found[0].line, Some(line), "{found:?}");
        assert!(found[0].message.starts_with("not TOML: "), "{found:?}");
    }
}

#[test]
fn a_mistake_of_toml_shows_its_line() {
    let text = "[tcp]\nlisten = \":1\"\nlisten = \":2\"\n";
    let found = Settings::parse("f.toml", text).unwrap_err();
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["f.toml:3: not TOML: duplicate key: listen = \":2\""]);
}

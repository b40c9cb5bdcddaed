//! A whole server: points in, answers out, signals.

use crate::support::node::{Node, run, silverback};
use crate::support::now_s;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::Stdio;

fn is_found(node: &Node, name: &str) -> bool {
    node.get("node-api", &format!("/metrics/find/?query={name}&format=json")).contains(name)
}

#[test]
fn points_are_found_and_every_stop_signal_ends_well() {
    for signal in ["TERM", "INT", "USR2"] {
        let node = Node::start("");
        node.send(format!("by.tcp 1 {}\n", now_s()).as_bytes());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let line = format!("by.udp 2 {}\n", now_s());
        udp.send_to(line.as_bytes(), node.address("carbon-udp")).unwrap();
        for name in ["by.tcp", "by.udp"] {
            node.wait_for(name, |node| is_found(node, name));
        }
        let found = node.get("graphite-api", "/metrics/find?query=by.*&format=treejson");
        assert!(found.contains("\"by.tcp\"") && found.contains("\"by.udp\""), "{found}");
        let (from, until) = (now_s() - 600, now_s());
        let path = format!("/render/?target=by.tcp&from={from}&until={until}&format=json");
        let rendered = node.get("node-api", &path);
        assert!(rendered.contains("by.tcp") && rendered.contains('1'), "{rendered}");
        node.signal(signal);
        let (status, folder) = node.wait();
        assert_eq!(status.code(), Some(0), "{signal}");
        let log = std::fs::read_to_string(folder.path().join("silverback.log")).unwrap();
        assert!(log.trim_end().ends_with("stopped"), "{log}");
    }
}

#[test]
fn other_signals_do_not_end_it() {
    let mut node = Node::start("");
    node.signal("USR1");
    node.signal("PIPE");
    node.signal("HUP");
    node.wait_for("reload", |node| node.log().contains("config reloaded"));
    assert!(node.is_running());
    node.signal("TERM");
    assert_eq!(node.wait().0.code(), Some(0));
}

#[test]
fn a_reload_applies_what_it_can_and_names_the_rest() {
    let node = Node::start("");
    let text = node.config_text();
    let changed = text
        .replace("graph-prefix = \"own\"", "graph-prefix = \"renamed\"")
        .replace("metric-interval = \"1h\"", "metric-interval = \"50ms\"")
        + "[wal]\nsync-interval = \"2s\"\n";
    node.set_config(&changed);
    node.signal("HUP");
    node.wait_for("own metrics", |node| is_found(node, "renamed.runtime.GOMAXPROCS"));
    assert!(node.log().contains("wal.sync-interval"), "{}", node.log());
    node.set_config("[common]\nmetric-interval = \"0s\"\n");
    node.signal("HUP");
    node.wait_for("refusal", |node| node.log().contains("config reload failed"));
    assert!(node.log().contains("[common] metric-interval = \"0s\": allowed is"));
    node.send(format!("still.here 1 {}\n", now_s()).as_bytes());
    node.wait_for("point", |node| is_found(node, "still.here"));
}

#[test]
fn a_reload_reads_the_rule_files() {
    let node = Node::start("");
    let rules = node.folder().join("rules.conf");
    std::fs::write(&rules, "[kept]\npattern = ^kept\nretentions = 10s:1h\n").unwrap();
    let changed = format!("schemas-file = {rules:?}");
    node.set_config(&node.config_text().replace("schemas-file = \"\"", &changed));
    node.signal("HUP");
    node.wait_for("reload", |node| node.log().contains("config reloaded"));
    node.send(format!("other.b 1 {0}\nkept.a 1 {0}\n", now_s()).as_bytes());
    node.wait_for("point", |node| is_found(node, "kept.a"));
    let found = node.get("graphite-api", "/metrics/find?query=*");
    assert!(found.contains("\"kept\"") && !found.contains("\"other\""), "{found}");
}

#[test]
fn keys_without_effect_are_named_once() {
    let node =
        Node::start("[pickle]\nenabled = true\n[dump]\nenabled = true\n[cache]\nwidth = 3\n");
    let log = node.log();
    for (text, keys) in [
        ("keys that are not acted on yet", "pickle.enabled"),
        ("keys without an effect here", "dump.enabled"),
        ("unknown keys", "[cache] width (line"),
    ] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(text)).collect();
        assert!(lines.len() == 1 && lines[0].contains(keys), "{text}:\n{log}");
    }
}

/// Without a file the data lie in the working directory. The ports are those of the
/// documentation, which may be taken on this machine: then it has to say so.
#[test]
fn without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = silverback(&[])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take(8).collect();
    if lines.is_empty() {
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("built-in configuration: ["), "{error}");
        assert!(error.contains("Address already in use"), "{error}");
        return;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let expected = [
        "listening carbon-tcp 127.0.0.1:2003",
        "listening carbon-udp 127.0.0.1:2003",
        "listening node-api 127.0.0.1:8080",
        "listening graphite-api 127.0.0.1:8081",
        "listening admin-api 127.0.0.1:8082",
        "data in silverback-data",
    ];
    assert_eq!(lines[..6], expected);
    assert!(lines[6].starts_with("send a point: ") && lines[7].starts_with("see it: http://"));
    assert!(folder.path().join("silverback-data").exists());
}

/// Every section and key there is, with its default where that can be had.
#[test]
fn with_every_section_of_a_configuration() {
    let printed = String::from_utf8(run(&["-config-print-default"]).stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("{:?}", folder.path().join(name));
    let mut text = String::new();
    for line in printed.lines() {
        let (key, _) = line.split_once(" = ").unwrap_or((line, ""));
        let value = match key {
            "listen" => "\"127.0.0.1:0\"".to_owned(),
            "enabled" => "true".to_owned(),
            "user" | "schemas-file" => "\"\"".to_owned(),
            "metric-interval" => "\"1h\"".to_owned(),
            "data-dir" | "path" | "local-dir" => path(key),
            "file" => path("silverback.log"),
            _ => {
                text += &format!("{line}\n");
                continue;
            }
        };
        text += &format!("{key} = {value}\n");
    }
    for section in ["[dump]", "[carbonlink]", "[grpc]", "[prometheus]", "[wal]", "[block]"] {
        assert!(text.contains(&format!("{section}\n")), "{section} not in:\n{text}");
    }
    let node = Node::start_with(folder, &text);
    node.send(format!("all.sections 1 {}\n", now_s()).as_bytes());
    node.wait_for("point", |node| is_found(node, "all.sections"));
    assert!(!node.log().contains("unknown keys"), "{}", node.log());
    node.signal("TERM");
    assert_eq!(node.wait().0.code(), Some(0));
}

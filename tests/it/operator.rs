//! What an operator does with a node, whether it runs or not: on the real program.

use crate::support::http;
use crate::support::node::{Node, run};
use crate::support::now_s;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An admin API on a port that the system chooses.
const ADMIN: &str = "[admin]\nenabled = true\nlisten = \"127.0.0.1:0\"\n[tags]\nenabled = true\n";

/// A node that has received a point for each name.
fn node_with(names: &[&str]) -> Node {
    let node = Node::start(ADMIN);
    send(&node, names, 1);
    node
}

fn send(node: &Node, names: &[&str], value: i64) {
    let now_s = now_s();
    let lines: String = names.iter().map(|name| format!("{name} {value} {now_s}\n")).collect();
    node.send(lines.as_bytes());
    for name in names {
        node.wait_for("the point", |node| has(node, name));
    }
}

fn has(node: &Node, name: &str) -> bool {
    !node.fetch(name, now_s() - 3600..now_s() + 60).is_empty()
}

fn url(node: &Node) -> String {
    format!("http://{}", node.address("admin-api"))
}

/// Runs a command and expects this exit code; what it printed.
#[track_caller]
fn check(args: &[&str], code: i32) -> String {
    let output = run(args);
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    if code == 0 { out } else { err }
}

/// Stops a node in good order. Its configuration file, and the folder that it is in.
fn stop(node: Node) -> (String, tempfile::TempDir) {
    node.signal("TERM");
    let (status, folder) = node.wait();
    assert!(status.success());
    (file_in(folder.path()), folder)
}

fn file_in(folder: &Path) -> String {
    folder.join("silverback.toml").to_str().unwrap().to_owned()
}

/// Paths and contents of all files below a folder.
fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn series_are_deleted_while_the_node_serves() {
    let node = node_with(&["web.one.cpu", "web.two.cpu", "db.one", "t;x=1", "t;x=2"]);
    let server = url(&node);
    let dry = ["delete", "--match", "web.**", "--dry-run", "--server", &server];
    assert_eq!(check(&dry, 0), "web.one.cpu\nweb.two.cpu\nwould delete 2 series\n");
    assert!(has(&node, "web.one.cpu"));
    let delete = |more: &[&str]| check(&[&["delete", "--server", &server], more].concat(), 0);
    assert_eq!(delete(&["--match", "web.**"]), "deleted 2 series\n");
    let told = lines(&delete(&["--tags", "seriesByTag('x=~[13]')", "--json"]));
    assert_eq!(told, [serde_json::json!({"series": "t;x=1", "status": "deleted"})]);
    for (name, is_here) in
        [("web.one.cpu", false), ("t;x=1", false), ("t;x=2", true), ("db.one", true)]
    {
        assert_eq!(has(&node, name), is_here, "{name}");
    }
    // A killed node has deleted them too.
    let node = Node::start_in(node.kill(), ADMIN);
    assert!(!has(&node, "web.two.cpu") && has(&node, "db.one"));
    send(&node, &["web.two.cpu"], 7);
}

#[test]
fn series_are_deleted_while_no_node_runs() {
    let (config, folder) = stop(node_with(&["web.one", "web.two", "db.one"]));
    let delete = |more: &[&str]| check(&[&["delete", "--config", &config], more].concat(), 0);
    let before = files_below(folder.path());
    let told = lines(&delete(&["--match", "web.*", "--json", "--dry-run"]));
    assert_eq!(files_below(folder.path()), before, "a dry run changes nothing");
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|line| line["status"] == "would delete"));
    assert_eq!(delete(&["--match", "web.*"]), "deleted 2 series\n");
    assert_eq!(delete(&["--match", "web.*"]), "deleted 0 series\n");
    let node = Node::start_in(folder, ADMIN);
    assert!(!has(&node, "web.one") && has(&node, "db.one"));
}

#[test]
fn commands_that_cannot_be_obeyed_say_why() {
    let node = node_with(&["a.b"]);
    let (server, config) = (url(&node), file_in(node.folder()));
    let deep = "{".repeat(102) + &"}".repeat(102);
    for (args, code, expected) in [
        (vec!["delete"], 2, "--match"),
        (vec!["delete", "--match", "a", "--server", "ftp://x"], 2, "http://HOST:PORT"),
        (vec!["delete", "--match", "a", "--server", "http://127.0.0.1:1"], 1, "[admin]"),
        (vec!["delete", "--match", &deep, "--server", &server], 1, "braces"),
        (vec!["delete", "--tags", "x=1", "--server", &server], 1, "seriesByTag("),
        (vec!["delete", "--match", "a.b", "--config", &config], 1, "--server"),
        (vec!["compact", "--config", &config, "--server", &server], 2, "cannot be used with"),
    ] {
        let said = check(&args, code);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    // A page in a browser cannot make it forget anything.
    let evil = "Origin: http://example.org\r\n";
    let admin = node.address("admin-api");
    assert_eq!(http::post(admin, "/admin/delete?match=**", evil, b"").unwrap().status, 403);
    assert!(has(&node, "a.b"));
    let merged = lines(&check(&["compact", "--server", &server, "--json"], 0));
    assert_eq!(merged[0]["merges"], 0);
}

#[test]
fn series_that_nobody_writes_any_more_go() {
    let rules = "[[cleanup]]\npattern = \"^tmp\\\\.\"\nnot-updated-for = \"1h\"\n";
    let quick = "[block]\nduration = \"1s\"\n";
    let node = Node::start(&format!("{ADMIN}{quick}{rules}"));
    let text = node.config_text().replace("[storage]\n", "[storage]\ncleanup-interval = \"1s\"\n");
    let node = Node::start_with(node.kill(), &text);
    let hours_ago = |hours: i64| now_s() - 3600 * hours;
    let old = format!("tmp.old 1 {0}\nkeep.old 1 {0}\ntmp.new 1 {1}\n", hours_ago(3), hours_ago(0));
    node.send(old.as_bytes());
    let is_here = |node: &Node, name: &str| {
        node.get("graphite-api", &format!("/metrics/find?query={name}")).contains(name)
    };
    node.wait_for("the points", |node| is_here(node, "tmp.new"));
    node.wait_for("the cleaning up", |node| !is_here(node, "tmp.old"));
    assert!(is_here(&node, "keep.old") && is_here(&node, "tmp.new"));
    assert!(node.log().contains("cleaned up: deleted 1 series"), "{}", node.log());
}

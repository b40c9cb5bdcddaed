//! Flags, what they print and how they end.

use crate::support::node::{config, run, silverback};
use std::process::Output;

#[track_caller]
fn check(args: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = run(args);
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

#[test]
fn version_is_two_lines() {
    for args in [&["-version"][..], &["--version"], &["-version=1", "-cat", "x"]] {
        let (out, err) = check(args, 0);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], env!("CARGO_PKG_VERSION"));
        assert!(lines.len() == 2 && lines[1].starts_with("Build: "), "{out}");
        assert_eq!(err, "");
    }
}

#[test]
fn help_and_mistakes() {
    let (out, _) = check(&["-h"], 0);
    assert!(out.contains("--check-config"), "{out}");
    for args in [&["-nope"][..], &["-config"], &["-version=maybe"], &["-check-policies", "x"]] {
        let (out, err) = check(args, 2);
        assert_eq!(out, "");
        assert!(!err.is_empty());
    }
}

#[test]
fn what_is_not_available_yet_says_so() {
    for args in [
        &["-cat", "f"][..],
        &["-print-file-list-cache", "f"],
        &["-check-policies", "5"],
        &["-daemon"],
    ] {
        let (out, err) = check(args, 1);
        assert_eq!(out, "");
        assert!(err.contains(args[0]) && err.contains("not available yet"), "{err}");
    }
}

#[test]
fn printed_defaults_are_a_configuration() {
    let (out, _) = check(&["-config-print-default"], 0);
    assert!(out.contains("\n[carbonserver]\n") && out.contains("\n[graphite-api]\n"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    // Its user and its rule file need not exist on this machine.
    let usable = out
        .replace("user = \"carbon\"", "user = \"\"")
        .replace("schemas-file = \"/etc/go-carbon/storage-schemas.conf\"", "schemas-file = \"\"");
    std::fs::write(&file, usable).unwrap();
    check(&["-config", file.to_str().unwrap(), "-check-config"], 0);
}

#[test]
fn check_config_says_nothing_when_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    std::fs::write(&file, config(folder.path())).unwrap();
    let file = file.to_str().unwrap();
    for args in [&["-check-config"][..], &["-check-config", "-config", file]] {
        assert_eq!(check(args, 0), (String::new(), String::new()));
    }
    let equals = format!("--config={file}");
    assert_eq!(check(&[&equals, "--check-config=true"], 0), (String::new(), String::new()));
    assert!(!folder.path().join("data").exists());
}

#[test]
fn nobody_reads_the_answer() {
    let mut process = silverback(&["-config-print-default"])
        .stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(1));
}

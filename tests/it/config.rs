//! What the program says about a configuration that it cannot use.

use crate::support::node::{Node, config, config_of, run};
use crate::support::now_s;
use std::net::{TcpListener, UdpSocket};

/// Lines of standard error of a start with this text, without the time before each; and the
/// name of the file.
#[track_caller]
fn refused(text: &str, flags: &[&str]) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&[&["-config", file], flags].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let lines = String::from_utf8(output.stderr).unwrap();
    // `YYYY/MM/DD HH:MM:SS ` is 20 bytes.
    (lines.lines().map(|line| line[20..].to_owned()).collect(), file.to_owned())
}

#[test]
fn every_mistake_with_file_line_key_value_and_what_is_allowed() {
    let text = "[common]\nuser = 5\nmetric-interval = \"0s\"\n[tcp]\nlisten = \"nowhere\"\n";
    for flags in [&[][..], &["-check-config"]] {
        let (lines, file) = refused(text, flags);
        assert_eq!(lines[0], format!("{file}:2: [common] user = 5: allowed is a text in quotes"));
        assert!(lines[1].starts_with(&format!(
            "{file}:3: [common] metric-interval = \"0s\": allowed is a Go duration"
        )));
        assert!(lines[2].starts_with(&format!("{file}:5: [tcp] listen = \"nowhere\": allowed is")));
        assert_eq!(lines.len(), 3);
    }
}

/// A configuration of go-carbon, as it is: whisper files in its data-dir.
#[test]
fn a_go_carbon_configuration_keeps_whisper_files() {
    let folder = tempfile::tempdir().unwrap();
    let text = config_of("whisper", folder.path());
    let (before, after) = text.split_once("[storage]").unwrap();
    let text = before.to_owned() + &after[after.find("[[logging]]").unwrap()..];
    assert!(!text.contains("engine"));
    let node = Node::start_with(folder, &text);
    node.send(format!("go.carbon 1.5 {}\n", now_s()).as_bytes());
    node.wait_for("file", |node| node.folder().join("whisper/go/carbon.wsp").exists());
    assert!(node.folder().join("whisper/.silverback/wal").exists());
}

#[test]
fn a_user_that_does_not_exist() {
    let (lines, file) = refused(
        "[common]\nuser = \"no-such-user\"\n[whisper]\nschemas-file = \"\"\n[storage]\nengine = \"block\"\n",
        &[],
    );
    let expected = format!("{file}:2: [common] user = \"no-such-user\": no such user");
    assert!(lines.len() == 1 && lines[0].starts_with(&expected), "{lines:?}");
}

#[test]
fn an_absent_file() {
    let output = run(&["-config", "/nowhere/f.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error[20..].starts_with("/nowhere/f.toml: No such file"), "{error}");
}

/// Each port, taken, stops the start before the data folder is made.
#[test]
fn a_port_in_use() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp_address = tcp.local_addr().unwrap().to_string();
    let udp_address = udp.local_addr().unwrap().to_string();
    for (section, address) in [
        ("tcp", &tcp_address),
        ("udp", &udp_address),
        ("carbonserver", &tcp_address),
        ("graphite-api", &tcp_address),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let before = format!("[{section}]\n");
        let text = config(folder.path());
        let (head, tail) = text.split_once(&before).unwrap();
        let taken = tail.replacen("127.0.0.1:0", address, 1);
        let (lines, file) = refused(&format!("{head}{before}{taken}"), &[]);
        let expected =
            format!("{file}: [{section}] listen = \"{address}\": Address already in use");
        assert!(lines.len() == 1 && lines[0].starts_with(&expected), "{lines:?}");
        assert!(!folder.path().join("data").exists());
    }
}

#[test]
fn a_log_file_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let text = config(folder.path()) + "[[logging]]\nfile = \"/dev/null/x\"\n";
    let (lines, file) = refused(&text, &[]);
    let expected = format!("{file}: [[logging]] file = \"/dev/null/x\": ");
    assert!(lines.len() == 1 && lines[0].starts_with(&expected), "{lines:?}");
}

//! A Grafana data source from "Save & test" to a panel, with the bytes that Grafana sends: the
//! browser's encoding and the Go back end's.

use crate::support::http::{self, Answer};
use crate::support::node::Node;
use crate::support::now_s;
use serde_json::{Value, json};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n\
                    accept: application/json, text/plain, */*\r\n\
                    X-Dashboard-Id: 7\r\nX-Panel-Id: 2\r\n";

fn post(node: &Node, path: &str, body: &str) -> Answer {
    http::post(node.address("graphite-api"), path, FORM, body.as_bytes()).unwrap()
}

#[track_caller]
fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.to_lowercase().contains("content-type: application/json"), "{answer:?}");
    answer.json()
}

/// Percent-encodes what neither of the two leaves as it is.
fn encoded(text: &str, kept: &str, blank: &str) -> String {
    let encode = |c: char| match c {
        ' ' => blank.to_owned(),
        c if c.is_ascii_alphanumeric() || kept.contains(c) => c.to_string(),
        c => format!("%{:02X}", u32::from(c)),
    };
    text.chars().map(encode).collect()
}

/// `encodeURIComponent`, as the front end.
fn browser(text: &str) -> String {
    encoded(text, "-_.!~*'()", "%20")
}

/// `url.QueryEscape`, as the back end.
fn go(text: &str) -> String {
    encoded(text, "-_.~", "+")
}

/// Two machines with ten minutes of known values; gives back the time of the first.
fn fill(node: &Node) -> i64 {
    let first_s = now_s() / 60 * 60 - 600;
    let mut lines = String::new();
    for minute in 0..10 {
        for (number, machine) in ["web01", "web02"].into_iter().enumerate() {
            let value = minute * 10 + number;
            let time_s = first_s + 60 * i64::try_from(minute).unwrap();
            lines += &format!("servers.{machine}.cpu.user {value} {time_s}\n");
            lines += &format!("servers.{machine}.cpu.system 1 {time_s}\n");
            lines += &format!("disk.used;server={machine};rack=a1 {value} {time_s}\n");
        }
    }
    lines += &format!("filled 1 {first_s}\n");
    node.send(lines.as_bytes());
    node.wait_for("data", |node| {
        node.get("graphite-api", "/metrics/find?query=filled").contains("filled")
    });
    first_s
}

#[test]
fn save_and_test() {
    let node = Node::start("");
    let now_s = now_s();
    let body = format!(
        "format=json&from={}&maxDataPoints=100&target=constantLine%28100%29&until={now_s}",
        now_s - 3600
    );
    let health = ok(&post(&node, "/render", &body));
    assert_eq!(health[0]["datapoints"][0][0], json!(100.0));
    let wrapped = browser(r#"aliasSub(constantLine(100), "(^.*$)", "\1 A")"#);
    let body = format!("target={wrapped}&from=-1h&until=now&format=json&maxDataPoints=300");
    let health = ok(&post(&node, "/render", &body));
    assert!(health[0]["target"].as_str().unwrap().ends_with(" A"), "{health}");
    let version = http::get(node.address("graphite-api"), "/version").unwrap().text();
    let numbers: Vec<_> = version.trim().split('.').collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u32>().is_ok()), "{version}");
    let functions = http::get(node.address("graphite-api"), "/functions").unwrap();
    // A browser reads 1e9999 as infinity, and Grafana counts on it; serde_json does not.
    let functions = functions.text().replace(": 1e9999", ": null");
    let functions: Value = serde_json::from_str(&functions).unwrap();
    let alias_sub = &functions["aliasSub"];
    assert_eq!(alias_sub["name"], "aliasSub");
    assert_eq!(alias_sub["params"][0]["type"], "seriesList");
}

#[test]
fn query_editor() {
    let node = Node::start("[tags]\nenabled = true\n");
    fill(&node);
    let texts = |answer: &Answer| {
        let nodes = ok(answer);
        let texts = nodes.as_array().unwrap().iter().map(|node| node["text"].as_str().unwrap());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    // The front end does not encode this body, and does not always have a range.
    let range = "from=1795400751&until=1795402551";
    for path in [&format!("/metrics/find?{range}"), "/metrics/find?from=undefined&until=undefined"]
    {
        assert_eq!(texts(&post(&node, path, "query=servers.*")), ["web01", "web02"]);
        assert_eq!(texts(&post(&node, path, "query=servers.%2A")), ["web01", "web02"]);
    }
    assert_eq!(texts(&post(&node, "/metrics/find", "query=servers.*.cpu.*")), ["system", "user"]);
    assert_eq!(ok(&post(&node, "/metrics/find", "query=zzz.*")), json!([]));
    let get = |path: &str| ok(&http::get(node.address("graphite-api"), path).unwrap());
    let expanded = get("/metrics/expand?query=servers.*.cpu");
    assert_eq!(expanded["results"], json!(["servers.web01.cpu", "servers.web02.cpu"]));
    assert_eq!(
        get("/tags/autoComplete/tags?expr=name%3Ddisk.used&limit=10000"),
        json!(["rack", "server"])
    );
    let values = get("/tags/autoComplete/values?expr=name%3Ddisk.used&tag=server&limit=10000");
    assert_eq!(values, json!(["web01", "web02"]));
    assert!(get("/events/get_data?from=-1h&until=now&tags=deploy").is_array());
}

/// One panel in both encodings: the same bytes come back, with the points that were sent.
#[test]
fn panel() {
    let node = Node::start("");
    let first_s = fill(&node);
    let (from_s, until_s) = (first_s - 1, first_s + 599);
    let target = r#"aliasSub(servers.web*.cpu.user, "(^.*$)", "\1 A")"#;
    let by_browser = format!(
        "target={}&from={from_s}&until={until_s}&format=json&maxDataPoints=1000",
        browser(target)
    );
    let by_go = format!(
        "format=json&from={from_s}&maxDataPoints=1000&target={}&until={until_s}",
        go(target)
    );
    let answer = post(&node, "/render", &by_browser);
    assert_eq!(answer.body, post(&node, "/render", &by_go).body);
    let series = ok(&answer);
    for (number, machine) in ["web01", "web02"].into_iter().enumerate() {
        let name = format!("servers.{machine}.cpu.user");
        assert_eq!(series[number]["target"], format!("{name} A"));
        assert_eq!(series[number]["tags"]["name"], name);
        let expected = (0..10).map(|minute| {
            let value = (minute * 10 + number) as f64;
            json!([value, first_s + 60 * minute as i64])
        });
        assert_eq!(series[number]["datapoints"], Value::Array(expected.collect()));
    }
    assert_eq!(series.as_array().unwrap().len(), 2);
    // Several targets keep their order; one that matches nothing adds nothing.
    let body = format!(
        "target=sumSeries(servers.*.cpu.system)&target=no.such&target=servers.web02.cpu.user\
         &from={from_s}&until={until_s}&format=json"
    );
    let series = ok(&post(&node, "/render", &body));
    assert_eq!(series[0]["datapoints"][0], json!([2.0, first_s]));
    assert_eq!(series[1]["target"], "servers.web02.cpu.user");
    assert_eq!(series.as_array().unwrap().len(), 2);
}

/// What cannot be answered is one line of text with a status that says whose fault it is.
#[test]
fn mistakes() {
    let node = Node::start("");
    for target in ["noSuchFunction(a)", "sumSeries(", "aliasSub(a, '(', 'b')"] {
        let answer = post(&node, "/render", &format!("target={}&format=json", browser(target)));
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
        assert_eq!(answer.text().trim().lines().count(), 1, "{target}: {answer:?}");
    }
    assert_eq!(ok(&post(&node, "/render", "target=no.such.series&format=json")), json!([]));
}

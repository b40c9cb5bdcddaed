//! The recorded answers in every format but JSON.

use super::unpickle::unpickle;
use super::{NO_PARAMETERS, difference, query, router, vectors};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;

/// Cases that are answered otherwise on purpose, and why.
const DEVIATIONS: &[(&str, &str)] = &[
    ("p-format-035", "nan: NaN is no value"),
    ("p-format-039", "nan: NaN is no value"),
    ("p-format-055", "nan: NaN is no value"),
    ("p-format-071", "without a format the answer is JSON: images are not drawn"),
];

/// Why an answer is not the recorded one.
fn mismatch(case: &Value, content_type: &str, body: &[u8]) -> Option<String> {
    if content_type != case["content_type"] {
        return Some(format!("found type {content_type}"));
    }
    if let Some(expected) = case["expect_text"].as_str() {
        let found = String::from_utf8_lossy(body);
        return (found != expected).then(|| format!("expected {expected:?}, found {found:?}"));
    }
    let found = match content_type {
        "application/pickle" => unpickle(body),
        // The bytes are compared: every writer of it makes the same choices.
        "application/x-msgpack" => {
            let same = base64(body) == case["expect_b64"];
            return (!same).then(|| format!("found {}", base64(body)));
        }
        // Dygraph has words that no JSON has.
        _ => {
            let text = std::str::from_utf8(body).unwrap();
            let text = text.replace("-Infinity", "\"-inf\"").replace("Infinity", "\"inf\"");
            serde_json::from_str(&text).unwrap()
        }
    };
    difference(&case["expect"], &found, "answer")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let shown = digit <= three.len();
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if shown { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

#[tokio::test]
async fn recorded_formats() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path());
    let (mut compared, mut refused, mut failures) = (0, 0, Vec::new());
    for case in &vectors("cases-formats.json") {
        let id = case["id"].as_str().unwrap();
        let uri = format!("/render?{}", query(case, NO_PARAMETERS));
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let is_image = ["png", "svg", "pdf", "bogus"].map(Value::from).contains(&case["format"]);
        if is_image || case["status"] == 500 {
            assert_eq!(status, 400, "{id}");
            refused += 1;
        } else if status != 200 {
            failures.push(format!("{id}: {}", String::from_utf8_lossy(&body)));
        } else if DEVIATIONS.iter().any(|(known, _)| id == *known) {
            assert_ne!(mismatch(case, &content_type, &body), None, "{id} deviates no more");
        } else {
            compared += 1;
            let mismatch = mismatch(case, &content_type, &body);
            failures.extend(mismatch.map(|reason| format!("{id} {}: {reason}", case["target"])));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!((compared, refused, compared + refused + DEVIATIONS.len()), (56, 22, 82));
}

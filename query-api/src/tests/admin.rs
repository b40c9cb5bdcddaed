//! The admin API: who may ask, and what is done.

use super::{Answer, Store, encoded, get, post, send};
use crate::admin_router;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use std::sync::Arc;

async fn delete(router: &Router, form: &str) -> Answer {
    post(router, "/admin/delete", form).await
}

fn value(answer: &Answer) -> Value {
    serde_json::from_str(answer.ok()).unwrap()
}

#[tokio::test]
async fn only_an_operator_may_ask() {
    let store = Store::of(&["a.b"]);
    let router = admin_router(store.api());
    for uri in ["/admin/delete?match=**", "/admin/compact"] {
        assert_eq!(get(&router, uri).await.refused(), (405, "405 method not allowed"));
        let request = Request::post(uri).header("Origin", "http://127.0.0.1:8082");
        let answer = send(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.refused().0, 403);
    }
    assert!(store.db.series(b"a.b").is_some());
    assert_eq!(post(&router, "/admin", "").await.status, 404);
    for router in [store.graphite(), store.node()] {
        assert_eq!(post(&router, "/admin/delete", "match=**").await.status, 404);
    }
}

#[tokio::test]
async fn series_are_named_and_then_deleted() {
    let store = Store::of(&["a.b", "a.c", "d", "t;x=1", "t;x=2"]);
    let router = admin_router(store.api());
    let dry = value(&delete(&router, "match=a.*&dryRun=true").await);
    assert_eq!(dry, json!({"dryRun": true, "series": 2, "deleted": 0, "names": ["a.b", "a.c"]}));
    assert_eq!(store.db.series_count(), 5);
    let call = encoded("seriesByTag('x=2')");
    let wet = value(&delete(&router, &format!("match=a.*&tags={call}&names=1")).await);
    assert_eq!(wet, json!({"dryRun": false, "series": 3, "deleted": 3, "names": ["a.b"]}));
    let left: Vec<_> = [&b"a.b"[..], b"a.c", b"d", b"t;x=1", b"t;x=2"]
        .iter()
        .map(|name| store.db.series(name).is_some())
        .collect();
    assert_eq!(left, [false, false, true, true, false]);
    let none = value(&delete(&router, "match=a.*").await);
    assert_eq!(none, json!({"dryRun": false, "series": 0, "deleted": 0, "names": []}));
}

#[tokio::test]
async fn imports_are_of_folders_that_are_there() {
    let store = Store::of(&["a.b"]);
    let router = admin_router(store.api());
    let folder = tempfile::tempdir().unwrap();
    let from = format!("from={}", encoded(&folder.path().to_string_lossy()));
    for (form, reason) in [
        ("", "from is not given"),
        ("from=here", "absolute path"),
        ("from=/does/not/exist", "absolute path"),
        (&format!("{from}&jobs=0"), "jobs"),
        (&format!("{from}&filenames=other"), "hashed or plain"),
        (&format!("{from}&dryRun=perhaps"), "dryRun"),
    ] {
        let answer = post(&router, "/admin/import", form).await;
        let (status, text) = answer.refused();
        assert!(status == 400 && text.contains(reason), "{form}: {text}");
    }
    let none = value(&post(&router, "/admin/import", &from).await);
    assert_eq!((&none["imported"], &none["failed"]), (&json!(0), &json!(0)), "{none}");
}

#[test]
fn one_import_at_a_time() {
    let (store, folder) = (Store::of(&["a.b"]), tempfile::tempdir().unwrap());
    let api = store.api();
    let router = admin_router(Arc::clone(&api));
    let form = format!("from={}", encoded(&folder.path().to_string_lossy()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let import = || runtime.block_on(post(&router, "/admin/import", &form));
    let other = api.importing.lock().unwrap();
    assert!(import().refused().1.contains("another import goes on"));
    drop(other);
    import().ok();
}

#[tokio::test]
async fn mistakes_delete_nothing() {
    let store = Store::of(&["a.b", "t;x=1"]);
    let router = admin_router(store.api());
    for form in [
        "".to_owned(),
        format!("match={}{}", "{".repeat(102), "}".repeat(102)),
        "match=**&dryRun=maybe".to_owned(),
        "match=**&names=-1".to_owned(),
        "tags=x%3D1".to_owned(),
        format!("tags={}", encoded("seriesByTag('x!=2')")),
    ] {
        let answer = delete(&router, &form).await;
        assert_eq!(answer.refused().0, 400, "{form}");
    }
    assert_eq!(store.db.series_count(), 2);
}

#[tokio::test]
async fn a_dry_run_is_none_only_when_it_is_understood() {
    let store = Store::of(&["a.b"]);
    let router = admin_router(store.api());
    for spelling in ["dryRun", "dryrun", "dry-run", "dry_run"] {
        for form in ["=true", "=1", "=true&dryRun=false"] {
            let dry = value(&delete(&router, &format!("match=**&{spelling}{form}")).await);
            assert_eq!((&dry["dryRun"], &dry["deleted"]), (&json!(true), &json!(0)), "{spelling}");
        }
    }
    for unknown in ["dryRn=true", "DRYRUN=1", "dryRun[]=true", "limit=1", "dry-run="] {
        assert_eq!(delete(&router, &format!("match=**&{unknown}")).await.refused().0, 400);
        assert_eq!(
            post(&router, &format!("/admin/delete?{unknown}"), "match=**").await.status,
            400
        );
    }
    let json = Request::post("/admin/delete?match=**").header("Content-Type", "application/json");
    let answer = send(&router, json.body(Body::from(r#"{"dryRun": true}"#)).unwrap()).await;
    assert_eq!(answer.refused().0, 400);
    for uri in ["/admin/compact?x=1", "/admin/snapshot?name=a&x=1", "/admin/snapshot/remove?x=1"] {
        assert_eq!(post(&router, uri, "").await.refused().0, 400, "{uri}");
    }
    assert!(store.db.series(b"a.b").is_some());
}

#[tokio::test]
async fn renaming_is_refused_with_the_reason() {
    let store = Store::of(&["a.b"]);
    let router = admin_router(store.api());
    for form in ["", "from=a.b&to=a.c"] {
        let answer = post(&router, "/admin/rename", form).await;
        assert_eq!(answer.refused(), (400, crate::admin::NO_RENAME));
    }
    assert_eq!(get(&router, "/admin/rename").await.status, 405);
    assert!(store.db.series(b"a.b").is_some());
}

#[tokio::test]
async fn blocks_are_merged_on_demand() {
    let store = Store::of(&["a.b"]);
    store.db.seal().unwrap();
    let point = silverback_engine::Point { name: b"a.b", time_s: super::NOW_S - 60, value: 2.0 };
    store.db.append(&[point]).unwrap();
    store.db.seal().unwrap();
    let done = value(&post(&admin_router(store.api()), "/admin/compact", "").await);
    assert_eq!((&done["filesBefore"], &done["filesAfter"]), (&json!(2), &json!(1)), "{done}");
    assert_eq!(done["merges"], 1);
}

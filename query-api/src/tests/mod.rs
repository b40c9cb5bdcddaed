//! Whole requests against both routers, without a socket unless the socket is what is tested.

mod admin;
mod extra_roll_ups;
mod frame;
mod graphite;
mod node;
mod vectors;

use crate::{Api, ApiOptions, Limits, graphite_router, node_router};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use silverback_engine::clock::ManualClock;
use silverback_engine::{Db, Options};
use silverback_formats::carbon::Point;
use std::sync::Arc;
use tower::ServiceExt;

/// What the clock of every test shows; a multiple of a minute.
const NOW_S: i64 = 1_795_402_800;

/// A database with some series of one point, two minutes old, in a folder that goes with it.
struct Store {
    db: Db,
    _folder: tempfile::TempDir,
}

impl Store {
    fn of(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        options.clock = Arc::new(ManualClock::new(NOW_S));
        let db = Db::open(options).unwrap();
        let mut points = Vec::new();
        for name in names {
            points.push(Point { name: name.as_bytes(), time_s: NOW_S - 120, value: 1.5 });
        }
        assert_eq!(db.append(&points).unwrap().stored, points.len());
        Self { db, _folder: folder }
    }

    fn api(&self) -> Arc<Api> {
        Arc::new(Api::new(self.db.clone(), Limits::default()))
    }

    fn api_with(&self, limits: Limits, options: ApiOptions) -> Arc<Api> {
        Arc::new(Api::with_options(self.db.clone(), limits, options))
    }

    fn graphite(&self) -> Router {
        graphite_router(self.api())
    }

    fn node(&self) -> Router {
        node_router(self.api())
    }
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A good answer's text.
    #[track_caller]
    fn ok(&self) -> &str {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.text()
    }

    /// Status and one-line text of a refusal.
    #[track_caller]
    fn refused(&self) -> (u16, &str) {
        let line = self.text().strip_suffix('\n').expect("a refusal ends its line");
        assert!(!line.contains('\n'), "{line:?}");
        (self.status.as_u16(), line)
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn get(router: &Router, uri: &str) -> Answer {
    send(router, Request::get(uri).body(Body::empty()).unwrap()).await
}

/// Posts a body as a form, whatever it holds.
async fn post(router: &Router, uri: &str, form: &str) -> Answer {
    let request = Request::post(uri).header("Content-Type", "application/x-www-form-urlencoded");
    send(router, request.body(Body::from(form.to_owned())).unwrap()).await
}

/// A name or pattern as Go and browsers encode it.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

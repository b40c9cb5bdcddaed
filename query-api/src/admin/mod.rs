//! The admin API: what an operator asks of a running server, and nobody else.
//!
//! | module | path |
//! |---|---|
//! | [`compact`] | `/admin/compact` |
//! | [`delete`] | `/admin/delete` |
//! | [`import`] | `/admin/import` |
//! | [`snapshot`] | `/admin/snapshot`, `/admin/snapshot/remove` |
//!
//! Whoever reaches it may delete everything, so it has a listener of its own, which the server
//! opens on loopback addresses only. A web page in a browser on the same machine reaches those
//! too: everything is POST, for which browsers name the page's origin, and a request with an
//! origin is refused.

pub mod compact;
pub mod delete;
pub mod import;
pub mod snapshot;

use crate::counters::Endpoint;
use crate::refusal::Refusal;
use crate::request::{Handler, Reply, Request};
use axum::http::{Method, header};

/// Path and what answers it.
pub(crate) const ROUTES: &[(&str, Endpoint, Handler)] = &[
    ("/admin/compact", Endpoint::Admin, |api, request| {
        guard(request).and_then(|()| compact::compact(api, request))
    }),
    ("/admin/delete", Endpoint::Admin, |api, request| {
        guard(request).and_then(|()| delete::delete(api, request))
    }),
    ("/admin/import", Endpoint::Admin, |api, request| {
        guard(request).and_then(|()| import::import(api, request))
    }),
    ("/admin/snapshot", Endpoint::Admin, |api, request| {
        guard(request).and_then(|()| snapshot::take(api, request))
    }),
    ("/admin/snapshot/remove", Endpoint::Admin, |api, request| {
        guard(request).and_then(|()| snapshot::remove(api, request))
    }),
];

/// Refuses what is not posted, and what a web page posts.
fn guard(request: &Request) -> Result<(), Refusal> {
    if request.method != Method::POST {
        return Err(Refusal::WrongMethod);
    }
    if request.headers.contains_key(header::ORIGIN) {
        return Err(Refusal::FromWebPage);
    }
    Ok(())
}

/// An answer in JSON, on one line.
fn json(value: &serde_json::Value) -> Reply {
    Reply::new("application/json", format!("{value}\n"))
}

/// Work that the disk did not let be done.
fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

/// Whether a parameter is given and does not say no.
fn flag(request: &Request, name: &str) -> Result<bool, Refusal> {
    match request.params.last(name) {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(value) => {
            Err(Refusal::parameters(format!("{name} = {value:?}: allowed is true or false")))
        }
    }
}

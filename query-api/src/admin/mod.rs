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
        guard(request, &[]).and_then(|()| compact::compact(api, request))
    }),
    ("/admin/delete", Endpoint::Admin, |api, request| {
        guard(request, delete::PARAMETERS).and_then(|()| delete::delete(api, request))
    }),
    ("/admin/rename", Endpoint::Admin, |_, request| {
        operator(request).and_then(|()| Err(Refusal::BadRequest(NO_RENAME.into())))
    }),
    ("/admin/import", Endpoint::Admin, |api, request| {
        guard(request, import::PARAMETERS).and_then(|()| import::import(api, request))
    }),
    ("/admin/snapshot", Endpoint::Admin, |api, request| {
        guard(request, &["name"]).and_then(|()| snapshot::take(api, request))
    }),
    ("/admin/snapshot/remove", Endpoint::Admin, |api, request| {
        guard(request, &["name"]).and_then(|()| snapshot::remove(api, request))
    }),
];

/// Why series are not renamed, and what to do instead.
pub const NO_RENAME: &str = "series are not renamed: the name is what a series is. Send samples \
    under the new name, take old ones over with `silverback export`, a renamed file and \
    `silverback import`, and delete the old name with `silverback delete`";

/// Refuses what is not posted, and what a web page posts.
fn operator(request: &Request) -> Result<(), Refusal> {
    if request.method != Method::POST {
        return Err(Refusal::WrongMethod);
    }
    if request.headers.contains_key(header::ORIGIN) {
        return Err(Refusal::FromWebPage);
    }
    Ok(())
}

/// Refuses what an operator does not send, and what nobody would read: a misspelt dry run must
/// not be a real one.
fn guard(request: &Request, parameters: &[&str]) -> Result<(), Refusal> {
    operator(request)?;
    let unknown = request.params.iter().find(|(name, _)| !parameters.contains(name));
    if let Some((name, _)) = unknown {
        let known = if parameters.is_empty() { "none".into() } else { parameters.join(", ") };
        let reason = format!("{name:?} is not known here; parameters are: {known}");
        return Err(Refusal::parameters(reason));
    }
    if !request.body.is_empty() && !request.has_form() {
        return Err(Refusal::parameters("the body is not read: send parameters as a form"));
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

/// Whether a parameter is given in any of its spellings and one of its values says yes.
fn flag(request: &Request, spellings: &[&str]) -> Result<bool, Refusal> {
    let mut is_set = false;
    for (name, value) in request.params.iter().filter(|(name, _)| spellings.contains(name)) {
        match value {
            "0" | "false" => {}
            "1" | "true" => is_set = true,
            _ => {
                let reason = format!("{name} = {value:?}: allowed is true or false");
                return Err(Refusal::parameters(reason));
            }
        }
    }
    Ok(is_set)
}

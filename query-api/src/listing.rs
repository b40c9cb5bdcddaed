//! Every series by name.

use crate::api::Api;
use crate::budget::Held;
use crate::refusal::Refusal;
use crate::request::Request;
use silverback_engine::Found;
use std::ops::ControlFlow;

/// How many names are visited between two looks at the clock.
const STRIDE: usize = 4096;

/// Calls `visit` with every name until it refuses, within the limits of the request.
///
/// # Errors
/// What `visit` refuses with; when there are more names than one request may match, or the time
/// is over.
pub(crate) fn visit_names(
    api: &Api,
    request: &Request,
    mut visit: impl FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut seen = 0;
    let mut outcome = Ok(());
    api.db.for_each_series(&mut |name, _| {
        seen += 1;
        if seen > api.limits.globbed_nodes {
            outcome = Err(Refusal::too_many_names(api.limits.globbed_nodes));
        } else if seen.is_multiple_of(STRIDE) {
            outcome = request.check(api.limits.request_timeout);
        }
        if outcome.is_ok() {
            outcome = visit(name);
        }
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    outcome
}

/// Every name, in byte order, and the memory that they take.
///
/// # Errors
/// When there are more names than one request may match, or they do not fit the memory of all
/// requests, or the time is over.
pub(crate) fn names(api: &Api, request: &Request) -> Result<(Vec<Vec<u8>>, Held), Refusal> {
    let (mut names, mut bytes, mut held) = (Vec::new(), 0, api.budget.nothing());
    visit_names(api, request, |name| {
        bytes += size_of::<Vec<u8>>() + name.len();
        names.push(name.to_vec());
        if names.len().is_multiple_of(STRIDE) { held.set(bytes) } else { Ok(()) }
    })?;
    held.set(bytes)?;
    names.sort_unstable();
    Ok((names, held))
}

/// The memory that found nodes take, and about as much again for the answer made of them.
///
/// # Errors
/// When it does not fit the memory of all requests.
pub(crate) fn hold_found(api: &Api, found: &[Found]) -> Result<Held, Refusal> {
    let mut held = api.budget.nothing();
    let bytes = found.iter().map(|node| size_of::<Found>() + node.path.len()).sum::<usize>();
    held.set(2 * bytes)?;
    Ok(held)
}

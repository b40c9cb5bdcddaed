//! Every series by name.

use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::Request;
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

/// Every name, in byte order.
///
/// # Errors
/// When there are more names than one request may match, or the time is over.
pub(crate) fn names(api: &Api, request: &Request) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut names = Vec::new();
    visit_names(api, request, |name| {
        names.push(name.to_vec());
        Ok(())
    })?;
    names.sort_unstable();
    Ok(names)
}

//! `/events/get_data`: annotations.
//!
//! No events are stored, so the answer is an empty list whatever is asked; Grafana takes it as
//! "nothing happened", where an error would pop up on every dashboard with annotations.

use super::json_text::{self, Charset};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};

/// Answers `/events/get_data`.
///
/// # Errors
/// When `jsonp` is not a function's name.
pub fn get_data(_: &Api, request: &Request) -> Result<Reply, Refusal> {
    json_text::reply(&[(); 0], Charset::Ascii, request)
}

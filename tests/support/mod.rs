//! What the black-box tests share: a server that runs, and clients for its sockets.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod series;

use std::time::{SystemTime, UNIX_EPOCH};

/// The sender's clock, Unix seconds.
#[expect(clippy::disallowed_methods, reason = "a sender outside of the server has its own clock")]
pub(crate) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
